"""Poisoning problems of random splits, and errors of attacks on them over budgets."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from reproduce import intervals
from reproduce.ch1.data import REGRESSION, hidden, prepared
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.graphs import LabelPropagation
from trustworthy.graphs.poisoning import (
    ClassificationLabelAttack,
    LabelAttack,
    PoisoningProblem,
    PoisoningResult,
    RegressionLabelAttack,
)

Curves = dict[str, Sequence[float]]
"""Name of a curve -> its values at the places of an axis."""


def attack(data: str, method: str = "greedy") -> LabelAttack:
    """The dissertation's attack on a data set, or another method on classes."""
    return (
        RegressionLabelAttack(budget=0.0) if data in REGRESSION else ClassificationLabelAttack(budget=0, method=method)
    )


def seeds(setting: Setting, head: str = "") -> list[int]:
    """A seed for each random split; their number may be given by head, "*" for the others."""
    splits = setting.options["splits"]
    return [setting.seed + k for k in range(splits if isinstance(splits, int) else splits.get(head, splits["*"]))]


def posed(data: str, labelled: int, gamma: float, seed: int, limit: int | None = None) -> PoisoningProblem:
    """The problem of an attacker that knows everything; `limit` rows of the data, None: all."""
    x, y, truth = hidden(prepared(data, seed), labelled, seed, limit)
    return attack(data).problem(LabelPropagation(gamma=gamma), x, y, truth=truth)


problem = functools.lru_cache(maxsize=5)(posed)
"""The same, kept for several cells."""


def estimated(known: PoisoningProblem) -> PoisoningProblem:
    """The same for an attacker that takes predictions from clean labels in place of the truth, eq. (1.3a)."""
    return dataclasses.replace(known, aim=known.squeezed(known.assumed @ known.values))


def solved(attack: LabelAttack, problem: PoisoningProblem, budget: float, seed: int) -> PoisoningResult:
    """The attack with a budget; its bound is left out."""
    return dataclasses.replace(attack, budget=budget).solve(problem, np.random.default_rng(seed))


def errors(attack: LabelAttack, problem: PoisoningProblem, budgets: Sequence[float], seed: int) -> list[float]:
    """Error after the attack with each budget."""
    return [solved(attack, problem, budget, seed).error_after for budget in budgets]


def either_sign(problem: PoisoningProblem, found: PoisoningResult) -> float:
    """The larger error of a change of real labels and its mirror image, as the released code reports it.

    Equation (1.3a) does not tell the two signs of the singular vector apart.
    """
    mirrored = 2.0 * problem.values - found.labels[problem.known]
    return max(found.error_after, problem.error(problem.operator @ mirrored))


def over_splits(
    head: str, places: Sequence[float], setting: Setting, measure: Callable[[int], Curves], **conditions: object
) -> Iterator[Measured]:
    """Means over random splits of what `measure` finds with the seed of each."""
    found, drawn = [], seeds(setting, head.partition(".")[0])
    for done, seed in enumerate(drawn, start=1):
        found.append(measure(seed))
        setting.tell(done / len(drawn))
    for name in found[0]:
        table = np.array([curves[name] for curves in found])
        for place, column in zip(places, table.T, strict=True):
            yield intervals.splits(f"{head}{name}@{place:g}", column, seeds=drawn, **conditions)
