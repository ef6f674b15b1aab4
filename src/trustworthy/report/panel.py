"""What the page shows of the findings of one kind: panels of blocks, which are markup."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from trustworthy.report.finding import Finding
from trustworthy.report.markup import element, model, pill, swatch
from trustworthy.report.plots.theme import Style


@dataclass(frozen=True)
class Item:
    """A finding of one model with its series checked and its arrays read, and how the page writes it.

    id : unique on the page. beside : interval of the value and number of examples, n, or that number alone.
    alone : whether the page shows no other model.
    """

    id: str
    model: str
    look: Style
    finding: Finding
    series: Any
    arrays: dict[str, np.ndarray]
    value: str
    beside: str
    counted: str = ""
    alone: bool = False

    @property
    def head(self) -> Markup:
        """Name of the model of what follows, where the page shows several."""
        return Markup("") if self.alone else element("h4", model(self.model, self.look))

    @property
    def measured(self) -> Markup:
        """Cell with the value, its interval and n."""
        below = [element("span", self.beside, look="interval")] if self.beside else []
        return element("td", self.value, *(Markup("<br>") + text for text in below))

    def statement(self, *, named: bool = False) -> Markup:
        """The verdict and the sentence of the finding, and n; `named` says of which model."""
        if not self.finding.statement:
            return Markup("")
        name = element("b", self.model) + " " if named else ""
        verdict = "" if self.finding.verdict == "information" else pill(self.finding.verdict) + " "
        counted = Markup(" ") + element("span", f"({self.counted})", look="muted") if self.counted else ""
        return element("p", name, verdict, self.finding.statement, counted, look="statement")


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

    def side_by_side(self, draw: Callable[[Item], Sequence[str]], tag: str = "div", *, wide: bool = False) -> Markup:
        """Blocks of each model below its name, beside one another; a single model fills the page where `wide`."""
        boxes = [element(tag, item.head, *draw(item)) for item in self.items]
        return element("div", *boxes, look="columns one" if len(boxes) == 1 and not wide else "columns")

    def statements(self) -> list[Markup]:
        """Statements below a figure of several models; each says of which it speaks."""
        return [item.statement(named=len(self.items) > 1) for item in self.items]

    def figure(self, plot: Markup, lines: Sequence[tuple[str, Markup]] = ()) -> Markup:
        """A figure of all models with its heading, its legend and what is said of each; `lines` are no model's."""
        models = [(item.model, item.look) for item in self.items]
        caption = element("figcaption", *self.statements())
        return element("figure", element("h4", self.title), plot, legend("Lines of the figure", models, lines), caption)


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

    def panels(self, lead: str, draw: Callable[[Item], Sequence[str]], tag: str = "div") -> list[Panel]:
        """A panel for each group, its models beside one another."""
        return [Panel(group.title, lead, [group.side_by_side(draw, tag)]) for group in self.groups]

    def with_numbers(
        self,
        title: str,
        lead: str,
        figure: Callable[[Group], Markup],
        columns: Callable[[Any], dict[str, list[str]]],
    ) -> list[Panel]:
        """A figure of each group beside one another, and columns of numbers of each series folded away below."""
        tables = [self._numbers(group, item, columns(item.series)) for group in self.groups for item in group.items]
        figures = element("div", *map(figure, self.groups), look="columns")
        return [Panel(title, lead, [figures, details("The numbers of these figures", *tables)])]

    def _numbers(self, group: Group, item: Item, columns: dict[str, list[str]]) -> Markup:
        caption = f"{group.title}, {item.model}"
        return listing(caption if len(self.models) > 1 else group.title, columns, caption, captioned=True)


@dataclass(frozen=True)
class Panel:
    """A heading, a sentence that says how to read what follows, and blocks."""

    title: str
    lead: str
    blocks: Sequence[str]


def note(text: str) -> Markup:
    """A muted paragraph."""
    return element("p", text, look="muted")


def details(summary: str, *blocks: str) -> Markup:
    """Blocks that are folded away."""
    return element("details", element("summary", summary), *blocks, look="numbers")


def legend(
    label: str, models: Sequence[tuple[str, Style]], lines: Sequence[tuple[str, Markup]] = (), *, plain: bool = False
) -> Markup:
    """Lines of a figure: models by their look, or by their `plain` name, others by a small picture of the line."""
    own = [swatch(look) + name if plain else model(name, look) for name, look in models]
    entries = [element("li", entry) for entry in (*own, *(line + name for name, line in lines))]
    return element("ul", *entries, look="legend", aria_label=label)


def row(head: str, cells: Sequence[str] = (), look: str = "") -> Markup:
    """A row of a table; a cell is text, or the whole element as markup."""
    return element("tr", _cell(head, "th", scope="row"), *map(_cell, cells), look=look)


def table(
    caption: str,
    head: Sequence[str],
    rows: Sequence[Markup],
    label: str = "",
    look: str = "grid",
    *,
    style: str = "",
    captioned: bool = False,
    headed: bool = True,
) -> Markup:
    """A table; `caption` is what a screen reader calls it, and is seen where `captioned`, as its head where `headed`.

    label : names the region of a table that may be wider than the page.
    """
    names = [_cell(name, "th", scope="col") if name else element("td") for name in head]
    drawn = element(
        "table",
        element("caption", caption, look="" if captioned else "hidden"),
        element("thead", element("tr", *names), look="" if headed else "hidden"),
        element("tbody", *rows),
        look=look,
        style=style,
    )
    return element("div", drawn, look="scroll", tabindex=0, role="region", aria_label=label) if label else drawn


def listing(caption: str, columns: Mapping[str, Iterable[str]], label: str, *, captioned: bool = False) -> Markup:
    """A table of columns by their heads; the first heads the rows."""
    rows = [row(head, cells) for head, *cells in zip(*columns.values(), strict=True)]
    return table(caption, [*columns], rows, label, captioned=captioned)


def bars(item: Item, caption: str, head: Sequence[str], rows: Sequence[Markup], *, headed: bool = True) -> Markup:
    """A table with a bar of the model's colour in each row."""
    style = f"--bar: var({item.look.variable}){'' if headed else '; margin-top: .75rem'}"
    return table(caption, head, rows, look="grid bars", style=style, headed=headed)


def _cell(content: str, tag: str = "td", **attributes: object) -> Markup:
    return content if isinstance(content, Markup) else element(tag, content, **attributes)
