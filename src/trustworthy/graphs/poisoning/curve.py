"""Error against budget: how little it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from trustworthy.core.errors import InvalidInput
from trustworthy.core.progress import tracked
from trustworthy.graphs.affinity import Rows
from trustworthy.graphs.poisoning.attack import PoisoningAttack
from trustworthy.graphs.poisoning.problem import PoisoningResult
from trustworthy.graphs.propagation import LabelPropagation


@dataclass(frozen=True)
class PoisoningCurve:
    """Results of one attack over budgets.

    budgets : (budgets,) as given.
    results : a `PoisoningResult` for each.
    """

    budgets: Float[np.ndarray, " budgets"]
    results: tuple[PoisoningResult, ...]

    @property
    def error(self) -> Float[np.ndarray, " budgets"]:
        """Errors that the attack caused."""
        return np.array([result.error_after for result in self.results])

    @property
    def bound(self) -> Float[np.ndarray, " budgets"]:
        """Errors that no attack of the same budget exceeds."""
        return np.array([result.bound for result in self.results])


def poisoning_curve(
    attack: PoisoningAttack,
    learner: LabelPropagation,
    X: Rows,
    y: ArrayLike,
    budgets: Sequence[float],
    *,
    truth: ArrayLike | None = None,
    target: ArrayLike | None = None,
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
    progress: bool = False,
) -> PoisoningCurve:
    """Run an attack with each of `budgets` in place of its own; the graph is solved once.

    learner, X, y, truth, target : as in the call of the attack.
    random_state : each budget draws from a seed of its own.
    n_jobs : processes, as in scikit-learn. progress : show how far it is.
    """
    if not isinstance(budgets, Sequence | np.ndarray) or isinstance(budgets, str) or np.ndim(budgets) != 1:
        raise InvalidInput(f"budgets must be a list of budgets, got {budgets!r}.")
    if not len(budgets):
        raise InvalidInput("budgets must hold at least one budget, got none.")
    problem = attack.problem(learner, X, y, truth=truth, target=target)
    bounds = attack.bounds(problem, budgets)
    seeds = check_random_state(random_state).randint(2**31 - 1, size=len(budgets))
    tasks = (
        delayed(replace(attack, budget=budget).solve)(problem, np.random.default_rng(seed))
        for budget, seed in zip(budgets, seeds, strict=True)
    )
    found: Any = Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    shown = tracked(found, "budgets", len(budgets), show=progress)
    results = tuple(replace(result, bound=float(bound)) for result, bound in zip(shown, bounds, strict=True))
    return PoisoningCurve(np.asarray(budgets, dtype=np.float64), results)
