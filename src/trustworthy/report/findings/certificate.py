"""Accuracy that is proved: what no attack can take, beside what attacks took."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from jaxtyping import Float, Int
from markupsafe import Markup
from pydantic import Field

from trustworthy.core.certificate import Certificate
from trustworthy.core.errors import InvalidInput
from trustworthy.core.progress import portion
from trustworthy.report import formatting, plots
from trustworthy.report.finding import Finding, Number, Series
from trustworthy.report.findings import robustness_curve
from trustworthy.report.kind import Judged, Kind, Measured, NotApplicable, Rule, beyond
from trustworthy.report.panel import Group, Panel, Shown
from trustworthy.report.settings import Count, Radius, Rows, Section, in_profiles

if TYPE_CHECKING:
    from trustworthy.report.case import Case

RULE = Rule("certified accuracy at the headline radius, divided by the clean accuracy", 0.8, 0.4)
SMOOTHING = "randomised smoothing"
AT_ONCE = 16
"""Most rows that are certified at once, so that the progress is seen."""


class Settings(Section):
    """Certified accuracy at `multiples` of the headline radius, of the rows that are attacked.

    neurons : ReLUs of the largest network that is certified by linear bounds.
    smoothing : draws of noise an example, by which the smoothed model is certified; 0 for none.
    """

    multiples: list[Radius]
    neurons: Count
    smoothing: Rows


class Certified(Series):
    """Share of examples proved to withstand each radius."""

    aligned: ClassVar = ("eps", "certified")

    eps: Annotated[list[float], Field(min_length=1)]
    certified: list[Number]
    clean: Number
    method: str
    exact: bool = False
    headline_eps: float | None = None


@dataclass(frozen=True)
class Proof:
    """One way to certify a model.

    norm : of the radii. exact : whether a radius that is not certified breaks the example.
    prove : certificates of some rows of the examples, in the attacked units.
    """

    norm: str
    method: str
    exact: bool
    prove: Callable[[Int[np.ndarray, " some"]], Certificate]


def measure(case: Case, settings: Settings) -> Measured:
    """Certified accuracy in every norm in which something can be proved of the model.

    Nearest neighbours are certified exactly (one neighbour, linf and l2) or by a lower bound (more, l2), small ReLU
    networks by linear bounds (linf and l2); any fixed model, if the plan asks for it, as its smoothed version in l2.
    """
    case.right("certificate", 1, "certify")
    if case.examples.domain.movable is not None or bool(case.examples.x.isnan().any()):
        raise NotApplicable("categories and missing values are held, which no certificate knows of.")
    proofs, reasons = [], []
    for ways in (_of_the_model, _of_the_smoothed_model):
        try:
            proofs += ways(case, settings)
        except NotApplicable as reason:
            reasons.append(str(reason))
    if not proofs:
        raise NotApplicable(reasons[0])
    advances = [portion(case.advance, place, len(proofs)) for place in range(len(proofs))]
    found = [_finding(case, settings, *each) for each in zip(proofs, advances, strict=True)]
    return Measured([finding for finding, _ in found], rows={_column(finding.name): radii for finding, radii in found})


def _column(name: str) -> str:
    """Column of `rows.parquet` with the radii of a finding: robustness.l2.certified -> certified_l2."""
    _, norm, proved = name.split(".")
    return f"{proved}_{norm}"


def _finding(case: Case, settings: Settings, proof: Proof, advance: Any) -> tuple[Finding, np.ndarray]:
    """The finding, and the radius that is proved of each example."""
    parts, smoothed = [], proof.method == SMOOTHING
    # A smoothed model is another classifier, right on other rows: it is asked about all, or a draw of all.
    rows = case.attacked_rows if not smoothed else case.sample("smoothing", len(case.attacked_rows))
    at_once = min(AT_ONCE, case.batch)
    for some in np.split(rows, range(at_once, len(rows), at_once)):
        parts.append(proof.prove(some))
        advance(sum(len(part.lower) for part in parts) / len(rows))
    certificate, units = Certificate.joined(parts), case.examples.domain.units
    headline = case.headline(proof.norm)
    grid = [0.0, *robustness_curve.radii(headline, settings.multiples)]
    standing = certificate.withstands(grid)  # (radii, tried)
    estimate = (lambda holds: (float(holds.mean()), case.share(holds))) if smoothed else case.standing
    values, bands = zip(*map(estimate, standing), strict=True)
    value = values[grid.index(headline)]
    verdict = RULE(value / case.accuracy)
    if verdict != "good" and not proof.exact:
        verdict = "information"  # a bound that is loose says nothing against the model
    name, whose = f"robustness.{proof.norm}.{'smoothed' if smoothed else 'certified'}", "smoothed " if smoothed else ""
    found = case.finding(
        name, value, verdict=verdict, interval=bands[grid.index(headline)],
        statement=f"{value:.1%} of the {whose}predictions are right and proved to stay so under every perturbation "
        f"of up to {headline:.3g} ({proof.norm}, {units}), by {proof.method}{'' if smoothed else case.tried(rows)}.",
        series={
            "eps": grid, "certified": list(values), "clean": case.accuracy, "method": proof.method,
            "exact": proof.exact, "headline_eps": headline,
        },
        conditions={
            **({"n": len(rows)} if smoothed else case.counts(rows)), "method": proof.method, "eps": headline,
            "norm": proof.norm, "units": units,
        },
    )  # fmt: skip
    return found, case.column(rows, certificate.lower, wrong=np.nan if smoothed else 0.0)


def _of_the_model(case: Case, settings: Settings) -> list[Proof]:
    from torch import nn

    if case.examples.domain.kind == "text":
        raise NotApplicable("what is proved is of images and tables, the data are texts.")
    if isinstance(case.subject.given, nn.Module):
        return _linear_bounds(case, settings)
    if hasattr(case.subject.given, "predict"):
        return _neighbors(case)
    raise NotApplicable("nothing can be proved of a function whose parts cannot be seen.")


def _linear_bounds(case: Case, settings: Settings) -> list[Proof]:
    """A ReLU network in the attacked units."""
    import torch
    from torch import nn

    from trustworthy.certify import certify_linear
    from trustworthy.certify.tracing import read
    from trustworthy.core.guard import precision
    from trustworthy.nn import Normalize

    if case.subject.is_random:
        raise NotApplicable("linear bounds certify one function, the model answers differently each time.")
    if case.subject.draws > 1:
        raise NotApplicable("linear bounds certify one network, not the mean of an ensemble; audit its members.")
    domain, model = case.examples.domain, case.subject.given
    dtype = precision(model)
    if dtype not in (None, torch.float32):
        raise NotApplicable(f"linear bounds certify networks in float32, the weights of this one are in {dtype}.")
    if not case.subject.gives_logits:
        raise NotApplicable("linear bounds certify networks that return one logit for each class, this one does not.")
    if domain.center is not None and domain.spread is not None:
        model = nn.Sequential(Normalize(-domain.center / domain.spread, 1.0 / domain.spread), model)
        model.to(case.device)
    _, x, y = case.attacked
    try:
        neurons = read(model, x[0]).neurons
    except InvalidInput as error:
        raise NotApplicable(str(error)) from error
    if neurons > settings.neurons:
        raise NotApplicable(
            f"linear bounds are for networks of up to {settings.neurons} ReLUs, this one has {neurons}."
        )

    def prove(rows: np.ndarray, norm: Any) -> Certificate:
        found = certify_linear(model, x[rows], y[rows], norm=norm, bounds=domain.bounds)
        return _only(case.correct[rows], found)

    return [Proof(norm, "linear bounds (CROWN)", False, partial(prove, norm=norm)) for norm in ("linf", "l2")]


def _neighbors(case: Case) -> list[Proof]:
    """Nearest neighbours in the attacked units, whose metric undoes every rescaling of a feature.

    The distance is that among all real values, which bounds the one among those that a feature may take.
    """
    from trustworthy.models.names import matched
    from trustworthy.neighbors import NearestNeighborVerifier

    points, codes, classifier, slope = _neighbors_of(case)
    domain, count = case.examples.domain, int(classifier.n_neighbors)
    inside = domain.bounds
    if inside and not inside[0] <= points.min() <= points.max() <= inside[1]:
        inside = None
    metric = None if (slope == 1.0).all() else np.diag(slope**2)
    z = domain.attacked(case.examples.x.double()).flatten(1).numpy()
    places = case.subject.places
    of_column = dict(zip(matched(list(classifier.classes_), list(places))[1], places.values(), strict=True))
    labels = np.array([of_column[column] for column in range(len(of_column))])[codes]
    proofs = []
    for norm in ("linf", "l2") if count == 1 else ("l2",):
        verifier = NearestNeighborVerifier(n_neighbors=count, metric=metric, norm=norm, bounds=inside)
        try:
            verifier.fit(points, labels)
        except InvalidInput as error:
            raise NotApplicable(str(error)) from error

        def prove(rows: np.ndarray, verifier: Any = verifier) -> Certificate:
            x, y = z[rows], case.labels[rows]
            # Where the two break a tie otherwise, nothing is proved of the classifier that is audited.
            sure = case.correct[rows] & (verifier.predict(x) == case.predictions[rows])
            if count == 1:
                return _only(sure, verifier.exact(x, y))
            lower = verifier.lower_bound(x, y)
            return _only(sure, Certificate(lower, np.full(len(rows), np.inf), np.zeros(len(rows), dtype=bool)))

        exact = count == 1 and domain.grid is None
        method = "the exact distance" if exact else "the exact distance among all real values"
        proofs.append(Proof(norm, method if count == 1 else "a lower bound, eq. (3.18)", exact, prove))
    return proofs


def _neighbors_of(case: Case) -> tuple[Float[np.ndarray, "n d"], Int[np.ndarray, " n"], Any, Float[np.ndarray, " d"]]:
    """Training rows in the attacked units, codes of their classes, the classifier, and its units per attacked unit."""
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    domain, given = case.examples.domain, case.subject.given
    steps: list[Any] = [step for _, step in given.steps] if isinstance(given, Pipeline) else [given]
    *before, classifier = steps
    if not isinstance(classifier, KNeighborsClassifier):
        raise NotApplicable(
            f"of scikit-learn's classifiers nearest neighbours are certified, not {type(classifier).__name__}."
        )
    for step in before:
        if not isinstance(step, StandardScaler):
            raise NotApplicable(
                f"nearest neighbours are certified after StandardScaler alone, not {type(step).__name__}."
            )
    if classifier.weights not in ("uniform", None) or classifier.effective_metric_ != "euclidean":
        raise NotApplicable(
            "nearest neighbours are certified with uniform weights and the Euclidean metric, not with "
            f"weights={classifier.weights!r} and metric {classifier.effective_metric_!r}."
        )
    fitted: Any = classifier
    rows, codes = fitted._fit_X, fitted._y
    if not isinstance(rows, np.ndarray) or codes.ndim > 1:
        raise NotApplicable("nearest neighbours are certified on dense rows with one label each.")
    width = rows.shape[1]
    slope, offset = np.ones(width), np.zeros(width)
    if domain.center is not None and domain.spread is not None:
        slope, offset = domain.spread.double().numpy(), domain.center.double().numpy()
    for scaler in before:
        if scaler.with_mean:
            offset = offset - scaler.mean_
        if scaler.with_std:
            slope, offset = slope / scaler.scale_, offset / scaler.scale_
    points = (rows - offset) / slope
    _, first = np.unique(points, axis=0, return_inverse=True)
    if len(np.unique(np.stack([first.ravel(), codes]), axis=1).T) > first.max() + 1:
        raise NotApplicable("some training rows are repeated with another class: which one wins is up to the search.")
    return points, codes, classifier, slope


def _of_the_smoothed_model(case: Case, settings: Settings) -> list[Proof]:
    """The model's vote under Gaussian noise as large as the headline radius: another classifier than the model."""
    from trustworthy.certify import RandomizedSmoothing
    from trustworthy.core.predictive import pooled
    from trustworthy.core.protocols import drawn

    if not settings.smoothing:
        raise NotApplicable("the plan asks for no smoothing.")
    if case.subject.is_random:
        raise NotApplicable("a model that answers differently each time is not smoothed once more.")
    smoothing = RandomizedSmoothing(sigma=case.headline("l2"), n=settings.smoothing, batch_size=case.batch)
    members, generator = [*drawn(case.attacked[0], case.subject.draws)], case.generator("smoothing")

    def predictor(x: Any) -> Any:
        return pooled([member(x) for member in members])

    def prove(rows: np.ndarray) -> Certificate:
        return smoothing(predictor, *case.attacked_at(rows)[1:], generator=generator)

    return [Proof("l2", SMOOTHING, False, prove)]


