"""Judge measured records against a claim, by the rule that the claim states."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from reproduce.claim import Claim, Comparison, Rule
from trustworthy.core.record import Record

Verdict = Literal["match", "trend", "off", "not run"]
VERDICTS: tuple[Verdict, ...] = ("match", "trend", "off", "not run")
Z = 2.576
"""Two-sided 99 % point of the normal distribution."""
SLACK = 1e-9
"""Relative rounding allowed when two measured numbers are ordered."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A printed number or sentence beside what was measured."""

    name: str
    verdict: Verdict
    claimed: float | None = None
    record: Record | None = None


def judge(claim: Claim, records: dict[str, Record]) -> list[Judged]:
    """Verdict of every printed number and every sentence, in the order of the claim."""
    values = {name: record.value for name, record in records.items() if record.value is not None}
    pairs = _pairs(claim, set(values) | set(claim.printed()))
    return [
        *(_judged(claim, name, printed, records.get(name), pairs, values) for name, printed in claim.printed().items()),
        *(Judged(name=entry.text, verdict=compare(entry, values)[0]) for entry in claim.comparisons),
    ]


def _judged(
    claim: Claim,
    name: str,
    printed: float,
    record: Record | None,
    pairs: list[tuple[str, str]],
    values: dict[str, float],
) -> Judged:
    verdict: Verdict = "off"
    if record is None or record.value is None:
        verdict = "not run"
    elif agrees(claim.rule(name), printed, record):
        verdict = "match"
    elif _ordered(name, pairs, values):
        verdict = "trend"
    return Judged(name=name, verdict=verdict, claimed=printed, record=record)


def agrees(rule: Rule, printed: float, record: Record) -> bool:
    """Whether a measured number counts as the printed one."""
    assert record.value is not None
    if rule.kind == "at-most":
        return record.value <= printed + rule.resolution
    if rule.kind == "ordering":
        return False
    return abs(record.value - printed) <= allowed(rule, printed, record) + rule.resolution + 1e-12


def allowed(rule: Rule, printed: float, record: Record) -> float:
    """Largest difference that is no contradiction."""
    if rule.kind == "relative":
        return rule.tolerance * abs(printed)
    points = int(record.conditions.get("points", rule.points))
    if rule.kind in ("mean", "splits"):
        if record.interval is None:
            return 0.0
        error = (record.interval[1] - record.interval[0]) / (2 * 1.96)
        return Z * error * math.sqrt(1 + points / (1 if rule.kind == "splits" else rule.points))
    assert record.value is not None
    # Pooled share of both samples, one success and one failure added to each: never a zero width at 0 and 1.
    share = (record.value * points + printed * rule.points + 2) / (points + rule.points + 4)
    return Z * math.sqrt(share * (1 - share) * (1 / points + 1 / rule.points))


def compare(comparison: Comparison, values: dict[str, float]) -> tuple[Verdict, int, int]:
    """Verdict of a sentence, and at how many of how many places it holds: all match, at least half are a trend."""
    places = [(values[low], values[high]) for low, high in _places(comparison, values)]
    held = sum(comparison.factor * small <= large * (1 + SLACK) for small, large in places)
    if not places:
        return "not run", 0, 0
    return ("match" if held == len(places) else "trend" if 2 * held >= len(places) else "off"), held, len(places)


def _places(comparison: Comparison, values: dict[str, float]) -> list[tuple[str, str]]:
    """Names that a sentence puts one below the other: two values, or two curves wherever both were measured."""
    if "@" in comparison.smaller:
        found = [(comparison.smaller, comparison.larger)]
    else:
        at = [name.removeprefix(comparison.smaller) for name in values if _is_at(name, comparison)]
        found = [(comparison.smaller + place, comparison.larger + place) for place in at]
    return [(low, high) for low, high in found if low in values and high in values]


def _is_at(name: str, comparison: Comparison) -> bool:
    curve, _, place = name.partition("@")
    if curve != comparison.smaller:
        return False
    return comparison.between is None or not place or comparison.between[0] <= float(place) <= comparison.between[1]


def _pairs(claim: Claim, names: set[str]) -> list[tuple[str, str]]:
    """Full names that an ordering puts one below the other."""
    heads = sorted({name.partition(".")[0] for name in names})
    places = sorted({name.partition("@")[2] for name in names})
    chains = [
        [entry.replace("*", head) + (f"@{place}" if place and "@" not in entry else "") for entry in ordering]
        for ordering in claim.orderings
        for head in heads
        for place in places
    ]
    return [(low, high) for chain in chains for i, low in enumerate(chain) for high in chain[i + 1 :]]


def _ordered(name: str, pairs: list[tuple[str, str]], values: dict[str, float]) -> bool:
    """Whether all orderings with `name` hold among what was measured; False where none speaks of it."""
    told = [(low, high) for low, high in pairs if name in (low, high) and low in values and high in values]
    return bool(told) and all(values[low] <= values[high] * (1 + SLACK) + SLACK for low, high in told)
