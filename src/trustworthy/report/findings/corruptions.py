"""Accuracy under the corruptions that happen without an adversary."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from markupsafe import Markup
from pydantic import Field

from trustworthy.core import seeds
from trustworthy.report import panel
from trustworthy.report.finding import Number, Series, null_where_nan
from trustworthy.report.kind import Judged, Kind, Measured, NotApplicable, Rule, mean_of
from trustworthy.report.markup import element, heading, heat
from trustworthy.report.panel import Item, Panel, Shown, row
from trustworthy.report.settings import Rows, Section, in_profiles

if TYPE_CHECKING:
    from torch import Tensor

    from trustworthy.report.case import Case
    from trustworthy.report.rows import Examples


class Settings(Section):
    """The 15 common corruptions of `rows` examples, at `severities` out of 1..5."""

    rows: Rows
    severities: Annotated[list[Annotated[int, Field(ge=1, le=5)]], Field(min_length=1)]


class Corruptions(Series):
    """Accuracy under each corruption (row) at each severity (column)."""

    aligned: ClassVar = ("names", "groups", "accuracy")

    clean: Number
    names: list[str]
    groups: list[str] = Field(default_factory=list)
    severities: list[int] = Field(default_factory=list)
    accuracy: list[list[Number]]


def measure(case: Case, settings: Settings) -> Measured:
    """Accuracy under each of the 15 corruptions at each severity of the plan."""
    import torch

    from trustworthy.datasets.corruptions import CORRUPTIONS

    _check_applicable(case.examples)
    severities = settings.severities
    rows = torch.from_numpy(case.sample("corruptions", settings.rows))
    x, y = case.examples.x[rows], case.examples.y[rows].numpy()
    scale = "imagenet-c" if min(x.shape[2:]) >= 128 else "cifar10-c"
    correct = np.full((len(CORRUPTIONS), len(severities), len(rows)), np.nan)
    for i, name in enumerate(CORRUPTIONS):
        for j, severity in enumerate(severities):
            disturbed = corrupted(case, x, name, severity, scale)
            if not torch.equal(disturbed, x):  # small images survive the mildest blurs as they were
                correct[i, j] = case.classify(disturbed) == y
            case.advance((i * len(severities) + j + 1) / correct[..., 0].size)
    clean = float(case.correct[rows.numpy()].mean())
    changes = ~np.isnan(correct[..., 0])
    accuracies = correct.mean(axis=2)
    each = correct[changes].mean(axis=0)
    value = float(each.mean())
    of_each = [
        float(values[kept].mean()) if kept.any() else 1.0 for values, kept in zip(accuracies, changes, strict=True)
    ]
    hardest = list(CORRUPTIONS)[int(np.argmin(of_each))]
    same = [f"{list(CORRUPTIONS)[i].replace('_', ' ')} at severity {severities[j]}" for i, j in np.argwhere(~changes)]
    found = case.finding(
        "robustness.corruptions", value, judged=value / clean if clean else None,
        interval=case.interval("corruptions", np.mean, each, most=1.0),
        statement=f"Over 15 corruptions at severities {', '.join(map(str, severities))} accuracy is "
        f"{value:.1%} on average, {clean:.1%} without; the hardest is {hardest.replace('_', ' ')} "
        f"({min(of_each):.1%})." + (f" Left out, as it changes no pixel here: {', '.join(same)}." if same else ""),
        series={
            "clean": clean, "names": list(CORRUPTIONS), "groups": list(CORRUPTIONS.values()), "severities": severities,
            "accuracy": [null_where_nan(values) for values in accuracies],
        },
        conditions={"n": len(rows), "scale": scale, "severities": severities},
    )  # fmt: skip
    return Measured([found], rows={"corrupted": case.column(rows.numpy(), each)})


def corrupted(case: Case, x: Tensor, name: str, severity: int, scale: str) -> Tensor:
    """`x` under one corruption; the same for every model, so that models are compared on the same images."""
    from trustworthy.datasets.corruptions import corrupt

    return corrupt(x, name, severity, seeds.numpy_generator(case.seed, "corruptions", name, severity), scale=scale)


def _check_applicable(examples: Examples) -> None:
    if examples.domain.kind != "image":
        raise NotApplicable("the corruptions are defined for images, the data are a table.")
    channels, *sides = examples.x.shape[1:]
    if channels not in (1, 3) or min(sides) < 8:
        raise NotApplicable(
            "the corruptions are defined for images of 1 or 3 channels from 8 pixels up, "
            f"got {tuple(examples.x.shape[1:])}."
        )


def draw(shown: Shown) -> list[Panel]:
    """A table of colours for each model."""
    lead = "Accuracy in per cent under disturbances that nobody designed, by severity from 1 (mild) to 5."
    scale = Markup('<div class="scale" aria-hidden="true"><span>100% right</span><i></i><span>all wrong</span></div>')
    return [Panel(group.title, lead, [scale, group.side_by_side(_model)]) for group in shown.groups]


def _model(item: Item) -> list[str]:
    s = item.series
    width = max(map(len, s.accuracy), default=0)
    rows = []
    for i, accuracies in enumerate(s.accuracy):
        if s.groups and (i == 0 or s.groups[i] != s.groups[i - 1]):
            rows.append(row(element("th", s.groups[i], look="group", colspan=width + 2, scope="colgroup")))
        rows.append(row(s.names[i].replace("_", " "), [*map(_heat, accuracies), _heat(mean(accuracies))]))
    means = [mean(values) for values in columns(s.accuracy)]
    rows.append(row("mean", [*map(_heat, means), _heat(mean(map(mean, s.accuracy)))], look="total"))
    rows.append(row("undisturbed", [element("td", colspan=width), _heat(s.clean)]))
    unseen = heading(element("span", "corruption", look="hidden"))
    head = [unseen, *map(str, s.severities or range(1, width + 1)), "mean"]
    caption, label = "Accuracy in per cent by corruption and severity", f"Accuracy under corruptions, {item.model}"
    return [item.statement(), panel.table(f"{caption}, {item.model}", head, rows, label, "grid heat")]


def _heat(accuracy: float) -> Markup:
    return heat(1.0 - accuracy, f"{100 * accuracy:.0f}" if accuracy == accuracy else "–")


def mean(values: Iterable[float]) -> float:
    """Mean of the values that were measured; NaN if none was."""
    measured = [value for value in values if not math.isnan(value)]
    return sum(measured) / len(measured) if measured else math.nan


def columns(rows: Iterable[Sequence[float]]) -> list[tuple[float, ...]]:
    """Columns of a table given by rows, short rows filled with NaN."""
    return list(zip_longest(*rows, fillvalue=math.nan))


RULE = Rule("mean accuracy under corruptions, divided by the clean accuracy", 0.9, 0.7)
KIND = Kind(
    name="corruptions", step="robustness.corruptions", property="robustness", series=Corruptions, cost=2,
    measure=measure, draw=draw,
    findings={
        "robustness.corruptions": Judged(
            "Accuracy under common corruptions", RULE, share=True, higher_is_better=True, headline=True,
            rows=mean_of("corrupted"),
        )
    },
    settings=in_profiles(Settings, rows=(50, 150, 0), severities=([1, 3, 5], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5])),
)  # fmt: skip
