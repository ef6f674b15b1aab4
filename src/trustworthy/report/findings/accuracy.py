"""How often the model is right on clean examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import AliasChoices, BaseModel, Field

from trustworthy.report import formatting, panel
from trustworthy.report.finding import Number, Series
from trustworthy.report.kind import Judged, Kind, Measured, Rule
from trustworthy.report.markup import bar, claim, heading
from trustworthy.report.panel import Item, Panel, Shown

if TYPE_CHECKING:
    from trustworthy.report.case import Case

CLASSES_SHOWN = 20
RULE = Rule("share of the error of always guessing the commonest class that the model removes", 0.9, 0.5)


class ClassAccuracy(BaseModel):
    """Accuracy on the examples of one class."""

    name: str | int = Field(validation_alias=AliasChoices("name", "class"))
    accuracy: Number
    n: int


class Accuracy(Series):
    """Share of examples classified correctly, overall and by class."""

    n: int
    per_class: list[ClassAccuracy] = Field(default_factory=list)


def measure(case: Case, settings: Any) -> Measured:
    """Accuracy, overall and per class."""
    labels, correct, name = case.labels, case.correct, case.examples.class_name
    per_class = [
        {"class": name(int(k)), "accuracy": float(correct[labels == k].mean()), "n": int((labels == k).sum())}
        for k in np.unique(labels)
    ]
    weakest = min(per_class, key=lambda row: row["accuracy"])
    sentence = f"{case.accuracy:.1%} of {len(labels)} examples are classified correctly"
    if len(per_class) > 1:
        sentence += f"; the weakest class is {weakest['class']} with {weakest['accuracy']:.1%}"
    return Measured([case.finding(
        "accuracy", case.accuracy, judged=case.accuracy_above_guessing, statement=f"{sentence}.",
        interval=case.share(correct), series={"n": len(labels), "per_class": per_class},
        conditions={"commonest_class_share": case.commonest_share},
    )])  # fmt: skip


def draw(shown: Shown) -> list[Panel]:
    """The value of each model, and its accuracy by class, the worst first."""
    lead = (
        "Share of undisturbed examples classified correctly; every other number of this part is to be compared with it."
    )
    return shown.panels(lead, _model)


def _model(item: Item) -> list[str]:
    value = claim(item.finding, item.value, item.beside)
    classes = sorted(item.series.per_class, key=lambda row: row.accuracy)
    if not classes:
        return [value]
    rows = [
        panel.row(str(row.name), [bar(row.accuracy), formatting.percent(row.accuracy, 0), formatting.number(row.n)])
        for row in classes[:CLASSES_SHOWN]
    ]
    head = ["class", heading("accuracy", "text", span=2), "n"]
    table = panel.bars(item, f"Accuracy by class, worst first, {item.model}", head, rows)
    left_out = f", the {CLASSES_SHOWN} worst of {len(classes)}" if len(classes) > CLASSES_SHOWN else ""
    return [value, panel.details(f"Accuracy by class{left_out}", table)]


KIND = Kind(
    name="accuracy", step="accuracy", property="robustness", series=Accuracy, measure=measure, draw=draw,
    findings={
        "accuracy": Judged("Accuracy on clean examples", RULE, share=True, higher_is_better=True, headline=True)
    },
)  # fmt: skip
