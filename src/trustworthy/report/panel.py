"""What the page shows of the findings of one kind: panels of a few sorts of blocks, which one template draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from trustworthy.report.finding import Finding, Verdict
from trustworthy.report.plots.theme import Style, dashes_of

Block = Any
"""`Markup`, or an instance of a block class below, which the template knows by the name of the class."""
Cell = str | Markup
"""Text of a table's cell, or the whole element `<td ...>` as markup."""


@dataclass(frozen=True)
class Item:
    """A finding of one model with its series checked and its arrays read, and how the page writes it.

    id : unique on the page.
    """

    id: str
    model: str
    look: Style
    finding: Finding
    series: Any
    arrays: dict[str, np.ndarray]
    value: str
    interval: str


@dataclass(frozen=True)
class Group:
    """Findings of one name, one per model, to be seen side by side; `id` is unique on the page."""

    id: str
    name: str
    title: str
    items: list[Item]

    @property
    def norm(self) -> str:
        """Norm that the name speaks of: "robustness.linf.accuracy" -> "linf"."""
        return next((part for part in self.name.split(".") if part in {"l1", "l2", "linf"}), "")

    @property
    def curves(self) -> list[tuple[str, Style, Any]]:
        """Name, look and series of each model."""
        return [(item.model, item.look, item.series) for item in self.items]

    def side_by_side(self, draw: Callable[[Item], Sequence[Block]], tag: str = "div") -> Box:
        """Blocks of each model below its name, beside one another."""
        boxes = [Box([Head(item), *draw(item)], tag=tag) for item in self.items]
        return Box(boxes, look="columns one" if len(self.items) == 1 else "columns")


@dataclass(frozen=True)
class Shown:
    """The groups of one kind, and what else of the audit a figure may need.

    models : names in the order of the audit. units : of a radius.
    beside : the groups of another kind, by its name.
    """

    groups: list[Group]
    models: list[str]
    units: str
    beside: Callable[[str], list[Group]]

    @property
    def compares(self) -> bool:
        """Whether there are several models."""
        return len(self.models) > 1


@dataclass(frozen=True)
class Panel:
    """A heading, a sentence that says how to read what follows, and blocks."""

    title: str
    lead: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Box:
    """Blocks within one element."""

    blocks: Sequence[Block]
    look: str = ""
    tag: str = "div"
    style: str = ""


@dataclass(frozen=True)
class Details:
    """Blocks that are folded away."""

    summary: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Head:
    """Name of the model of what follows, where the page shows several."""

    item: Item


@dataclass(frozen=True)
class Note:
    """A muted paragraph."""

    text: str | Markup


@dataclass(frozen=True)
class Statement:
    """The verdict and the sentence of a finding; `named` says of which model."""

    item: Item
    named: bool = False


@dataclass(frozen=True)
class Claim:
    """The value of a finding, large, with its interval, verdict and sentence."""

    item: Item


@dataclass(frozen=True)
class Legend:
    """Lines of a figure: models by their look, others by a small picture of the line."""

    label: str
    models: Sequence[tuple[str, Style]] = ()
    lines: Sequence[tuple[str, Markup]] = ()
    plain: bool = False


@dataclass(frozen=True)
class Row:
    """A row of a table."""

    head: Cell
    cells: Sequence[Cell] = ()
    look: str = ""


@dataclass(frozen=True)
class Table:
    """A table; `caption` is what a screen reader calls it, and is seen where `captioned`.

    look : "grid" and further classes. label : names the region of a table that may be wider than the page.
    """

    caption: str
    head: Sequence[Cell]
    rows: Sequence[Row]
    label: str = ""
    look: str = "grid"
    style: str = ""
    captioned: bool = False
    head_look: str = ""


@dataclass(frozen=True)
class Checklist:
    """Questions with their answers: (verdict or None, name, value as text, explanation)."""

    rows: Sequence[tuple[Verdict | None, str, str, str]]


@dataclass(frozen=True)
class Picture:
    """An image as a data URI, what it shows, and what stands below it."""

    source: str
    shows: str
    caption: str | Markup = ""
    outcome: bool | None = None


@dataclass(frozen=True)
class Pictures:
    """Pictures in a row, each with its caption, or one caption for all."""

    pictures: Sequence[Picture]
    caption: str | Markup = ""


