"""Accuracy against the size of a perturbation, in the worst case over the attacks of the plan."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int
from markupsafe import Markup
from pydantic import Field

from trustworthy.core.progress import portion
from trustworthy.report import formatting, plots
from trustworthy.report.finding import Number, Series
from trustworthy.report.kind import Judged, Kind, Measured, Rule, beyond
from trustworthy.report.markup import dashed, proved
from trustworthy.report.panel import Group, Panel, Shown
from trustworthy.report.settings import Radius, Section, in_profiles

if TYPE_CHECKING:
    from torch import Generator

    from trustworthy.attacks import Attack
    from trustworthy.report.case import Case


HALVINGS = 8
"""How often a radius is halved to find the fall of the curve."""


class Settings(Section):
    """Radii of the curve, as multiples of the headline radius (`attacks.linf`, `attacks.l2`), which is always one."""

    multiples: list[Radius]


class RobustnessCurve(Series):
    """Accuracy against the radius: worst case over the attacks with its exact band, and each attack alone."""

    aligned: ClassVar = ("eps", "worst", "low", "high", "attacks")

    eps: Annotated[list[float], Field(min_length=1)]
    worst: list[Number]
    low: list[Number] = Field(default_factory=list)
    high: list[Number] = Field(default_factory=list)
    attacks: dict[str, list[Number]] = Field(default_factory=dict)
    headline_eps: float | None = None


def radii(headline: float, multiples: list[float]) -> list[float]:
    """Radii of the curve in ascending order, the headline radius among them."""
    # Rounded, so that three times 0.1 is 0.3 in the table.
    return sorted({headline, *(float(f"{headline * m:.6g}") for m in multiples if m != 1.0)})


def measure(case: Case, settings: Settings, norm: str) -> Measured:
    """Accuracy against the radius in `norm`: worst case with its exact band, and each attack alone.

    An attack that needs scores only is slow. Where there are gradients it gets what the attacks before it left
    unbroken, to see whether they were misled, and has no line of its own. Where the smallest radius of the plan takes
    more than half of the right predictions, smaller ones are added until the fall is seen.
    """
    headline, units = case.headline(norm), case.examples.domain.units
    eps = radii(headline, settings.multiples)
    attacks = [case.built(plan, norm, max(eps)) for plan in case.arsenal(norm)]
    rows = case.attacked_rows
    alone: dict[str, Found] = {}
    worst = np.full((3, len(rows)), np.inf)
    for place, attack in enumerate(attacks):
        stream = case.generator("robustness", norm, place, type(attack).__name__)
        ask, advance = partial(_broken_at, case, attack, stream), portion(case.advance, place, len(attacks) + 1)
        if alone and case.subject.gives_gradients and attack.asks == "scores":
            worst = _also_broken(
                ask, [headline, *(radius for radius in eps if radius != headline)], rows, worst, advance
            )
        else:
            alone[_fresh_name(attack, alone)] = Found(attack, ask, ask(eps, rows, advance))
            worst = np.minimum(worst, list(alone.values())[-1].at)
    added, worst = _around_the_fall(list(alone.values()), rows, min(eps), worst)
    grid = [0.0, *added, *eps]
    surely, standing, perhaps = np.array([worst > radius for radius in grid]).swapaxes(0, 1)
    unsure = perhaps & ~surely
    values, bands = zip(*map(case.standing, standing[1:], unsure[1:]), strict=True)
    values, bands = [case.accuracy, *values], [case.share(case.correct), *bands]
    at_headline = grid.index(headline)
    close = int(unsure[at_headline].sum())
    found = case.finding(
        f"robustness.{norm}.accuracy", values[at_headline], judged=float(standing[at_headline].mean()),
        interval=bands[at_headline],
        statement=f"Perturbations of up to {headline:.3g} ({norm}, {units}) "
        f"take {case.taken(values[at_headline])}{case.tried(rows)}{_half(grid, standing)}{case.left_open(close)}.",
        series={
            "eps": grid, "worst": values, "low": [low for low, _ in bands], "high": [high for _, high in bands],
            "attacks": {
                name: [case.accuracy, *(case.standing(found.at[1] > radius)[0] for radius in grid[1:])]
                for name, found in alone.items()
            },
            "headline_eps": headline,
        },
        conditions={
            **case.counts(rows), "attacks": [repr(attack) for attack in attacks], "eps": headline, "norm": norm,
            "units": units, **({"fresh": case.shared.fresh, "open": close} if case.judge else {}),
        },
    )  # fmt: skip
    return Measured([found], rows={f"broken_{norm}": case.column(rows, worst[1], wrong=0.0)})


def _half(grid: list[float], standing: Bool[np.ndarray, "radii tried"]) -> str:
    """Between which radii of the grid half of the right predictions are lost, if between any."""
    place = int((standing.mean(axis=1) > 0.5).sum())
    if place == len(grid):
        return ""
    return f"; half of the right predictions are lost between {grid[place - 1]:.3g} and {grid[place]:.3g}"


@dataclass
class Found:
    """An attack, how it is asked (radii, rows, advance), and the smallest radius known to break each row.

    at : the smallest radius at which the row may be broken, is by the mean of fresh draws, and surely is; of a fixed
        model they are one.
    """

    attack: Attack
    ask: Callable[..., Float[np.ndarray, "3 some"]]
    at: Float[np.ndarray, "3 tried"]


def _around_the_fall(
    found: list[Found], rows: Int[np.ndarray, " tried"], smallest: float, worst: Float[np.ndarray, "3 tried"]
) -> tuple[list[float], Float[np.ndarray, "3 tried"]]:
    """Radii below `smallest` that enclose the median of what breaks a row, and `worst` there, `found` likewise.

    None where at least half of the rows withstand `smallest`. Radii are halved until half withstand, at most `HALVINGS`
    times, and the last gap is cut once more. An attack with a budget runs again on what the larger radius broke.
    """
    from trustworthy.attacks import BudgetAttack

    added: list[float] = []
    low, high = 0.0, smallest
    while (worst[1] > high).mean() < 0.5 and (len(added) < HALVINGS if low == 0.0 else high > 1.5 * low):
        radius = float(f"{(low * high) ** 0.5 if low else high / 2:.3g}")
        for each in found:
            left = np.flatnonzero(each.at[0] <= high)
            if isinstance(each.attack, BudgetAttack) and len(left):
                each.at[:, left] = np.minimum(each.at[:, left], each.ask([radius], rows[left], lambda share: None))
            worst = np.minimum(worst, each.at)
        low, high = (radius, high) if (worst[1] > radius).mean() >= 0.5 else (low, radius)
        added.append(radius)
    return sorted(added), worst


def _fresh_name(attack: Attack, taken: Collection[str]) -> str:
    """Name of the attack in the figure; with its loss, or a number, where the plan has several of a kind."""
    name = type(attack).__name__
    candidates = [name, f"{name} ({attack.loss})", *(f"{name} {i}" for i in range(2, 100))]
    return next(candidate for candidate in candidates if candidate not in taken)


def _broken_at(
    case: Case,
    attack: Attack,
    generator: Generator,
    eps: list[float],
    rows: Int[np.ndarray, " n"],
    advance: Callable[[float], None],
) -> Float[np.ndarray, "3 n"]:
    """Smallest radius known to break each row, all of which are right; inf where nothing did. See `Found.at`."""
    from trustworthy.attacks import robustness_curve

    model, x, y = case.attacked_at(rows)
    how = case.attacking("robustness", rows) | {"generator": generator, "advance": advance, "judge": case.judge}
    found = robustness_curve(model, attack, x, y, eps, **how)
    # Right and wrong are those of the whole audit: where a stochastic model answers a clean example otherwise this
    # time, the smallest radius breaks it.
    at = np.stack([found.limits_at[0], found.broken_at, found.limits_at[1]])
    return np.where(at == 0.0, min(eps), at)


def _also_broken(
    ask: Callable[..., Float[np.ndarray, "3 n"]],
    eps: list[float],
    rows: Int[np.ndarray, " n"],
    worst: Float[np.ndarray, "3 n"],
    advance: Callable[[float], None],
) -> Float[np.ndarray, "3 n"]:
    """`worst`, lowered where one more attack breaks a row that withstood so far; it stops where it breaks nothing."""
    lowered = worst.copy()
    for place, radius in enumerate(eps):
        left = np.flatnonzero(lowered[2] > radius)
        if len(left):
            found = ask([radius], rows[left], portion(advance, place, len(eps)))
            lowered[:, left] = np.minimum(lowered[:, left], found)
        if np.array_equal(lowered, worst):
            break
    return lowered


def draw(shown: Shown) -> list[Panel]:
    """A figure for each norm, all models in it, and the numbers."""
    units = f" eps is in {shown.units}." if shown.units else ""
    lead = (
        "How accuracy falls as an adversary may change the input more. Bold: the worst case over all attacks, an "
        "example counting as lost when any of them succeeds, with its band. Thin, where several were run: "
        f"each attack alone. The dashed vertical line is the radius of the summary.{units}"
    )
    certified = {group.id: _certified(shown, group) for group in shown.groups}
    if any(certified.values()):
        lead += (
            " Dotted: what is proved, which no attack can undercut; the truth lies in the hatched gap between the two."
        )
    figure = partial(_figure, certified=certified)
    return shown.with_numbers("Accuracy under attack", lead, figure, _columns)


def _certified(shown: Shown, group: Group) -> dict[str, dict[float, float]]:
    """By model what was proved at which radius in the norm of `group`."""
    name = f"robustness.{group.norm}.certified"
    items = [item for other in shown.beside("certificate") if other.name == name for item in other.items]
    return {item.model: dict(zip(item.series.eps, item.series.certified, strict=True)) for item in items}


def _figure(group: Group, certified: dict[str, dict[str, dict[float, float]]]) -> Markup:
    names = plots.attack_names([series for *_, series in group.curves])
    thin = [(name, dashed(place)) for place, name in enumerate(names)] if len(names) > 1 else []
    dotted = [(plots.PROVED, proved())] if certified[group.id] else []
    plot = plots.robustness_curve(group.id, group.curves, group.norm, certified[group.id])
    return group.figure(plot, [*thin, *dotted])


def _columns(s: RobustnessCurve) -> dict[str, list[str]]:
    percent = formatting.percent
    columns = {"eps": [*map(formatting.number, s.eps)], "worst case": [*map(percent, s.worst)]}
    if s.low and s.high:
        columns["interval"] = [*map(formatting.percents, s.low, s.high)]
    return columns | {name: [*map(percent, shares)] for name, shares in s.attacks.items()}


RULE = Rule("accuracy at the headline radius, divided by the clean accuracy", 0.8, 0.4)


def _kind(norm: str, multiples: tuple[list[float], list[float], list[float]]) -> Kind:
    name, title = f"robustness.{norm}.accuracy", f"Accuracy under attack, {norm}"
    return Kind(
        name="robustness_curve", step=f"robustness.{norm}", property="robustness", series=RobustnessCurve,
        attacks=True, cost=3, measure=partial(measure, norm=norm), draw=draw,
        findings={
            name: Judged(title, RULE, share=True, higher_is_better=True, headline=True, rows=beyond(f"broken_{norm}"))
        },
        settings=in_profiles(Settings, multiples=multiples),
    )  # fmt: skip


LINF = _kind("linf", ([0.5, 1.0, 2.0], [0.25, 0.5, 1.0, 2.0, 3.0], [0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0]))
L2 = _kind("l2", ([1.0, 2.0, 4.0], [0.5, 1.0, 2.0, 4.0], [0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0]))
