"""Figures that belong to the page: colours are its CSS variables, text is in its font, ids are unique."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

# Colours that are drawn with, and what each becomes on the page; matplotlib knows no CSS variables.
INK, MUTED, RULE, PAPER = "#010101", "#020202", "#030303", "#040404"
_SERIES = tuple(f"#0{place}0000" for place in range(1, 9))
_VARIABLES = {INK: "ink", MUTED: "muted", RULE: "rule", PAPER: "paper"} | {
    colour: f"series-{place}" for place, colour in enumerate(_SERIES, 1)
}
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
DASHES: tuple[Any, ...] = ((0, (5, 2)), (0, (1, 1.6)), (0, (7, 2, 1.5, 2)), (0, (3, 1.4)), (0, (9, 3)), (0, (2, 3)))


def dashes_of(place: int) -> str:
    """Dash pattern of the `place`-th of several thin lines, for the legend of the page."""
    return " ".join(f"{length * 2:g}" for length in DASHES[place % len(DASHES)][1])


WIDTH = 4.8  # inches of 72 px; narrow, so that the text is still readable when the figure is as wide as a phone
RC: Any = {
    "svg.fonttype": "none", "axes.unicode_minus": True, "font.family": "DejaVu Sans", "font.size": 11.0,
    "axes.titlesize": 11.0, "axes.labelsize": 11.0, "xtick.labelsize": 10.5, "ytick.labelsize": 10.5,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "axes.edgecolor": MUTED, "axes.labelcolor": INK, "axes.facecolor": "none", "figure.facecolor": "none",
    "text.color": INK, "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "grid.color": RULE, "grid.linewidth": 0.8, "lines.linewidth": 2.2, "lines.markersize": 5.5, "hatch.linewidth": 0.8,
}  # fmt: skip


@dataclass(frozen=True)
class Style:
    """Look of one model in every figure of the page: never told apart by colour alone.

    place : 1 for the first model of the audit.
    """

    place: int

    @property
    def colour(self) -> str:
        return _SERIES[(self.place - 1) % len(_SERIES)]

    @property
    def variable(self) -> str:
        """CSS variable of the colour."""
        return f"--{_VARIABLES[self.colour]}"

    @property
    def marker(self) -> str:
        return _MARKERS[(self.place - 1) % len(_MARKERS)]

    @property
    def ring(self) -> dict[str, Any]:
        """Arguments of a point of the model that is marked."""
        ring = {"markersize": 11, "markerfacecolor": PAPER, "markeredgewidth": 2.4, "clip_on": False}
        return {"color": self.colour, "zorder": 5, **ring}

    @property
    def bold(self) -> dict[str, Any]:
        """Arguments of the main line of the model."""
        return {"color": self.colour, "marker": self.marker, "markeredgecolor": PAPER, "markeredgewidth": 0.8}


@contextmanager
def new_figure(height: float = 3.1, rows: tuple[float, ...] = (1.0,)) -> Iterator[tuple[Figure, list[Axes]]]:
    """An empty figure of the page's width with one axes per entry of `rows`, their relative heights, in its style."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        grid = figure.subplots(len(rows), 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": rows})
        yield figure, list(grid[:, 0])


def mark(axes: Axes, x: float, text: str) -> None:
    """A dashed vertical line at `x` with `text` above it, on the side where there is room; call it after the limits."""
    low, high = axes.get_xlim()
    right = x < low + 0.6 * (high - low)
    axes.axvline(x, color=INK, linewidth=1.3, linestyle=(0, (4, 3)))
    place: Any = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    axes.annotate(text, (x, 1.0), (4 if right else -4, 3), ha="left" if right else "right", fontsize=10, **place)


def level(axes: Axes, y: float, text: str, right: float) -> None:
    """A dashed horizontal line at `y` with `text` above its left end, by so many points to the right."""
    axes.axhline(y, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
    place: Any = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    axes.annotate(text, (0.0, y), (right, 4), fontsize=10, **place)


def name_axes(axes: Axes, x: str, y: str, *, shares: str = "", decimals: int | None = None) -> None:
    """What is drawn against what; the axes in `shares`, "x", "y" or both, are written in per cent."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    for name in shares:
        axis: Any = getattr(axes, f"{name}axis")
        axis.set_major_formatter(PercentFormatter(1.0, decimals=decimals))


def to_svg(figure: Figure, name: str, description: str, *, legend: bool = False) -> Markup:
    """Inline SVG of `figure`.

    name : prefix of every id in it, unique on the page.
    description : what a screen reader says in its place.
    legend : within the figure, three entries a line; a page has its own.
    """
    if legend:
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    stream = io.StringIO()
    FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = _with_own_ids(text, name)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    text = re.sub(r"font-family: [^;\"]+; ?", "", text)
    text = re.sub(r"\n\s*", "\n", text)
    head = re.search(r'viewBox="([^"]+)"', text)
    assert head is not None
    opening = f'<svg viewBox="{head[1]}" role="img" aria-label="{escape(description)}" class="plot">'
    return Markup(opening + text[text.index(">") + 1 :])


def standalone(svg: Markup) -> str:
    """A figure of the page as a file of its own, with the page's colours, light or dark as the viewer is."""
    css = resources.files("trustworthy.report").joinpath("templates/style.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[:2]
    style = (
        f"<style>:root {{{light}}} @media (prefers-color-scheme: dark) {{:root {{{dark}}}}} "
        "svg {background: var(--paper); font-family: system-ui, sans-serif}</style>"
    )
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    values = dict(re.findall(r"(--[\w-]+): (#\w+)", light))
    # Where variables are not known, as in an editor, the declaration before counts.
    drawn = re.sub(
        r"([\w-]+): var\((--[\w-]+)\)", lambda found: f"{found[1]}: {values[found[2]]}; {found[0]}", str(svg)
    )
    opening, rest = drawn.split(">", 1)
    return f"{opening.replace('<svg', f'<svg {names}', 1)}>\n{style}{rest}\n"


def _with_own_ids(text: str, name: str) -> str:
    """Prefix the ids that are referred to, drop the others: two figures of a page must not share one."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    fresh = {old: f"{name}-{place}" for place, old in zip(itertools.count(1), sorted(used, key=text.index))}

    def own(match: re.Match[str]) -> str:
        return f' id="{fresh[match[1]]}"' if match[1] in fresh else ""

    text = re.sub(r' id="([^"]+)"', own, text)
    text = re.sub(r'(?:xlink:)?href="#([^"]+)"', lambda match: f'href="#{fresh[match[1]]}"', text)
    return re.sub(r"url\(#([^)]+)\)", lambda match: f"url(#{fresh[match[1]]})", text)