def _only(sure: np.ndarray, found: Certificate) -> Certificate:
    """The certificate of the predictions that are right; of the others nothing is proved."""
    return replace(found, lower=np.where(sure, found.lower, 0.0), exact=found.exact & sure, perturbation=None)


def draw(shown: Shown) -> list[Panel]:
    """The proved curves; what attacks took is in the curves of the same norm above."""
    units = f" eps is in {shown.units}." if shown.units else ""
    lead = (
        "Attacks find failures, they cannot rule them out; a certificate can. At each radius: the share of examples "
        "that are predicted rightly and proved to be, whatever the perturbation. Where a method is not exact the truth "
        "lies between this and the accuracy under attack. A smoothed model is another classifier than the model: it "
        f"votes under noise. The ring is the accuracy without a perturbation.{units}"
    )
    return shown.with_numbers("Certified accuracy", lead, _figure, _columns)


def _figure(group: Group) -> Markup:
    return group.figure(plots.certified_curve(group.id, group.curves, group.norm))


def _columns(s: Certified) -> dict[str, list[str]]:
    return {"eps": [*map(formatting.number, s.eps)], f"proved ({s.method})": [*map(formatting.percent, s.certified)]}


def _judged(name: str, title: str, *, headline: bool = True) -> dict[str, Judged]:
    rows = beyond(_column(name))
    return {name: Judged(title, RULE, share=True, higher_is_better=True, headline=headline, rows=rows)}


MULTIPLES = [0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0]
KIND = Kind(
    name="certificate", step="robustness.certificate", property="robustness", series=Certified, attacks=True, cost=3,
    measure=measure, draw=draw,
    findings={
        **_judged("robustness.linf.certified", "Certified accuracy, linf"),
        **_judged("robustness.l2.certified", "Certified accuracy, l2"),
        **_judged("robustness.l2.smoothed", "Certified accuracy of the smoothed model, l2", headline=False),
    },
    settings=in_profiles(Settings, multiples=MULTIPLES, neurons=(300, 1000, 10_000), smoothing=(0, 0, 1000)),
)  # fmt: skip
