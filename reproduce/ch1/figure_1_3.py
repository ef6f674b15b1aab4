"""Figure 1.3: the attack with the true labels of the unlabelled rows against the one with estimated labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from reproduce.ch1.poison import Curves, attack, either_sign, estimated, over_splits, problem, solved
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.graphs.poisoning import PoisoningProblem, PoisoningResult


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a data set."""
    return list(options["budgets"])


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Errors at each budget, and for classes whether the same labels are flipped."""
    options = setting.options
    budgets, labelled, limit = options["budgets"][cell], options["labelled"][cell], options["rows"].get(cell)

    def found(seed: int) -> Curves:
        known = problem(cell, labelled, options["gamma"][cell], seed, limit)
        blind = estimated(known)
        pairs = [
            (solved(attack(cell), known, budget, seed), solved(attack(cell), blind, budget, seed)) for budget in budgets
        ]
        curves: Curves = {
            ".true": [true.error_after for true, _ in pairs],
            ".estimated": [guess.error_after for _, guess in pairs],
        }
        if known.classifies:
            curves["-flips.same"] = [float(np.array_equal(true.flipped, guess.flipped)) for true, guess in pairs]
            curves["-mended.true"] = [mended(known, true) for true, _ in pairs]
            curves["-mended.estimated"] = [mended(known, guess) for _, guess in pairs]
        else:  # the top singular vector has two signs, and the released code reports the worse
            curves[".estimated-either-sign"] = [either_sign(known, guess) for _, guess in pairs]
        return curves

    return list(over_splits(cell, budgets, setting, found, labelled=labelled, rows=limit))


def mended(problem: PoisoningProblem, found: PoisoningResult) -> float:
    """Share of the predictions turned by the flips that were wrong before; 0 where none is turned."""
    flipped = np.where(np.isin(problem.known, found.flipped), -problem.values, problem.values)
    before, after = (np.sign(problem.operator @ labels) for labels in (problem.values, flipped))
    turned = before != after
    return float(np.mean(before[turned] != problem.truth[turned])) if turned.any() else 0.0
