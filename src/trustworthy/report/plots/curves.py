"""Curves of the report, all models in one figure: accuracy against the radius, error rate against coverage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from trustworthy.report import formatting
from trustworthy.report.plots.theme import DASHES, MUTED, PAPER, RC, Style, mark, new_figure, to_svg

if TYPE_CHECKING:
    from trustworthy.report.findings.robustness_curve import RobustnessCurve
    from trustworthy.report.findings.selective import RiskCoverage


def robustness_curve(name: str, models: Sequence[tuple[str, Style, RobustnessCurve]], norm: str) -> Markup:
    """Accuracy against eps: in bold the worst case with its bootstrap band; of several attacks, each alone thin."""
    with mpl.rc_context(RC):
        figure, (axes,) = new_figure()
        attacks = attack_names([series for _, _, series in models])
        for _, look, series in models:
            for attack, accuracy in series.attacks.items() if len(attacks) > 1 else ():
                dashes = DASHES[attacks.index(attack) % len(DASHES)]
                axes.plot(series.eps, accuracy, color=look.colour, linewidth=1.0, linestyle=dashes, alpha=0.85)
            if series.low and series.high:
                axes.fill_between(series.eps, series.low, series.high, color=look.colour, alpha=0.18, linewidth=0)
            axes.plot(series.eps, series.worst, **_bold(look), clip_on=False)
        _accuracy_axis(axes)
        axes.set_xlim(left=0.0)
        for eps in sorted({series.headline_eps for _, _, series in models if series.headline_eps is not None}):
            mark(axes, eps, f"eps {eps:.3g}")
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        axes.set_xlabel(f"eps, {norm} radius of the perturbation")
        axes.set_ylabel("accuracy")
        return to_svg(figure, name, f"Accuracy against eps ({norm}). " + " ".join(map(_spoken_curve, models)))


def risk_coverage(name: str, models: Sequence[tuple[str, Style, RiskCoverage]]) -> Markup:
    """Error rate of the predictions kept against the share kept; the chosen threshold is a ring on the curve."""
    with mpl.rc_context(RC):
        figure, (axes,) = new_figure()
        for _, look, series in models:
            axes.plot(series.coverage, series.risk, **_bold(look), markevery=[-1], clip_on=False)
            kept = series.coverage_at_threshold
            if kept and series.coverage:
                distance = np.abs(np.asarray(series.coverage) - kept)
                ring: Any = {"markersize": 11, "markerfacecolor": PAPER, "markeredgewidth": 2.4, "clip_on": False}
                axes.plot(kept, series.risk[distance.argmin()], look.marker, color=look.colour, zorder=5, **ring)
        for target in sorted({series.target_risk for _, _, series in models if series.target_risk is not None}):
            axes.axhline(target, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
            axes.annotate(
                f"accepted: {formatting.percent(target)}",
                (0.0, target),
                (2, 4),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                fontsize=10,
            )
        axes.set_xlim(0.0, 1.0)
        axes.set_ylim(bottom=0.0, top=max(axes.get_ylim()[1], 0.02))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel("coverage: share of predictions kept")
        axes.set_ylabel("error rate of those kept")
        return to_svg(figure, name, "Error rate against coverage. " + " ".join(map(_spoken_risk, models)))


def attack_names(curves: Sequence[RobustnessCurve]) -> list[str]:
    """Attacks of all the curves in the order met; an attack keeps its dashes across models."""
    return list(dict.fromkeys(attack for series in curves for attack in series.attacks))


def _bold(look: Style) -> dict[str, Any]:
    return {"color": look.colour, "marker": look.marker, "markeredgecolor": PAPER, "markeredgewidth": 0.8}


def _accuracy_axis(axes: Axes) -> None:
    axes.set_ylim(-0.02, 1.02)
    axes.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def _spoken_curve(model: tuple[str, Style, RobustnessCurve]) -> str:
    name, _, series = model
    points = (f"{formatting.percent(worst)} at {eps:.3g}" for eps, worst in zip(series.eps, series.worst, strict=True))
    return f"{name}, worst case: {', '.join(points)}."


def _spoken_risk(model: tuple[str, Style, RiskCoverage]) -> str:
    name, _, series = model
    if not series.coverage_at_threshold:
        return f"{name}: no threshold reaches the accepted error rate."
    return f"{name}: {formatting.percent(series.coverage_at_threshold)} kept above the threshold."
