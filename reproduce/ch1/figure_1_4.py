"""Figure 1.4: approximate solvers of the discrete problem (1.6)."""

from __future__ import annotations

from typing import Any

import numpy as np

from reproduce.ch1.poison import Curves, attack, errors, over_splits, problem
from reproduce.runner import Setting
from reproduce.store import Measured

BOUND = "bound"


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a data set with its width, and method."""
    return [f"{head}.{method}" for head in options["heads"] for method in options["methods"]]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Errors at each budget, and their differences from the greedy method as released."""
    options = setting.options
    head, _, method = cell.partition(".")
    entry, budgets = options["heads"][head], options["budgets"]

    def found(seed: int) -> Curves:
        poisoned = problem(entry["data"], entry["labelled"], entry["gamma"], seed, entry.get("rows"))
        if method == BOUND:
            return {f".{method}": attack(entry["data"]).bounds(poisoned, budgets).tolist()}
        reached = errors(attack(entry["data"], method), poisoned, budgets, seed)
        greedy = errors(attack(entry["data"], "released-greedy"), poisoned, budgets, seed)
        return {f".{method}": reached, f"-less-greedy.{method}": (np.array(reached) - greedy).tolist()}

    return list(over_splits(head, budgets, setting, found, **entry))
