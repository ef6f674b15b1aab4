"""Accuracy under the corruptions that happen without an adversary."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int
from markupsafe import Markup
from pydantic import BaseModel, Field

from trustworthy.core import seeds
from trustworthy.core.progress import portion
from trustworthy.report import panel
from trustworthy.report.finding import Number, Series, null_where_nan
from trustworthy.report.kind import Judged, Kind, Measured, NotApplicable, Rule, mean_of
from trustworthy.report.markup import element, heading, heat
from trustworthy.report.panel import Item, Panel, Shown, row
from trustworthy.report.settings import Rows, Section, in_profiles

if TYPE_CHECKING:
    from torch import Tensor

    from trustworthy.report.case import Case

COLUMNS_SHOWN = 10


class Settings(Section):
    """The corruptions of images or tables on `rows` examples, at `severities` out of 1..5."""

    rows: Rows
    severities: Annotated[list[Annotated[int, Field(ge=1, le=5)]], Field(min_length=1)]


class OfColumn(BaseModel):
    """Accuracy where all rows of one column of a table are corrupted, by what is done to them."""

    name: str
    accuracy: dict[str, Number]


class Corruptions(Series):
    """Accuracy under each corruption (row) at each severity (column).

    amounts : what the severities are, for each name.
    left_out : names that were not measured, and why.
    per_column : of a table, the worst first.
    """

    aligned: ClassVar = ("names", "groups", "amounts", "accuracy")

    clean: Number
    names: list[str]
    groups: list[str] = Field(default_factory=list)
    amounts: list[str] = Field(default_factory=list)
    severities: list[int] = Field(default_factory=list)
    accuracy: list[list[Number]]
    left_out: dict[str, str] = Field(default_factory=dict)
    per_column: list[OfColumn] = Field(default_factory=list)


def measure(case: Case, settings: Settings) -> Measured:
    """Accuracy under each corruption at each severity of the plan; of a table, in each of its columns too."""
    rows = case.sample("corruptions", settings.rows)
    if case.examples.domain.kind == "image":
        return _of_images(case, rows, settings.severities)
    if case.examples.domain.kind == "table":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # models warn of what is done to their rows here
            return _of_a_table(case, rows, settings.severities)
    raise NotApplicable("the corruptions are defined for images and tables.")


def _of_images(case: Case, rows: Int[np.ndarray, " n"], severities: list[int]) -> Measured:
    from trustworthy.datasets.corruptions import CORRUPTIONS, corrupt
    from trustworthy.report.corrupted import scale_of

    x, scale = case.examples.x[rows], scale_of(case.examples.x)

    def disturbed(name: str, severity: int) -> Tensor:
        """The same for every model, so that models are compared on the same images."""
        return corrupt(x, name, severity, seeds.numpy_generator(case.seed, "corruptions", name, severity), scale=scale)

    correct = _correct(case, rows, [*CORRUPTIONS], severities, disturbed)
    return _measured(case, rows, CORRUPTIONS, severities, correct, conditions={"scale": scale})


def _of_a_table(case: Case, rows: Int[np.ndarray, " n"], severities: list[int]) -> Measured:
    from trustworthy.datasets.corruptions import TABLE_CORRUPTIONS
    from trustworthy.report.corrupted import CorruptedTable, amounts

    groups = {name: each.among for name, each in TABLE_CORRUPTIONS.items()}
    first, second = (replace(case, advance=portion(case.advance, half, 2)) for half in (0, 1))
    table = CorruptedTable(second, rows)
    correct = _correct(first, rows, [*groups], severities, table.disturbed)
    per_column = table.per_column(max(severities))
    series = {"amounts": [*amounts(severities).values()], "left_out": table.left_out, "per_column": per_column}
    return _measured(
        case, rows, groups, severities, correct, series=series, more=table.said(per_column, max(severities))
    )


def _correct(
    case: Case,
    rows: Int[np.ndarray, " n"],
    names: Sequence[str],
    severities: Sequence[int],
    disturbed: Callable[[str, int], Tensor],
) -> Float[np.ndarray, "names severities n"]:
    """Whether each row is classified correctly under each corruption at each severity; NaN where none is changed."""
    x, y = case.examples.x[rows].numpy(), case.labels[rows]
    correct = np.full((len(names), len(severities), len(rows)), np.nan)
    for i, name in enumerate(names):
        for j, severity in enumerate(severities):
            shown = disturbed(name, severity)
            if not np.array_equal(shown.numpy(), x, equal_nan=True):  # the mildest blurs leave small images
                correct[i, j] = case.classify(shown) == y
            case.advance((i * len(severities) + j + 1) / correct[..., 0].size)
    return correct


def _measured(
    case: Case,
    rows: Int[np.ndarray, " n"],
    groups: Mapping[str, str],
    severities: list[int],
    correct: Float[np.ndarray, "names severities n"],
    *,
    conditions: dict[str, Any] | None = None,
    series: dict[str, Any] | None = None,
    more: str = "",
) -> Measured:
    changes = ~np.isnan(correct[..., 0])
    if not changes.any():
        raise NotApplicable("no corruption changes these rows.")
    clean, each = float(case.correct[rows].mean()), correct[changes].mean(axis=0)
    value, names, accuracies = float(each.mean()), [name.replace("_", " ") for name in groups], correct.mean(axis=2)
    of_each = [
        float(values[kept].mean()) if kept.any() else 1.0 for values, kept in zip(accuracies, changes, strict=True)
    ]
    hardest = int(np.argmin(of_each))
    nothing = "changes no pixel" if case.examples.domain.kind == "image" else "changes nothing"
    asked = [name not in (series or {}).get("left_out", ()) for name in groups]
    same = _unchanged([name for name, kept in zip(names, asked, strict=True) if kept], severities, changes[asked])
    found = case.finding(
        "robustness.corruptions", value, judged=value / clean if clean else None,
        interval=case.interval("corruptions", np.mean, each, most=1.0),
        statement=f"Over {int(changes.any(1).sum())} corruptions at severities {', '.join(map(str, severities))} "
        f"accuracy is {value:.1%} on average, {clean:.1%} without; the hardest is {names[hardest]} "
        f"({of_each[hardest]:.1%}).{more}" + (f" Left out, as it {nothing} here: {', '.join(same)}." if same else ""),
        series={
            "clean": clean, "names": [*groups], "groups": [*groups.values()], "severities": severities,
            "accuracy": [null_where_nan(values) for values in accuracies], **(series or {}),
        },
        conditions={"n": len(rows), "severities": severities, **(conditions or {})},
    )  # fmt: skip
    return Measured([found], rows={"corrupted": case.column(rows, each)})


def _unchanged(
    names: Sequence[str], severities: Sequence[int], changes: Bool[np.ndarray, "names severities"]
) -> list[str]:
    """Corruptions that change nothing, at all of several severities or at some."""
    same = []
    for name, kept in zip(names, changes, strict=True):
        none = len(severities) > 1 and not kept.any()
        same += [name] if none else [f"{name} at severity {severities[j]}" for j in np.flatnonzero(~kept).tolist()]
    return same


def draw(shown: Shown) -> list[Panel]:
    """A table of colours for each model, and one of the columns of a table."""
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
        rows.append(row(_named(s, i), _cells(accuracies, s.left_out.get(s.names[i], ""))))
    means = [mean(values) for values in columns(s.accuracy)]
    rows.append(row("mean", [*map(_heat, means), _heat(mean(map(mean, s.accuracy)))], look="total"))
    rows.append(row("undisturbed", [element("td", colspan=width), _heat(s.clean)]))
    unseen = heading(element("span", "corruption", look="hidden"))
    head = [unseen, *map(str, s.severities or range(1, width + 1)), "mean"]
    caption, label = "Accuracy in per cent by corruption and severity", f"Accuracy under corruptions, {item.model}"
    grid = panel.table(f"{caption}, {item.model}", head, rows, label, "grid heat")
    return [item.statement(), grid, *_per_column(item)]


def _named(s: Corruptions, place: int) -> Markup:
    """Heading of a row, with what the severities are where that is known."""
    amount = Markup("<br>") + element("span", s.amounts[place], look="muted") if s.amounts else ""
    return element("th", s.names[place].replace("_", " "), amount, scope="row")


def _cells(accuracies: Sequence[float], why_not: str) -> list[Markup]:
    if why_not:
        return [element("td", why_not.partition(":")[0], look="muted", colspan=len(accuracies) + 1)]
    return [*map(_heat, accuracies), _heat(mean(accuracies))]


def _per_column(item: Item) -> list[Markup]:
    """Which column hurts most: the worst few, and the others folded away."""
    found = item.series.per_column
    if not found:
        return []
    done = list(dict.fromkeys(way for column in found for way in column.accuracy))
    rows = [row(c.name, [_heat(c.accuracy.get(way, math.nan)) for way in done]) for c in found]
    caption, head = "The same where all rows of one column are corrupted, worst first.", ["column", *done]
    label = f"Accuracy with one column corrupted, {item.model}"
    worst = panel.table(caption, head, rows[:COLUMNS_SHOWN], label, "grid heat", captioned=True)
    if len(rows) <= COLUMNS_SHOWN:
        return [worst]
    others = panel.table(caption, head, rows[COLUMNS_SHOWN:], f"{label}, continued", "grid heat")
    return [worst, panel.details(f"The {len(rows) - COLUMNS_SHOWN} columns after these", others)]


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
