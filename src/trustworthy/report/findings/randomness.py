"""What the draws of a stochastic model do: to its accuracy, and to an attack that does not average them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeAlias

import numpy as np
from jaxtyping import Bool, Int
from markupsafe import Markup
from pydantic import BaseModel, Field

from trustworthy.core.progress import portion
from trustworthy.report import formatting, plots
from trustworthy.report.finding import Number, Series
from trustworthy.report.kind import Judged, Kind, Measured, NotApplicable, Rule, mean_of
from trustworthy.report.markup import dashed
from trustworthy.report.panel import Group, Panel, Shown
from trustworthy.report.settings import Count, Rows, Section, in_profiles

if TYPE_CHECKING:
    from trustworthy.attacks import PGD
    from trustworthy.report.case import Case


class Settings(Section):
    """Draws averaged in a prediction, draws averaged in each gradient of the attack, and the rows that it tries."""

    draws: Annotated[list[Count], Field(min_length=1)]
    eot: Annotated[list[Count], Field(min_length=2)]
    rows: Rows


class Attacked(BaseModel):
    """Accuracy under an attack whose gradients are means over `eot` draws; `open` rows are too close to call."""

    eot: int
    accuracy: float
    low: float
    high: float
    open: int = 0


class Randomness(Series):
    """Accuracy of the mean of so many draws, of several groups the lowest and highest, and accuracy under each attack.

    difference : of the rows tried, the share that the attack with the most draws breaks and the one with the fewest
        does not, less the share the other way round; `difference_low`, `difference_high` is its paired interval.
    """

    aligned: ClassVar = ("draws", "accuracy", "low", "high")

    draws: Annotated[list[int], Field(min_length=1)]
    accuracy: list[Number]
    low: list[Number] = Field(default_factory=list)
    high: list[Number] = Field(default_factory=list)
    attacks: Annotated[list[Attacked], Field(min_length=2)]
    difference: float
    difference_low: float
    difference_high: float


def measure(case: Case, settings: Settings) -> Measured:
    """Accuracy against the number of draws, and PGD whose gradients average one draw or many, by fresh draws."""
    if not case.subject.is_random:
        raise NotApplicable("the model answers twice alike: there are no draws to average.")
    if not case.subject.gives_gradients:
        raise NotApplicable("the model has no gradients that draws could be averaged of.")
    rows, averaged = case.right("randomness", settings.rows, "attack"), sorted({*settings.eot})
    attacks = {eot: replace(case.pgd(), eot=eot, restarts=1) for eot in averaged}
    found = [
        _attacked(case, attack, rows, portion(case.advance, place, len(averaged)))
        for place, attack in enumerate(attacks.values())
    ]
    (single, _), (stands, unsure) = found[0], found[-1]
    value, interval = case.standing(stands, unsure)
    difference, low, high = _difference(single, stands, case.level)
    told = _told((averaged[0], averaged[-1]), case.standing(single)[0], case.taken(value), (difference, low, high))
    close = int(unsure.sum())
    return Measured([case.finding(
        "robustness.linf.randomness", value, judged=low, interval=interval,
        statement=f"{told}{case.tried(rows)}{case.left_open(close)}.",
        series={
            **_by_draws(case, sorted({*settings.draws})),
            "attacks": [_told_of(case, eot, *each) for eot, each in zip(averaged, found, strict=True)],
            "difference": difference, "difference_low": low, "difference_high": high,
        },
        conditions={
            **case.counts(rows), "attacks": [repr(attack) for attack in attacks.values()], "norm": "linf",
            "eps": case.headline("linf"), "units": case.examples.domain.units, "fresh": case.shared.fresh,
            "open": close,
        },
    )], rows={"stands_eot": case.column(rows, stands.astype(float), wrong=0.0)})  # fmt: skip


Found: TypeAlias = "tuple[Bool[np.ndarray, ' tried'], Bool[np.ndarray, ' tried']]"
"""Which of the tried rows stand, and which of them fresh draws leave open."""


def _attacked(case: Case, attack: PGD, rows: Int[np.ndarray, " tried"], advance: Callable[[float], None]) -> Found:
    from trustworthy.attacks.evaluate import attacked

    how = case.attacking("randomness", rows) | {"advance": advance, "judge": case.judge}
    model, x, y = case.attacked_at(rows)
    result = attacked(model, attack, x, y, **how)
    return ~result.success.cpu().numpy(), result.open.cpu().numpy()


def _difference(
    single: Bool[np.ndarray, " tried"], many: Bool[np.ndarray, " tried"], level: float
) -> tuple[float, float, float]:
    """Share of the rows that only the second attack breaks, less those that only the first does, and its interval."""
    from trustworthy.metrics import paired_share_interval

    lost, gained = int((single & ~many).sum()), int((many & ~single).sum())
    low, high = paired_share_interval(lost, gained, len(single), level)
    return (lost - gained) / len(single), -high, -low


def _told(averaged: tuple[int, int], single: float, taken: str, difference: tuple[float, float, float]) -> str:
    """What averaging gradients finds, and whether a single draw misses it."""
    (few, many), (_, low, high) = averaged, difference
    points = f"{100 * low:.1f} to {100 * high:.1f} points of the rows tried"
    told = (
        f"Gradients averaged over {many} draws take {taken} (linf); an attack by "
        f"{'single draws' if few == 1 else f'{few} draws'} leaves {single:.1%}"
    )
    if low > 0.0:
        return f"{told} and misses {points}: the noise hides gradients"
    return f"{told}: no sign that the noise hides gradients ({points})"


def _told_of(case: Case, eot: int, stands: Bool[np.ndarray, " tried"], unsure: Bool[np.ndarray, " tried"]) -> Any:
    value, (low, high) = case.standing(stands, unsure)
    return {"eot": eot, "accuracy": value, "low": low, "high": high, "open": int(unsure.sum())}


def _by_draws(case: Case, draws: list[int]) -> dict[str, Any]:
    """Accuracy of the mean of so many draws: mean, lowest and highest of disjoint groups of the most that are asked."""
    from trustworthy.core.predictive import pooled

    members = case.answers(case.examples.x, draws[-1]).members
    by_group = [
        [
            float((pooled(group).argmax(1) == case.examples.y).double().mean())
            for group in members[: len(members) // count * count].split(count)
        ]
        for count in draws
    ]
    return {
        "draws": draws, "accuracy": [float(np.mean(group)) for group in by_group],
        "low": [min(group) if len(group) > 1 else None for group in by_group],
        "high": [max(group) if len(group) > 1 else None for group in by_group],
    }  # fmt: skip


def draw(shown: Shown) -> list[Panel]:
    """Both accuracies against the number of draws, of all models."""
    lead = (
        "A stochastic model answers with the mean of several draws, and an attack has to average gradients likewise. "
        "Dashed: accuracy without an attack against the draws that are averaged in a prediction, with the range of "
        "disjoint groups of draws. Bold: accuracy under attack against the draws that are averaged in each gradient, "
        "with its band, judged by fresh draws. Where the bold line falls, the noise hides gradients from single draws, "
        "and robustness that was measured by single draws is no robustness."
    )
    return shown.with_numbers("Draws of the model, and attacks that average them", lead, _figure, _columns)


def _figure(group: Group) -> Markup:
    return group.figure(plots.randomness(group.id, group.curves), [(plots.UNATTACKED, dashed(0))])


def _columns(s: Randomness) -> dict[str, list[str]]:
    percent = formatting.percent
    counts = sorted({*s.draws, *(each.eot for each in s.attacks)})
    clean = dict(zip(s.draws, s.accuracy, strict=True))
    ranges = dict(zip(s.draws, map(formatting.percents, s.low, s.high), strict=False))
    attacked = {each.eot: each for each in s.attacks}
    under = [attacked.get(count) for count in counts]
    return {
        "draws": [*map(formatting.number, counts)],
        "accuracy": [percent(clean.get(count)) for count in counts],
        "groups": [ranges.get(count, formatting.NOTHING) for count in counts],
        "under attack": [percent(each.accuracy if each else None) for each in under],
        "interval": [formatting.percents(each.low, each.high) if each else formatting.NOTHING for each in under],
        "too close to call": [formatting.number(each.open if each else None) for each in under],
    }


RULE = Rule(
    "share of the tried rows that averaged gradients break and single ones miss, low end of its interval", 0.0, 0.1
)
KIND = Kind(
    name="randomness", step="robustness.randomness", property="robustness", series=Randomness, attacks=True, cost=3,
    measure=measure, draw=draw,
    findings={
        "robustness.linf.randomness": Judged(
            "Accuracy under attack, averaged over draws", RULE, share=True, higher_is_better=True, headline=True,
            rows=mean_of("stands_eot"),
        )
    },
    settings=in_profiles(
        Settings, draws=([1, 2, 5, 10, 20], [1, 2, 5, 10, 20, 50], [1, 2, 5, 10, 20, 50, 100]),
        eot=([1, 4, 16], [1, 4, 16, 64], [1, 4, 16, 64]), rows=(50, 100, 300),
    ),
)  # fmt: skip
