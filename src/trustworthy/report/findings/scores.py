"""Proper scores of the predicted probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int
from pydantic import Field

from trustworthy.report.finding import Finding, Series
from trustworthy.report.kind import Judged, Kind, Measured, OfRows, Statistic, mean_of
from trustworthy.report.markup import element
from trustworthy.report.panel import Panel, Shown, row, table

if TYPE_CHECKING:
    from trustworthy.report.case import Case


RESAMPLED_CLASSES = 20
"""Classes up to which the areas under their curves are resampled."""


class Ranking(Series):
    """Of an area under a curve: the classes that it is the mean of."""

    classes: list[str | int] = Field(default_factory=list)


def measure(case: Case, settings: Any) -> Measured:
    """Negative log-likelihood, Brier score, and how well the probabilities rank the examples of a class."""
    p, y = case.probabilities, case.labels
    classes = p.shape[1]
    # The probability of the label is bounded as float32 would round it: one example must not make the mean infinite.
    likelihood = -np.log(np.maximum(p[np.arange(len(y)), y], np.finfo(np.float32).tiny))
    squared = ((p - np.eye(classes)[y]) ** 2).sum(axis=1)
    guess = 1.0 - 1.0 / classes
    ranked = _ranked(y)
    rarer = {"rarer_class": p[:, ranked[0]]} if len(ranked) == 1 else {}
    return Measured([
        case.finding(
            "uncertainty.nll", float(likelihood.mean()), interval=case.interval("nll", np.mean, likelihood),
            unit="nats", statement=f"The true class costs {likelihood.mean():.3f} nats on average; "
            f"guessing all {classes} classes evenly costs {np.log(classes):.3f}.",
        ),
        case.finding(
            "uncertainty.brier", float(squared.mean()), interval=case.interval("brier", np.mean, squared, most=2.0),
            statement=f"The squared error of the probabilities is {squared.mean():.3f}; "
            f"guessing all {classes} classes evenly has {guess:.3f}.",
        ),
        *_rankings(case, ranked),
    ], rows={"nll": likelihood, "brier": squared} | rarer)  # fmt: skip


def _ranked(y: Int[np.ndarray, " n"]) -> Int[np.ndarray, " k"]:
    """Classes whose probability ranks the examples: the rarer of two, each of more, none where all are of one."""
    labels, counts = np.unique(y, return_counts=True)
    if len(labels) == 2:
        return labels[::-1][[int(counts[::-1].argmin())]]
    return labels if len(labels) > 2 else labels[:0]


def _rankings(case: Case, ranked: Int[np.ndarray, " k"]) -> list[Finding]:
    """Areas under the ROC and the precision-recall curve, of the rarer of two classes or averaged over more, each
    against the rest; none where the examples are all of one class."""
    from trustworthy.metrics import detection

    p, y = case.probabilities, case.labels
    if not len(ranked):
        return []
    whose = f"{len(ranked)} classes, each against the rest, on average"
    if len(ranked) == 1:
        whose = f"{case.examples.class_name(int(ranked[0]))}, the rarer class ({(y == ranked[0]).sum()} of {len(y)})"

    # Ranked once: resamples are many.
    columns = [(np.unique(p[:, label], return_inverse=True)[1], y == label) for label in ranked]

    def made(name: str, area: Callable[..., float], told: str, chance: float) -> Finding:
        def mean(rows: Int[np.ndarray, " some"]) -> float:
            return float(np.mean([area(ranks[rows], truth[rows]) for ranks, truth in columns]))

        few, value = len(ranked) <= RESAMPLED_CLASSES, mean(np.arange(len(y)))
        return case.finding(
            f"uncertainty.{name}", value, interval=case.interval(name, mean, np.arange(len(y))) if few else None,
            statement=f"Of {whose}: the {told} is {value:.3f}, {chance:.3f} by chance.",
            series={"classes": [case.examples.class_name(int(label)) for label in ranked]},
            no_interval="all resamples rank alike" if few else "resampling the areas of so many classes takes long",
        )  # fmt: skip

    share = float(np.mean([(y == label).mean() for label in ranked]))
    return [
        made("auroc", detection.roc_area, "share of pairs ranked rightly", 0.5),
        made("aupr", detection.average_precision, "precision averaged over the recalls", share),
    ]


def _area(name: str) -> OfRows:
    """The area from the rows, where it is that of one class."""

    def of_rows(finding: Finding, rows: Mapping[str, np.ndarray]) -> tuple[Statistic, tuple[np.ndarray, ...]]:
        from trustworthy.metrics import detection

        ranks = np.unique(rows["rarer_class"], return_inverse=True)[1]
        return getattr(detection, name), (ranks, rows["class"] == str(finding.series["classes"][0]))

    return of_rows


def draw(shown: Shown) -> list[Panel]:
    """All scores of all models in one table."""
    lead = (
        "Accuracy and calibration together, in one number: lower is better for NLL and Brier. The areas, higher is "
        "better, say how well the probability of a class finds its examples, however rare."
    )
    rows = []
    for group in shown.groups:
        cells = {item.model: item.measured for item in group.items}
        rows.append(row(group.title, [cells.get(model, "–") for model in shown.models]))
    scores = table("Scores by model", ["score", *shown.models], rows, label="Scores")
    below = element("div", *(line for group in shown.groups for line in group.statements()), look="muted")
    return [Panel("Scores of the predicted probabilities", lead, [scores, below])]


KIND = Kind(
    name="score", step="uncertainty.scores", property="uncertainty", measure=measure, draw=draw,
    series=Ranking,
    findings={
        "uncertainty.nll": Judged("Negative log-likelihood", higher_is_better=False, rows=mean_of("nll")),
        "uncertainty.brier": Judged("Brier score", higher_is_better=False, rows=mean_of("brier")),
        "uncertainty.auroc": Judged("Area under the ROC curve (AUROC)", higher_is_better=True, rows=_area("roc_area")),
        "uncertainty.aupr": Judged(
            "Area under the precision-recall curve (AUPR)", higher_is_better=True, rows=_area("average_precision")
        ),
    },
)  # fmt: skip
