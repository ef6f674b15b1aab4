"""The smallest perturbation that breaks each prediction."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from trustworthy.core.progress import portion
from trustworthy.report import formatting, plots
from trustworthy.report.finding import Number, Series, null_where_nan
from trustworthy.report.kind import Judged, Kind, Measured, Rule
from trustworthy.report.markup import element
from trustworthy.report.panel import Item, Panel, Shown
from trustworthy.report.settings import AttackPlan, Count, Radius, Rows, Section, in_profiles, plans

if TYPE_CHECKING:
    from trustworthy.attacks import Attack
    from trustworthy.report.case import Case

BINS = 20
BATCH = 50
"""Examples that are bisected at once, so that the progress is seen."""


class Settings(Section):
    """Smallest l2 perturbation of `rows` examples.

    attack : minimises the distance itself, or has a budget and is bisected over it, `bisections` times.
    largest : largest radius tried, as a multiple of the headline l2 radius.
    """

    rows: Rows
    attack: AttackPlan
    bisections: Count
    largest: Radius


class Distortion(Series):
    """Histogram of the smallest perturbation found per example; `unbroken` examples have none."""

    binned: ClassVar = ("counts",)

    edges: Annotated[list[float], Field(min_length=2)]
    counts: list[int]
    unbroken: int = 0
    quartiles: list[Number] = Field(default_factory=list)


def measure(case: Case, settings: Settings) -> Measured:
    """Histogram of minimal l2 perturbations, of the examples that are classified correctly."""
    from trustworthy.attacks import Bisection, minimal_distortion

    headline = case.headline("l2")
    largest = headline * settings.largest
    rows = case.right("distortion", settings.rows, "break") if case.subject.gives_gradients else case.attacked_rows
    attacks = _minimising(case, settings, largest)
    model, x, y = case.attacked_at(rows)
    distance, bounded = np.full(len(rows), np.inf), all(isinstance(attack, Bisection) for attack in attacks)
    for place, attack in enumerate(attacks):
        how = case.attacking("distortion", rows)
        how["batch_size"] = min(case.batch, BATCH)
        how["advance"] = portion(case.advance, place, len(attacks))
        found: Any = minimal_distortion(model, attack, x, y, **how)
        distance = np.minimum(distance, found.distance.cpu().double().numpy())
    broken = distance[np.isfinite(distance)]
    edges = np.linspace(0.0, broken.max() if len(broken) else largest, BINS + 1)
    quartiles = null_where_nan(np.quantile(distance, (0.25, 0.5, 0.75), method="inverted_cdf"))
    median = quartiles[1]
    survived = largest if median is None and bounded else None
    interval = case.interval("distortion", lambda d: float(np.quantile(d, 0.5, method="inverted_cdf")), distance)
    if median is None:
        tried = f"by perturbations of up to {largest:.3g} (l2)" if bounded else "by any perturbation tried (l2)"
        told = f"Fewer than half of the predictions were broken {tried}"
    else:
        told = f"Half of the correct predictions break under a perturbation of {median:.3g} or less (l2)"
    found = case.finding(
        "robustness.l2.distortion", median,
        judged=settings.largest if survived else None if median is None else median / headline,
        interval=interval if interval and np.isfinite(interval).all() else None,
        no_interval="resampled medians agree, or lie beyond what the attack broke", unit=case.examples.domain.unit,
        statement=f"{told}, as far as {'the attack' if len(attacks) == 1 else 'the attacks'} could find.",
        series={
            "edges": edges.tolist(), "counts": np.histogram(broken, edges)[0].tolist(),
            "unbroken": int(np.isinf(distance).sum()), "quartiles": quartiles,
        },
        conditions={
            "n": len(rows), "attacks": [repr(attack) for attack in attacks], "norm": "l2",
            "units": case.examples.domain.units,
            **({"at_least": survived} if survived else {}),
        },
    )  # fmt: skip
    return Measured([found], rows={"distance_l2": case.column(rows, distance, wrong=0.0)})


def _minimising(case: Case, settings: Settings, largest: float) -> list[Attack]:
    """The attack of the plan, or all those that a model without gradients meets, as ones that minimise the distance."""
    from trustworthy.attacks import Bisection, BudgetAttack

    chosen = [settings.attack] if case.subject.gives_gradients else case.arsenal("l2")
    built = [case.built(plan, "l2", largest) for plan in chosen]
    return [
        Bisection(attack=attack, bisections=settings.bisections) if isinstance(attack, BudgetAttack) else attack
        for attack in built
    ]


def draw(shown: Shown) -> list[Panel]:
    """A histogram for each model, their axes shared."""
    units = f" Measured in {shown.units}." if shown.units else ""
    lead = (
        f"How far each example had to be moved before the model changed its mind; the further right, the better.{units}"
    )
    panels = []
    for group in shown.groups:
        right = max(item.series.edges[-1] for item in group.items)
        top = max(max(item.series.counts) for item in group.items)
        figure = partial(_figure, norm=group.norm, right=right, top=top)
        panels.append(Panel(group.title, lead, [group.side_by_side(figure, "figure")]))
    return panels


def _figure(item: Item, norm: str, right: float, top: float) -> list[str]:
    plot = plots.distortion(item.id, item.look, item.series, norm, right=right, top=top)
    return [plot, element("figcaption", _unbroken(item), item.statement())]


def _unbroken(item: Item) -> str:
    count = item.series.unbroken
    if not count:
        return ""
    subject, verb = ("example", "is") if count == 1 else ("examples", "are")
    return f"{formatting.number(count)} {subject} withstood every attack and {verb} not in the figure."


RULE = Rule("median minimal perturbation, divided by the headline radius", 2.0, 1.0)
TITLE = "Smallest perturbation that breaks a prediction, l2"
ATTACKS = plans({"name": "PGD", "steps": 10}, {"name": "PGD", "steps": 20}, {"name": "CarliniWagner"})
KIND = Kind(
    name="distortion", step="robustness.distortion", property="robustness", series=Distortion, attacks=True, cost=3,
    measure=measure, draw=draw,
    findings={"robustness.l2.distortion": Judged(TITLE, RULE, higher_is_better=True)},
    settings=in_profiles(
        Settings, rows=(40, 100, 1000), attack=tuple(ATTACKS), bisections=(6, 8, 8), largest=20.0
    ),
)  # fmt: skip
