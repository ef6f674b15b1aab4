"""Histograms of the report, one figure per model: smallest perturbations, and calibration by confidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from trustworthy.report import formatting
from trustworthy.report.plots.theme import DASHES, INK, MUTED, PAPER, Style, mark, name_axes, new_figure, to_svg

if TYPE_CHECKING:
    from trustworthy.report.findings.calibration import Calibration
    from trustworthy.report.findings.distortion import Distortion
    from trustworthy.report.findings.temperature import Tempered


def distortion(
    name: str, look: Style, series: Distortion, norm: str, *, right: float | None = None, top: float | None = None
) -> Markup:
    """Histogram of the smallest perturbation per example, its median marked.

    right, top : ends of the axes, to share them with the figures of other models.
    """
    edges, counts = np.asarray(series.edges), np.asarray(series.counts)
    median = series.quartiles[len(series.quartiles) // 2] if series.quartiles else math.nan
    with new_figure(height=2.5) as (figure, (axes,)):
        axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color=look.colour, edgecolor=PAPER, linewidth=0.8)
        axes.set_xlim(min(0.0, edges[0]), max(right or 0.0, edges[-1], median if math.isfinite(median) else 0.0))
        axes.set_ylim(0, max(top or 0.0, counts.max(initial=1)) * 1.05)
        if math.isfinite(median):
            mark(axes, median, f"median {median:.3g}")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.grid(visible=False, axis="x")
        name_axes(axes, f"smallest {norm} perturbation found", "examples")
        spoken = f"Histogram of the smallest {norm} perturbation of {counts.sum()} examples, from {edges[0]:.3g} to "
        return to_svg(figure, name, f"{spoken}{edges[-1]:.3g}; median {formatting.number(median)}.")


def reliability(name: str, look: Style, series: Calibration) -> Markup:
    """Reliability diagram (eq. 5.3): accuracy against confidence by bin, and below it how many predictions each has."""
    edges, count = np.asarray(series.edges), np.asarray(series.count)
    filled = count > 0
    left, width = edges[:-1][filled], np.diff(edges)[filled]
    accuracy, confidence = np.asarray(series.accuracy)[filled], np.asarray(series.confidence)[filled]
    with new_figure(height=3.9, rows=(3.0, 1.0)) as (figure, (axes, below)):
        colour = look.colour
        points: Any = {"marker": look.marker, "markeredgecolor": PAPER}
        axes.bar(left, accuracy, width, align="edge", color=colour, alpha=0.3, edgecolor=colour, linewidth=1.0)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.3, linestyle=(0, (4, 3)))
        ends = np.minimum(accuracy, confidence), np.maximum(accuracy, confidence)
        axes.vlines(confidence, *ends, color=INK, linewidth=1.2)
        axes.plot(confidence, accuracy, **points, color=colour, linestyle="", zorder=3, clip_on=False)
        axes.set_xlim(0.0, 1.0)
        axes.set_ylim(0.0, 1.02)
        name_axes(axes, "", "accuracy", shares="y")
        below.bar(edges[:-1], count, np.diff(edges), align="edge", color=look.colour, edgecolor=PAPER, linewidth=0.8)
        below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        name_axes(below, "confidence of the prediction", "count", shares="x")
        return to_svg(figure, name, _spoken_reliability(confidence, accuracy, count[filled]))


def tempered(name: str, models: Sequence[tuple[str, Style, Tempered]]) -> Markup:
    """Accuracy against confidence by bin: dashed as the model states it, in bold after temperature scaling."""
    with new_figure() as (figure, (axes,)):
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.3, linestyle=(0, (4, 3)))
        told = []
        for model, look, s in models:
            stated, scaled = (
                np.array([(each.confidence, each.accuracy, each.n) for each in bins]).T for bins in (s.stated, s.scaled)
            )
            axes.plot(stated[0], stated[1], color=look.colour, linewidth=1.3, linestyle=DASHES[0])
            axes.plot(scaled[0], scaled[1], **look.bold, clip_on=False)
            told.append(f"{model}: {_spoken_reliability(scaled[0], scaled[1], scaled[2].astype(int))}")
        axes.set_xlim(0.0, 1.0)
        axes.set_ylim(0.0, 1.02)
        name_axes(axes, "confidence of the prediction", "accuracy", shares="xy")
        return to_svg(figure, name, "After temperature scaling. " + " ".join(told))


def _spoken_reliability(confidence: np.ndarray, accuracy: np.ndarray, count: np.ndarray) -> str:
    bins = (
        f"confidence {formatting.percent(c, 0)}: accuracy {formatting.percent(a, 0)} of {n}"
        for c, a, n in zip(confidence, accuracy, count, strict=True)
    )
    return f"Reliability diagram. {'; '.join(bins)}."
