"""Figures of a benchmark of uncertainty: several methods in each, told apart by colour and marker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MultipleLocator

from trustworthy.report import formatting
from trustworthy.report.plots.theme import INK, MUTED, Style, name_axes, new_figure, to_svg

if TYPE_CHECKING:
    from trustworthy.report.benchmark.record import Curve

Curves = Sequence[tuple[str, Style, "Curve"]]
POINTS = 6
"""Markers on a line."""


def roc(name: str, methods: Curves, max_fpr: float, *, legend: bool = False) -> Markup:
    """True against false positives where few false ones are allowed; dashed what chance gives."""
    with new_figure(height=_height(methods, legend)) as (figure, (axes,)):
        for method, look, curve in methods:
            seen = np.asarray(curve.x) <= max_fpr
            x, y = np.asarray(curve.x)[seen], np.asarray(curve.y)[seen]
            axes.plot(x, y, **look.bold, label=method, markevery=max(1, len(x) // POINTS), clip_on=False)
        axes.plot([0.0, max_fpr], [0.0, max_fpr], color=MUTED, linewidth=1.3, linestyle=(0, (4, 3)))
        axes.set_xlim(0.0, max_fpr)
        axes.set_ylim(0.0, min(1.0, 1.05 * max(axes.get_ylim()[1], max_fpr)))
        name_axes(axes, "other pixels called foreign", "foreign pixels found", shares="xy", decimals=0)
        axes.xaxis.set_major_locator(MultipleLocator(0.05))
        told = (f"{method}: {formatting.percent(float(np.interp(max_fpr, c.x, c.y)))}" for method, _, c in methods)
        said = f"ROC curve up to a false-positive rate of {max_fpr}. True positives there: {', '.join(told)}."
        return to_svg(figure, name, said, legend=legend)


def sparsification(name: str, methods: Curves, oracles: Sequence[Curve], *, legend: bool = False) -> Markup:
    """Error of the pixels that are left as the least certain ones are left out; dashed what an oracle would leave."""
    with new_figure(height=_height(methods, legend)) as (figure, (axes,)):
        for method, look, curve in methods:
            y = np.asarray(curve.y) / curve.y[0]
            axes.plot(curve.x, y, **look.bold, label=method, markevery=max(1, len(y) // POINTS), clip_on=False)
        if oracles:
            best = np.mean([np.asarray(curve.y) / curve.y[0] for curve in oracles], axis=0)
            axes.plot(oracles[0].x, best, color=INK, linewidth=1.3, linestyle=(0, (4, 3)))
        axes.set_xlim(0.0, 1.0)
        axes.set_ylim(bottom=0.0)
        name_axes(axes, "least certain pixels left out", "error of the others, of all", shares="xy", decimals=0)
        told = (f"{method}: {formatting.percent(_at_half(curve))}" for method, _, curve in methods)
        said = f"Error of the pixels left, half of them left out: {', '.join(told)}."
        return to_svg(figure, name, said, legend=legend)


def by_test(
    name: str, methods: Sequence[tuple[str, Style, Sequence[float], Sequence[float]]], tests: Sequence[str], what: str,
    *, legend: bool = False,
) -> Markup:  # fmt: skip
    """A score on each of several tests, side by side, with bars of one deviation."""
    with new_figure(height=_height(methods, legend)) as (figure, (axes,)):
        offsets = np.linspace(-0.33, 0.33, len(methods)) if len(methods) > 1 else np.zeros(1)
        for (method, look, means, deviations), offset in zip(methods, offsets, strict=True):
            x = np.arange(len(tests)) + offset
            bars: Any = {"ecolor": look.colour, "elinewidth": 1.2, "linestyle": ""}
            axes.errorbar(x, means, deviations, **bars, **look.bold, label=method)
        axes.set_xticks(range(len(tests)), tests)
        axes.set_xlim(-0.5, len(tests) - 0.5)
        axes.grid(visible=False, axis="x")
        for edge in range(1, len(tests)):
            axes.axvline(edge - 0.5, color=MUTED, linewidth=0.6)
        axes.set_ylabel(what)
        told = []
        for method, _, means, _ in methods:
            each = (f"{test} {formatting.score(mean)}" for test, mean in zip(tests, means, strict=True))
            told.append(f"{method}: {', '.join(each)}")
        return to_svg(figure, name, f"{what.capitalize()} by test. {'; '.join(told)}.", legend=legend)


def _at_half(curve: Curve) -> float:
    return float(np.interp(0.5, curve.x, curve.y)) / curve.y[0]


def _height(methods: Sequence[Any], legend: bool) -> float:
    """Inches; a legend within the figure takes a line for three methods."""
    return 3.1 + (0.22 * -(-len(methods) // 3) + 0.1 if legend else 0.0)