@dataclass(frozen=True)
class Outcome:
    """Markup followed by whether an attack fooled the model, and a muted rest."""

    text: Markup
    fooled: bool
    rest: str = ""


def statements(items: Sequence[Item]) -> list[Statement]:
    """Statements below a figure of several models; each says of which it speaks."""
    return [Statement(item, named=len(items) > 1) for item in items]


def figure(group: Group, plot: Markup, lines: Sequence[tuple[str, Markup]] = ()) -> Box:
    """A figure of all models with its heading, its legend and what is said of each; `lines` are no model's."""
    legend = Legend("Lines of the figure", [(item.model, item.look) for item in group.items], lines)
    caption = Box(statements(group.items), tag="figcaption")
    return Box([Markup("<h4>{}</h4>").format(group.title), plot, legend, caption], tag="figure")


def numbers(shown: Shown, group: Group, item: Item, head: Sequence[Cell], rows: Sequence[Row]) -> Table:
    """Numbers of one model in the figure of a group."""
    caption = f"{group.title}, {item.model}"
    return Table(caption if shown.compares else group.title, head, rows, label=caption, captioned=True)


def side_by_side_with_numbers(
    title: str,
    lead: str,
    shown: Shown,
    figure: Callable[[Group], Box],
    numbers: Callable[[Shown, Group, Item], Table],
) -> list[Panel]:
    """A figure of each group beside one another, the numbers of each model folded away below."""
    tables = [numbers(shown, group, item) for group in shown.groups for item in group.items]
    figures = Box([figure(group) for group in shown.groups], look="columns")
    return [Panel(title, lead, [figures, Details("The numbers of these figures", tables)])]


def bars(item: Item, caption: str, head: Sequence[Cell], rows: Sequence[Row], *, headed: bool = True) -> Table:
    """A table with a bar of the model's colour in each row; its head is seen where `headed`."""
    style = f"--bar: var({item.look.variable}){'' if headed else '; margin-top: .75rem'}"
    return Table(caption, head, rows, look="grid bars", style=style, head_look="" if headed else "hidden")


def measured(item: Item) -> Markup:
    """Cell with the value of a finding and its interval."""
    below = Markup('<br><span class="interval">{}</span>').format(item.interval) if item.interval else ""
    return Markup("<td>{}{}</td>").format(item.value, below)


def bar(share: float) -> Markup:
    """Cell with a bar as long as `share`, from 0 to 1."""
    return Markup('<td class="bar" style="--v: {}"><i></i></td>').format(f"{share:.3f}" if share == share else 0)


def heat(share: float, text: str) -> Markup:
    """Cell coloured by `share`, from 0 to 1."""
    return Markup('<td class="cell" style="--v: {}">{}</td>').format(f"{share:.2f}" if share == share else 0, text)


def column(text: str, look: str = "", span: int = 1) -> Markup:
    """Heading of a column, of a class, over `span` columns."""
    classes = Markup(' class="{}"').format(look) if look else ""
    spans = Markup(' colspan="{}"').format(span) if span > 1 else ""
    return Markup('<th scope="col"{}{}>{}</th>').format(classes, spans, text)


def unseen(text: str) -> Markup:
    """Text for a screen reader alone."""
    return Markup('<span class="hidden">{}</span>').format(text)


def dashed(place: int) -> Markup:
    """Picture of the `place`-th kind of thin line."""
    return _line(f'<path d="M1 9h42" stroke="currentColor" stroke-width="2" stroke-dasharray="{dashes_of(place)}"/>')


def bounded() -> Markup:
    """Picture of a line with what it rules out shaded."""
    return _line(
        '<path d="M0 0h44v9H0Z" fill="currentColor" opacity=".25"/>'
        '<path d="M1 9h42" stroke="var(--ink)" stroke-width="2"/>'
    )


def proved() -> Markup:
    """Picture of the line of what is proved, with the hatched gap above it."""
    return _line(
        '<path d="M2 11 9 1M13 11 20 1M24 11 31 1M35 11 42 1" stroke="currentColor" opacity=".6"/>'
        '<path d="M3 14.5h40" stroke="var(--ink)" stroke-width="4" stroke-dasharray="1 6.6" stroke-linecap="round"/>'
    )


def _line(drawing: str) -> Markup:
    return Markup(f'<svg viewBox="0 0 44 18" aria-hidden="true">{drawing}</svg>')
