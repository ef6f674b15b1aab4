"""Error of a learner against the number of its training labels that are poisoned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator, PercentFormatter

from trustworthy.report import formatting
from trustworthy.report.plots.theme import DASHES, INK, MUTED, RC, Style, new_figure, to_svg

if TYPE_CHECKING:
    from trustworthy.report.poisoning.record import Poisoning

BOUND = "no attack can pass this"
GUESS = "a blind guess"
ATTACKED = "attacked"


def poisoning_curve(name: str, look: Style, series: Poisoning, *, legend: bool = False) -> Markup:
    """Error against budget: the attack in bold, the others thin, and shaded what no attack can reach.

    legend : within the figure; the page has one of its own.
    """
    with mpl.rc_context(RC):
        figure, (axes,) = new_figure(height=3.6 if legend else 3.1)
        axes.plot(series.budgets, series.error, **look.bold, label=ATTACKED, clip_on=False, zorder=3)
        for place, (attack, error) in enumerate(series.baselines.items()):
            dashes = DASHES[place % len(DASHES)]
            axes.plot(series.budgets, error, color=look.colour, linewidth=1.1, linestyle=dashes, label=attack)
        highest = max([top for top in [*series.error, *series.bound] if top == top], default=0.0)
        top = min(1.02, 1.12 * highest) if series.flips else 1.12 * highest
        top = max(top, 0.01)
        if series.bound:
            axes.plot(series.budgets, series.bound, color=INK, linewidth=1.3, label=BOUND)
            axes.fill_between(series.budgets, series.bound, top, color=MUTED, alpha=0.18, linewidth=0)
        if series.guess <= top:
            axes.axhline(series.guess, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
            place: Any = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
            axes.annotate(GUESS, (0.0, series.guess), (4, 4), fontsize=10, **place)
        axes.set_ylim(0.0, top)
        axes.set_xlim(0.0, max(series.budgets[-1], np.finfo(float).tiny) if series.budgets[-1] else 1.0)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=series.flips, steps=[1, 2, 2.5, 5, 10]))
        if series.flips:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
            axes.set_xlabel(f"labels flipped, of {series.labelled}")
            axes.set_ylabel("error of the graph learner")
        else:
            axes.set_xlabel(f"l2 norm of the change of {series.labelled} labels in [0, 1]")
            axes.set_ylabel("RMSE of the graph learner")
        if legend:
            figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=10)
        return to_svg(figure, name, _spoken(series))


def _spoken(series: Poisoning) -> str:
    read = formatting.percent if series.flips else formatting.score
    what = "labels flipped" if series.flips else "l2 norm of the change of labels"
    points = (f"{read(error)} at {budget:.3g}" for budget, error in zip(series.budgets, series.error, strict=True))
    ends = f" No attack can pass {read(series.bound[-1])} at {series.budgets[-1]:.3g}." if series.bound else ""
    return f"Error against {what}. Attacked: {', '.join(points)}.{ends}"
