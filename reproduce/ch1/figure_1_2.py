"""Figure 1.2: error against budget for several numbers of labels, and against three baselines."""

from __future__ import annotations

from typing import Any

import numpy as np

from reproduce.ch1.poison import Curves, attack, errors, over_splits, problem, solved
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.graphs.poisoning import (
    CentralityAttack,
    LabelAttack,
    PoisoningProblem,
    PoisoningResult,
    RandomLabelAttack,
)

BASELINES: dict[str, LabelAttack] = {
    "random": RandomLabelAttack(budget=0),
    "degree": CentralityAttack(budget=0, centrality="degree"),
    "pagerank": CentralityAttack(budget=0, centrality="pagerank"),
}


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a sweep and number of labels, and one a data set for its baselines."""
    sweeps = [f"{head}.n{labelled}" for head, sizes in options["labelled"].items() for labelled in sizes]
    return sweeps + [f"{data}-baselines" for data in options["compared"]]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Errors at each budget, means over random splits."""
    options = setting.options
    head, _, labels = cell.partition(".n")
    data = head.removesuffix("-baselines").removesuffix("-sweep")
    labelled = int(labels) if labels else options["reference"][data]
    limit = options["rows"].get(head)
    budgets = options["budgets"][data] if labels else options["compared"][data]

    def found(seed: int) -> Curves:
        poisoned = problem(data, labelled, options["gamma"][data], seed, limit)
        reached = errors(attack(data), poisoned, budgets, seed)
        if not labels:
            others: Curves = {".attack": reached}
            for name, baseline in BASELINES.items():
                flips = [solved(baseline, poisoned, budget, seed) for budget in budgets]
                others[f".{name}"] = [flip.error_after for flip in flips]
                if poisoned.classifies:
                    others[f"-influential.{name}"] = [influential(poisoned, flip) for flip in flips]
            return others
        if data != head or labelled != options["reference"][data] or not poisoned.classifies:
            return {"": reached}
        bounds = attack(data).bounds(poisoned, budgets).tolist()
        swapped = errors(attack(data, "local-search"), poisoned, budgets, seed)
        return {"": reached, "-local-search": swapped, "-bound": bounds}

    return list(over_splits(cell, budgets, setting, found, labelled=labelled, rows=limit))


def influential(problem: PoisoningProblem, found: PoisoningResult) -> float:
    """Share of the flipped labels that are among as many with the largest column sums of K; 0 without flips."""
    most = problem.known[np.argsort(-problem.operator.sum(axis=0))[: len(found.flipped)]]
    return float(np.isin(found.flipped, most).mean()) if len(most) else 0.0
