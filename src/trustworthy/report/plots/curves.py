"""Curves of the report: accuracy against the radius, error rate against coverage, error against poisoned labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from trustworthy.report import formatting
from trustworthy.report.plots.theme import DASHES, INK, MUTED, Style, level, mark, name_axes, new_figure, to_svg

if TYPE_CHECKING:
    from trustworthy.report.findings.certificate import Certified
    from trustworthy.report.findings.randomness import Randomness
    from trustworthy.report.findings.robustness_curve import RobustnessCurve
    from trustworthy.report.findings.selective import RiskCoverage
    from trustworthy.report.poisoning.record import Poisoning

PROVED = "proved: no attack can take more"
BOUND = "no attack can pass this"
GUESS = "a blind guess"
ATTACKED = "attacked"
UNATTACKED = "without an attack"
WIDE = 50.0
"""Largest over smallest radius from which on an axis of radii is logarithmic."""


def robustness_curve(
    name: str,
    models: Sequence[tuple[str, Style, RobustnessCurve]],
    norm: str,
    certified: Mapping[str, Mapping[float, float]] | None = None,
) -> Markup:
    """Accuracy against eps: in bold the worst case with its band; of several attacks, each alone thin.

    certified : by model, what is proved at each eps: a dotted line below the worst case, with the gap hatched.
    """
    with new_figure() as (figure, (axes,)):
        attacks = attack_names([series for _, _, series in models])
        for model, look, series in models:
            _draw_proved(axes, look, series, (certified or {}).get(model, {}))
            for attack, accuracy in series.attacks.items() if len(attacks) > 1 else ():
                dashes = DASHES[attacks.index(attack) % len(DASHES)]
                axes.plot(series.eps, accuracy, color=look.colour, linewidth=1.0, linestyle=dashes, alpha=0.85)
            if series.low and series.high:
                axes.fill_between(series.eps, series.low, series.high, color=look.colour, alpha=0.18, linewidth=0)
            axes.plot(series.eps, series.worst, **look.bold, clip_on=False)
        _label_axes(axes, norm, "accuracy", [s.eps for *_, s in models], [s.headline_eps for *_, s in models])
        told = (f"{model}, worst case: {_spoken(dict(zip(s.eps, s.worst, strict=True)))}." for model, _, s in models)
        proved = "".join(f" {model}, proved: {_spoken(found)}." for model, found in (certified or {}).items())
        return to_svg(figure, name, f"Accuracy against eps ({norm}). " + " ".join(told) + proved)


def certified_curve(name: str, models: Sequence[tuple[str, Style, Certified]], norm: str) -> Markup:
    """What is proved against eps; the accuracy without a perturbation is a ring where eps is 0."""
    with new_figure() as (figure, (axes,)):
        for _, look, series in models:
            if len(models) == 1:
                axes.fill_between(series.eps, 0.0, series.certified, color=look.colour, alpha=0.12, linewidth=0)
            axes.plot(series.eps, series.certified, **look.bold, clip_on=False)
            axes.plot([0.0], [series.clean], look.marker, **look.ring)
        _label_axes(axes, norm, "certified accuracy", [s.eps for *_, s in models], [s.headline_eps for *_, s in models])
        told = (f"{model}: {_spoken(dict(zip(s.eps, s.certified, strict=True)))}." for model, _, s in models)
        return to_svg(figure, name, f"Certified accuracy against eps ({norm}). " + " ".join(told))


def randomness(name: str, models: Sequence[tuple[str, Style, Randomness]]) -> Markup:
    """Accuracy against draws: dashed without an attack, with the range of its groups, in bold under attack."""
    with new_figure() as (figure, (axes,)):
        for _, look, s in models:
            axes.plot(s.draws, s.accuracy, color=look.colour, linewidth=1.3, linestyle=DASHES[0])
            if s.low and s.high:
                axes.fill_between(s.draws, s.low, s.high, color=look.colour, alpha=0.12, linewidth=0)
            eot = [each.eot for each in s.attacks]
            low, high = ([getattr(each, end) for each in s.attacks] for end in ("low", "high"))
            axes.fill_between(eot, low, high, color=look.colour, alpha=0.18, linewidth=0)
            axes.plot(eot, [each.accuracy for each in s.attacks], **look.bold, clip_on=False)
        counts = sorted({count for *_, s in models for count in (*s.draws, *(each.eot for each in s.attacks))})
        _share_axis(axes, "draws averaged, in a prediction or in a gradient", "accuracy")
        axes.set_xscale("log", base=2)
        axes.set_xlim(counts[0], counts[-1])
        marked = [2**power for power in range(counts[-1].bit_length())]
        axes.set_xticks(marked, [str(count) for count in marked])
        axes.xaxis.set_minor_locator(NullLocator())
        told = (f"{model}: {_spoken({each.eot: each.accuracy for each in s.attacks})}." for model, _, s in models)
        return to_svg(figure, name, "Accuracy under attack against the draws of a gradient. " + " ".join(told))


def risk_coverage(name: str, models: Sequence[tuple[str, Style, RiskCoverage]]) -> Markup:
    """Error rate of the predictions kept against the share kept; the chosen threshold is a ring on the curve."""
    with new_figure() as (figure, (axes,)):
        for _, look, series in models:
            axes.plot(series.coverage, series.risk, **look.bold, markevery=[-1], clip_on=False)
            kept = series.coverage_at_threshold
            if kept and series.coverage:
                distance = np.abs(np.asarray(series.coverage) - kept)
                axes.plot(kept, series.risk[distance.argmin()], look.marker, **look.ring)
        for target in sorted({series.target_risk for _, _, series in models if series.target_risk is not None}):
            level(axes, target, f"accepted: {formatting.percent(target)}", right=2)
        axes.set_xlim(0.0, 1.0)
        axes.set_ylim(bottom=0.0, top=max(axes.get_ylim()[1], 0.02))
        name_axes(axes, "coverage: share of predictions kept", "error rate of those kept", shares="xy")
        return to_svg(figure, name, "Error rate against coverage. " + " ".join(map(_spoken_risk, models)))


def poisoning_curve(name: str, look: Style, series: Poisoning, *, legend: bool = False) -> Markup:
    """Error against budget: the attack in bold, the others thin, and shaded what no attack can reach.

    legend : within the figure; the page has one of its own.
    """
    with new_figure(height=3.6 if legend else 3.1) as (figure, (axes,)):
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
            level(axes, series.guess, GUESS, right=4)
        axes.set_ylim(0.0, top)
        axes.set_xlim(0.0, max(series.budgets[-1], np.finfo(float).tiny) if series.budgets[-1] else 1.0)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=series.flips, steps=[1, 2, 2.5, 5, 10]))
        if series.flips:
            name_axes(axes, f"labels flipped, of {series.labelled}", "error of the graph learner", shares="y")
        else:
            x = f"l2 norm of the change of {series.labelled} labels in [0, 1]"
            name_axes(axes, x, "RMSE of the graph learner")
        return to_svg(figure, name, _spoken_poisoning(series), legend=legend)


def attack_names(curves: Sequence[RobustnessCurve]) -> list[str]:
    """Attacks of all the curves in the order met; an attack keeps its dashes across models."""
    return list(dict.fromkeys(attack for series in curves for attack in series.attacks))


def _draw_proved(axes: Axes, look: Style, series: RobustnessCurve, certified: Mapping[float, float]) -> None:
    """What is proved at the radii of the curve: between these, straight lines could cross though the truth does not."""
    shared = [
        (eps, certified[eps], worst) for eps, worst in zip(series.eps, series.worst, strict=True) if eps in certified
    ]
    if len(shared) > 1:
        eps, proved, worst = (list(column) for column in zip(*shared, strict=True))
        gap: Any = {"facecolor": "none", "edgecolor": look.colour, "hatch": "///", "linewidth": 0.0, "alpha": 0.4}
        axes.fill_between(eps, proved, worst, **gap)
        dots: Any = {"linestyle": (0, (0.1, 1.7)), "dash_capstyle": "round", "linewidth": 2.2}
        axes.plot(eps, proved, color=look.colour, clip_on=False, **dots)


def _spoken(values: Mapping[float, float]) -> str:
    return ", ".join(f"{formatting.percent(value)} at {eps:.3g}" for eps, value in values.items())


def _label_axes(
    axes: Axes, norm: str, what: str, every: Sequence[Sequence[float]], marked: Sequence[float | None]
) -> None:
    """`what`, a share, against eps, with the marked radii; logarithmic where those of `every` curve span far."""
    _share_axis(axes, f"eps, {norm} radius of the perturbation", what)
    axes.set_xlim(left=0.0)
    smallest = min((eps for radii in every for eps in radii if eps > 0.0), default=0.0)
    if smallest and WIDE * smallest < max(max(radii) for radii in every):
        axes.set_xscale("symlog", linthresh=smallest)
        axes.xaxis.set_minor_locator(NullLocator())
    for eps in sorted({eps for eps in marked if eps is not None}):
        mark(axes, eps, f"eps {eps:.3g}")
    if axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))


def _share_axis(axes: Axes, across: str, what: str) -> None:
    """`what`, a share, on the whole of the vertical axis."""
    axes.set_ylim(-0.02, 1.02)
    axes.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0])
    name_axes(axes, across, what, shares="y")


def _spoken_risk(model: tuple[str, Style, RiskCoverage]) -> str:
    name, _, series = model
    if not series.coverage_at_threshold:
        return f"{name}: no threshold reaches the accepted error rate."
    return f"{name}: {formatting.percent(series.coverage_at_threshold)} kept above the threshold."


def _spoken_poisoning(series: Poisoning) -> str:
    read = formatting.percent if series.flips else formatting.score
    what = "labels flipped" if series.flips else "l2 norm of the change of labels"
    points = (f"{read(error)} at {budget:.3g}" for budget, error in zip(series.budgets, series.error, strict=True))
    ends = f" No attack can pass {read(series.bound[-1])} at {series.budgets[-1]:.3g}." if series.bound else ""
    return f"Error against {what}. Attacked: {', '.join(points)}.{ends}"
