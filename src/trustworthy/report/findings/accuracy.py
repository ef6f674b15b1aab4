"""How often the model is right on clean examples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool
from markupsafe import Markup
from pydantic import AliasChoices, BaseModel, Field

from trustworthy.report import formatting, panel
from trustworthy.report.finding import Finding, Number, Series
from trustworthy.report.kind import Judged, Kind, Measured, Rule, Statistic, mean_of
from trustworthy.report.markup import bar, claim, heading, heat
from trustworthy.report.panel import Item, Panel, Shown

if TYPE_CHECKING:
    from trustworthy.report.case import Case

PARTS_SHOWN = 20
"""Classes or groups in a table."""
FEW_ROWS = 20
"""Examples of a class, less than half as many as an even share, below which the page says how few there are."""
FEW_GROUPS = 10
"""Groups below which the page says why the interval is wide: Student's quantile is 15% larger than that of many."""
RULE = Rule("share of the error of always guessing the commonest class that the model removes", 0.9, 0.5)


class PartAccuracy(BaseModel):
    """Accuracy on the examples of one group, or of one class: its recall, with the F1 of its precision and recall."""

    name: str | int = Field(validation_alias=AliasChoices("name", "class"))
    accuracy: Number
    n: int
    low: Number = math.nan
    high: Number = math.nan
    f1: Number = math.nan


class Accuracy(Series):
    """Share of examples classified correctly, overall, by class and by group.

    group, per_group : name of the column that says which rows belong together, and each of its groups.
    classes, confusion : every class that is there or predicted, and counts of the examples of each (row) that are taken
        for each (column).
    """

    aligned: ClassVar = ("classes", "confusion")

    n: int
    per_class: list[PartAccuracy] = Field(default_factory=list)
    classes: list[str | int] = Field(default_factory=list)
    confusion: list[list[int]] = Field(default_factory=list)
    group: str = ""
    per_group: list[PartAccuracy] = Field(default_factory=list)


def measure(case: Case, settings: Any) -> Measured:
    """Accuracy, overall, per class and averaged over the classes, and what is taken for what."""
    labels, name = case.labels, case.examples.class_name
    seen = np.union1d(labels, case.predictions)
    confusion = np.zeros((len(seen), len(seen)), dtype=np.int64)
    np.add.at(confusion, (np.searchsorted(seen, labels), np.searchsorted(seen, case.predictions)), 1)
    per_class = [_of_class(case, int(label)) for label in np.unique(labels)]
    per_group = _per_group(case)
    found = [case.finding(
        "accuracy", case.accuracy, judged=case.accuracy_above_guessing,
        statement=_told(case, per_class) + _told_of_groups(case, per_group), interval=_interval(case), series={
            "n": len(labels), "per_class": per_class, "classes": [name(int(label)) for label in seen],
            "confusion": confusion.tolist(),
            **({"group": case.examples.group, "per_group": per_group} if per_group else {}),
        },
        conditions={
            "commonest_class_share": case.commonest_share, **({"groups": len(per_group)} if per_group else {}),
        },
    )]  # fmt: skip
    if len(per_class) > 1:
        found.append(_balanced(case, per_class))
    return Measured(found)


def _told(case: Case, per_class: list[dict[str, Any]]) -> str:
    """The accuracy, that of the weakest class, and how few examples the rarest has."""
    n, rows = len(case.labels), case.examples.available
    told = f"{case.accuracy:.1%} of {n} examples are classified correctly"
    if len(per_class) < 2:
        return f"{told}."
    weakest, rarest = (min(per_class, key=lambda row: row[key]) for key in ("accuracy", "n"))
    told += f"; the weakest class is {weakest['class']} with {_written(weakest)}."
    if (few := rarest["n"]) < min(FEW_ROWS, n / len(per_class) / 2):
        told += f" Only {few} of these examples {'is' if few == 1 else 'are'} of the class {rarest['class']}"
        told += f"; --limit 0 takes all {rows:,} rows." if rows > n else "."
    return told


def _interval(case: Case) -> tuple[float, float]:
    """Of the accuracy: exact, or by the groups of the rows."""
    from trustworthy.metrics import grouped_interval

    groups = np.array(case.examples.groups, dtype=str)
    return grouped_interval(case.correct, groups, case.level) if len(groups) else case.share(case.correct)


def _per_group(case: Case) -> list[dict[str, Any]]:
    """Accuracy on each group with its exact interval, worst first.

    Worst is the lowest upper end: a group of two rows is not the worst for one mistake.
    """
    groups = np.array(case.examples.groups, dtype=str)
    rows = [{"name": name, **_of_rows(case, groups == name)} for name in dict.fromkeys(case.examples.groups)]
    return sorted(rows, key=lambda row: (row["high"], row["accuracy"]))


def _told_of_groups(case: Case, per_group: list[dict[str, Any]]) -> str:
    if len(per_group) < 2:
        return ""
    worst = per_group[0]
    few = " The interval of the accuracy is wide because so few groups tell little of others."
    return (
        f" Of the {len(per_group):,} groups by {case.examples.group} the worst is {worst['name']} with "
        f"{_written(worst)}.{few * (len(per_group) < FEW_GROUPS)}"
    )


def _of_class(case: Case, label: int) -> dict[str, Any]:
    """Row of the table for a class: accuracy with its exact interval, number of examples and F1."""
    own, taken = case.labels == label, case.predictions == label
    f1 = 2 * int((own & taken).sum()) / int(own.sum() + taken.sum())
    return {"class": case.examples.class_name(label), **_of_rows(case, own), "f1": f1}


