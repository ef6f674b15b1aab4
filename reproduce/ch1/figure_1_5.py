"""Figure 1.5: an attacker that assumes another width of the graph than the learner's."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from reproduce.ch1.poison import Curves, attack, either_sign, estimated, over_splits, problem, solved
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.graphs.poisoning import PoisoningProblem
from trustworthy.graphs.solvers import harmonic_operator


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a data set and width that is assumed, in multiples of the learner's."""
    return [f"{data}@{ratio:g}" for data in options["budget"] for ratio in options["ratios"]]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Errors with and without the true labels of the unlabelled rows, means over random splits."""
    options = setting.options
    data, _, ratio = cell.partition("@")
    gamma, budget, labelled = options["gamma"][data], options["budget"][data], options["labelled"][data]

    def found(seed: int) -> Curves:
        victim = problem(data, labelled, gamma, seed)
        wrong = victim
        if float(ratio) != 1.0:
            wrong = dataclasses.replace(victim, assumed=believed(victim, gamma * float(ratio)))
        blind = solved(attack(data), estimated(wrong), budget, seed)
        curves: Curves = {
            ".clean": [victim.error(victim.operator @ victim.values)],
            ".true": [solved(attack(data), wrong, budget, seed).error_after],
            ".estimated": [blind.error_after],
        }
        return curves if victim.classifies else curves | {".estimated-either-sign": [either_sign(victim, blind)]}

    return list(over_splits(data, [float(ratio)], setting, found, labelled=labelled, budget=budget))


def believed(victim: PoisoningProblem, gamma: float) -> np.ndarray:
    """K of the same rows at another width; 0 for rows that it joins to no label, which the attacker can only ignore."""
    return np.nan_to_num(harmonic_operator(victim.graphs.split(gamma)))
