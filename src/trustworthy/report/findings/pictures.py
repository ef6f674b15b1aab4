"""Examples before and after an attack."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Int
from markupsafe import Markup
from pydantic import Field

from trustworthy.report import formatting, plots
from trustworthy.report.finding import Number, Series, null_where_nan
from trustworthy.report.kind import Judged, Kind, Measured, NotApplicable
from trustworthy.report.markup import element, image, outcome
from trustworthy.report.panel import Group, Item, Panel, Shown, note, row, table
from trustworthy.report.settings import Count, Section, in_profiles

if TYPE_CHECKING:
    from trustworthy.attacks import Attack
    from trustworthy.report.case import Case

ATTACKED_PER_SHOWN = 4
CHANGES_SHOWN = 5
_READ, _MISREAD = Markup("is <b>{}</b><br>read as <b>{}</b>"), Markup("attacked:<br>read as <b>{}</b>")
_ROW = Markup("is <b>{}</b>, read as <b>{}</b>; after the attack as <b>{}</b>")


class Settings(Section):
    """Examples `shown` before and after the first attack."""

    shown: Count


class AdversarialExamples(Series):
    """Examples before and after an attack; images as (k, c, h, w), tables as (k, d) with `features` naming columns."""

    aligned: ClassVar = ("label", "prediction", "adversarial_prediction", "distance")
    roles: ClassVar[frozenset[str]] = frozenset({"original", "adversarial"})

    label: list[str | int]
    prediction: list[str | int]
    adversarial_prediction: list[str | int]
    distance: list[Number] = Field(default_factory=list)
    eps: float | None = None
    amplification: float = 1.0
    features: list[str] = Field(default_factory=list)


def measure(case: Case, settings: Settings) -> Measured:
    """A few examples under the first attack of the plan that applies, at the headline radius (linf if it can).

    More are attacked than shown, because an attack that fails shows nothing; those that it broke are shown first, and
    the value says how many of all there are.
    """
    from trustworthy.attacks.evaluate import attacked

    norm, domain, name = _norm(case), case.examples.domain, case.examples.class_name
    if domain.kind == "text":
        raise NotApplicable("what is shown is a changed image or row, and embeddings of texts are neither.")
    eps = case.headline(norm)
    attack = case.built(case.arsenal(norm)[0], norm, eps)
    model, x, y = case.attacked
    tried = spread_over_classes(case, ATTACKED_PER_SHOWN * settings.shown)
    result = attacked(model, attack, x[tried], y[tried], judge=case.judge, **case.attacking("pictures", tried))
    success = result.success.cpu().numpy()
    moved = result.distance.cpu().numpy()
    changed = np.flatnonzero(success | (moved > 0.0))  # an attack may have found nothing and left the input as it was
    order = changed[np.argsort(~success[changed], kind="stable")]
    shown = np.sort(order[: settings.shown]) if len(order) else np.array([0])
    rows = tried[shown]
    before, after = (domain.as_given(z) for z in (x[rows], result.adversarial[shown]))
    size = float((after - before).abs().max())
    keys = {role: f"{case.subject.name}/{role}" for role in ("original", "adversarial")}
    finding = case.finding(
        f"robustness.{norm}.pictures", float(success.mean()), arrays=keys, interval=case.share(success),
        statement=f"{_told(attack, success, moved)} ({norm}, {domain.units}); {_are(len(rows))} shown.",
        series={
            "label": [name(label) for label in y[rows].tolist()],
            "prediction": [name(int(case.predictions[row])) for row in rows],
            "adversarial_prediction": [name(label) for label in case.classify(after.cpu()).tolist()],
            "distance": null_where_nan(moved[shown]),
            "eps": eps, "amplification": float(f"{0.5 / size:.1g}") if domain.kind == "image" and size > 0 else 1.0,
            "features": case.examples.labelled_features,
        },
        conditions={"n": len(tried), "attacks": [repr(attack)], "norm": norm, "units": domain.units},
    )  # fmt: skip
    return Measured([finding], {keys["original"]: before.cpu().numpy(), keys["adversarial"]: after.cpu().numpy()})


def _are(count: int) -> str:
    return f"{count} {'is' if count == 1 else 'are'}"


def _told(attack: Attack, success: np.ndarray, moved: np.ndarray) -> str:
    """How many of the attacked examples are misclassified, after how large a change."""
    from trustworthy.attacks import BudgetAttack

    if success.any():
        return (
            f"{success.sum()} of {len(success)} attacked examples "
            f"{'is' if success.sum() == 1 else 'are'} misclassified after a change of at most "
            f"{moved[success].max():.3g}"
        )
    tried = f"changes of up to {attack.eps:.3g}" if isinstance(attack, BudgetAttack) else "the changes that were tried"
    return f"None of {len(success)} attacked examples is misclassified after {tried}"


def spread_over_classes(case: Case, count: int) -> Int[np.ndarray, " kept"]:
    """Rows of up to `count` correctly classified examples, evenly over the classes, in the order of the data."""
    from trustworthy.datasets.draw import turns

    rows = np.flatnonzero(case.correct)
    return np.sort(rows[np.argsort(turns(case.labels[rows])[0], kind="stable")[:count]])


def _norm(case: Case) -> str:
    try:
        case.arsenal("linf")
    except NotApplicable:
        return "l2"
    return "linf"


def draw(shown: Shown) -> list[Panel]:
    """Every example of each model."""
    return [Panel(group.title, "", [_model(group, item) for item in group.items]) for group in shown.groups]


def _model(group: Group, item: Item) -> Markup:
    images = item.arrays["original"].ndim == 4
    lead = note(_lead(group, item, images=images)) if item is group.items[0] else ""
    shown = [_images(item, i) for i in range(len(item.series.label))] if images else _rows(item)
    examples = element("div", *shown, look="examples" if images else "examples rows")
    return element("div", item.head, lead, item.statement(), examples, style="margin-top: 1.1rem")


def _lead(group: Group, item: Item, *, images: bool) -> str:
    s = item.series
    lead = "Rows before and after the attack; the features that changed most, in the spread of the rows shown."
    if images:
        lead = (
            "Left the original, in the middle what the attack made of it, right the difference, amplified "
            f"{formatting.number(s.amplification)} times (blue: darker, vermilion: brighter)."
        )
    return lead if s.eps is None else f"{lead} {group.norm} eps {formatting.number(s.eps)}."


def _fooled(item: Item, i: int) -> bool:
    return str(item.series.adversarial_prediction[i]) != str(item.series.label[i])


def _distance(item: Item, i: int) -> str:
    distance = item.series.distance[i] if item.series.distance else np.nan
    return "" if np.isnan(distance) else f"distance {formatting.number(distance)}"


def _images(item: Item, i: int) -> Markup:
    s, before, after = item.series, item.arrays["original"][i], item.arrays["adversarial"][i]
    label, read, misread = s.label[i], s.prediction[i], s.adversarial_prediction[i]
    amplified = f"the difference, amplified {formatting.number(s.amplification)} times"
    distance = _distance(item, i)
    held = outcome(fooled=_fooled(item, i)) + (Markup("<br>") + distance if distance else "")
    pictures = [
        (plots.picture_png(before), f"original example of {label}", _READ.format(label, read)),
        (plots.picture_png(after), f"the same after the attack, read as {misread}", _MISREAD.format(misread)),
        (plots.difference_png(before, after, s.amplification), amplified, held),
    ]
    figures = [element("figure", image(source, shows), element("figcaption", said)) for source, shows, said in pictures]
    return element("div", *figures, look="triple")


def _rows(item: Item) -> list[Markup]:
    s, boxes = item.series, []
    for i, rows in enumerate(_changes(item)):
        text = _ROW.format(s.label[i], s.prediction[i], s.adversarial_prediction[i])
        distance = element("span", _distance(item, i), look="muted")
        said = element("p", text, " ", outcome(fooled=_fooled(item, i)), " ", distance)
        label = f"Row {i + 1}, features before and after the attack"
        head = ["feature", "original", "attacked"]
        shown = table("Features before and after the attack", head, rows or [row("nothing changed", ["", ""])], label)
        boxes.append(element("div", said, shown))
    return boxes


def _changes(item: Item) -> list[list[Markup]]:
    """Per attacked row of a table, the features that changed most in the spread of the rows shown."""
    # A value that is missing is held: for the comparison it is the same number before and after.
    before, after = (np.nan_to_num(item.arrays[role], nan=0.0) for role in ("original", "adversarial"))
    known, number = item.series.features, formatting.number
    names = [*known, *(f"feature {column}" for column in range(len(known), before.shape[1]))]
    spread = np.concatenate([before, after]).std(axis=0)
    size = np.abs(after - before) / np.where(spread > 0, spread, 1.0)
    found = []
    for old, new, order in zip(before, after, np.argsort(-size, axis=1, kind="stable"), strict=True):
        changed = [column for column in order[:CHANGES_SHOWN] if old[column] != new[column]]
        arrows = {column: "↑" if new[column] > old[column] else "↓" for column in changed}
        values = {c: [number(float(old[c])), f"{number(float(new[c]))} {arrow}"] for c, arrow in arrows.items()}
        found.append([row(names[column], cells) for column, cells in values.items()])
    return found


KIND = Kind(
    name="adversarial_pictures", step="robustness.pictures", property="robustness", series=AdversarialExamples,
    attacks=True, cost=1, measure=measure, draw=draw,
    findings={
        f"robustness.{norm}.pictures": Judged(f"What an attack changes, {norm}", share=True) for norm in ("linf", "l2")
    },
    settings=in_profiles(Settings, shown=8),
)  # fmt: skip