def _of_rows(case: Case, chosen: Bool[np.ndarray, " n"]) -> dict[str, Any]:
    """Accuracy on some of the rows with its exact interval, and how many they are."""
    right = case.correct[chosen]
    low, high = case.share(right)
    return {"accuracy": float(right.mean()), "n": len(right), "low": low, "high": high}


def _written(row: dict[str, Any]) -> str:
    return f"{row['accuracy']:.1%} ({formatting.percents(row['low'], row['high'])}, n = {row['n']})"


def _balanced(case: Case, per_class: list[dict[str, Any]]) -> Finding:
    """Mean of the accuracies of the classes.

    Its interval combines the exact ones of the classes, whose errors are independent: a distance to an end is the root
    of the sum of the squares of theirs, over the number of classes (Zou and Donner, 2008). A bootstrap would see no
    spread in a class of three examples that are all right.
    """
    value, low, high = (np.array([row[key] for row in per_class]) for key in ("accuracy", "low", "high"))
    f1 = float(np.mean([row["f1"] for row in per_class]))
    mean, count = float(value.mean()), len(per_class)
    down, up = (float(np.linalg.norm(end - value)) / count for end in (low, high))
    return case.finding(
        "accuracy.balanced", mean, interval=(max(mean - down, 0.0), min(mean + up, 1.0)),
        statement=f"Averaged over the {count} classes, however rare, {mean:.1%} of the examples are classified "
        f"correctly, and F1 is {f1:.3f}; a constant answer has {1 / count:.1%}.",
        series={"n": len(case.labels)}, conditions={"macro_f1": f1},
    )  # fmt: skip


def _balanced_rows(finding: Finding, rows: Mapping[str, np.ndarray]) -> tuple[Statistic, tuple[np.ndarray, ...]]:
    """The balanced accuracy as a mean over the rows, each weighed by how rare its class is."""
    classes, place, count = np.unique(rows["class"].astype(str), return_inverse=True, return_counts=True)
    return np.mean, (rows["right"] * (len(place) / len(classes) / count)[place],)


def draw(shown: Shown) -> list[Panel]:
    """The value of each model, and its accuracy by class, the worst first."""
    return [Panel(group.title, LEADS.get(group.name, ""), [group.side_by_side(_model)]) for group in shown.groups]


def _model(item: Item) -> list[str]:
    value: list[str] = [claim(item.finding, item.value, item.beside), *_groups(item)]
    classes = sorted(item.series.per_class, key=lambda row: row.accuracy)
    return [*value, _by(item, "class", classes), *_confusion(item)] if classes else value


def _groups(item: Item) -> list[Markup]:
    """Accuracy by group, in the order of the series."""
    if not item.series.per_group:
        return []
    lead = (
        "Worst first by the upper end of the interval, which is that of one group: among many, one looks bad by "
        "chance. The interval of the accuracy of all rows allows for rows of one group being alike; all other "
        "intervals of this report treat rows as independent."
    )
    return [_by(item, item.series.group, item.series.per_group, panel.note(lead), scored=False)]


def _by(item: Item, what: str, parts: Sequence[PartAccuracy], *lead: Markup, scored: bool = True) -> Markup:
    """The first of the `parts` folded away, with their F1 where they are `scored`."""
    rows = []
    for part in parts[:PARTS_SHOWN]:
        share = [formatting.percent(part.accuracy, 0), formatting.percents(part.low, part.high, 0)]
        f1 = [formatting.score(part.f1)] * scored
        rows.append(panel.row(str(part.name), [bar(part.accuracy), *share, *f1, formatting.number(part.n)]))
    head = [what, heading("accuracy", "text", span=2), "interval", *["F1"] * scored, "n"]
    table = panel.bars(item, f"Accuracy by {what}, worst first, {item.model}", head, rows)
    left_out = f", the {PARTS_SHOWN} worst of {len(parts):,}" if len(parts) > PARTS_SHOWN else ""
    return panel.details(f"Accuracy by {what}{left_out}", *lead, table)


def _confusion(item: Item) -> list[Markup]:
    """Examples of each class by what they are taken for; mistakes are coloured by their share of the class."""
    s = item.series
    if not 2 <= len(s.classes) <= PARTS_SHOWN:
        return []
    rows = []
    for i, (name, counts) in enumerate(zip(s.classes, s.confusion, strict=True)):
        n = max(sum(counts), 1)
        shares = (0.0 if i == j else count / n for j, count in enumerate(counts))
        cells = [heat(share, formatting.number(count)) for share, count in zip(shares, counts, strict=True)]
        rows.append(panel.row(str(name), cells))
    caption = "Rows: true class. Columns: predicted."
    label = f"Confusion matrix, {item.model}"
    table = panel.table(caption, ["", *map(str, s.classes)], rows, label, "grid heat-wide", captioned=True)
    return [panel.details("Confusion matrix", table)]


LEADS = {
    "accuracy": "Share of undisturbed examples classified correctly; every other number of this part is to be compared "
    "with it.",
    "accuracy.balanced": "Where some classes are rare, a model may earn its accuracy by the others alone.",
}
KIND = Kind(
    name="accuracy", step="accuracy", property="robustness", series=Accuracy, measure=measure, draw=draw,
    findings={
        "accuracy": Judged(
            "Accuracy on clean examples", RULE, share=True, higher_is_better=True, headline=True, rows=mean_of("right")
        ),
        "accuracy.balanced": Judged("Balanced accuracy", share=True, higher_is_better=True, rows=_balanced_rows),
    },
)  # fmt: skip
