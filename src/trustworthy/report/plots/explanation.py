"""Figures of explanations: curves of several methods over the share of the features, and maps of signed scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Num
from markupsafe import Markup

from trustworthy.report import formatting
from trustworthy.report.plots.pictures import SIGNED, data_uri, thinned
from trustworthy.report.plots.theme import MUTED, Style, name_axes, new_figure, to_svg

Lines = Sequence[tuple[str, Style, Sequence[float]]]


def subset_curves(
    name: str, methods: Lines, shares: Sequence[float], band: Sequence[tuple[float, float]], what: str, along: str
) -> Markup:
    """Curves of several methods, and shaded where the mean of a random order lies.

    what, along : labels of the axes; what is drawn is never below 0, and a probability never above 1.
    """
    with new_figure() as (figure, (axes,)):
        if band:
            low, high = np.clip(np.array(band), 0.0, 1.0 if what == "probability" else None).T
            axes.fill_between(shares, low, high, color=MUTED, alpha=0.3, linewidth=0)
        for method, look, curve in methods:
            axes.plot(shares, curve, **look.bold, label=method, markevery=max(1, len(shares) // 6), clip_on=False)
        axes.set_xlim(shares[0], shares[-1])
        axes.set_ylim(bottom=0.0)
        name_axes(axes, along, what, shares="x", decimals=0)
        middle = len(shares) // 2
        told = [f"{method}: {formatting.score(float(curve[middle]))}" for method, _, curve in methods]
        if band:
            told.append(f"random orders: {' to '.join(formatting.score(float(end)) for end in band[middle])}")
        return to_svg(figure, name, f"{what} at {formatting.percent(shares[middle], 0)}: {', '.join(told)}.")


def scores_png(scores: Num[np.ndarray, "c h w"]) -> str:
    """A map of signed scores, up to its own largest size: vermilion for, white nothing, blue against."""
    summed: Float[np.ndarray, "h w"] = np.nan_to_num(thinned(scores)).mean(0)
    largest = max(float(np.abs(summed).max(initial=0.0)), np.finfo(float).tiny)
    return data_uri(SIGNED(0.5 + summed / largest / 2)[..., :3])
