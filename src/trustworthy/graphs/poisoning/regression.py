"""The worst change of real labels within a budget, section 1.2.4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.poisoning.attack import LabelAttack, error_bounds
from trustworthy.graphs.poisoning.gradient_path import algorithm_1
from trustworthy.graphs.poisoning.problem import PoisoningProblem
from trustworthy.graphs.poisoning.sparse import maximize_sparse

SOLVERS: dict[str, None] = {"exact": None, "algorithm-1": None}


@dataclass(frozen=True, kw_only=True)
class RegressionLabelAttack(LabelAttack):
    """Change of labels of a size within the budget that moves the predictions farthest, eqs. (1.3a), (1.3b), (1.4).

    budget : d_max >= 0, the largest l2 norm of the change, in the unit of the labels.
    nonzeros : at most so many labels are changed (the l0 budget); None for any number. The set is searched for, the
        change on each set that is tried is the best one.
    solver : "exact", the global optimum by eigen-decomposition and the secular equation; or "algorithm-1", the gradient
        descent of the dissertation. With estimated labels both are the top singular vector, of either sign: the one
        that adds most to the labels is taken.

    The bound of its result is the exact worst RMSE within the budget; with `nonzeros`, the least of several bounds.
    Cost: n_u n_l² + n_l³ operations for the problem, and n_l² for each budget.
    """

    reads: ClassVar = "regression"
    nonzeros: int | None = None
    solver: str = "exact"

    def changed(self, problem: PoisoningProblem, rng: np.random.Generator) -> Float[np.ndarray, " labelled"]:
        checks.choice("solver", self.solver, SOLVERS)
        change = self._dense(problem) if self.nonzeros is None else self._sparse(problem)
        return problem.values + change

    def bounds(self, problem: PoisoningProblem, budgets: Sequence[float]) -> Float[np.ndarray, " budgets"]:
        """Exact worst RMSE for each budget; with `nonzeros` the least of several bounds on it."""
        return error_bounds(problem, budgets, self._nonzeros(problem))

    def _dense(self, problem: PoisoningProblem) -> Float[np.ndarray, " labelled"]:
        determined = problem.terms[1].any()
        if self.solver == "algorithm-1" and determined:
            return algorithm_1(*problem.terms, self.budget).point
        found = problem.attacker.minimum(self.budget).point
        return found if determined or found.sum() >= 0.0 else -found

    def _sparse(self, problem: PoisoningProblem) -> Float[np.ndarray, " labelled"]:
        nonzeros = self._nonzeros(problem) or 0
        if problem.towards:
            raise InvalidInput(
                "nonzeros must be None where a target is given: sparse changes are searched away from values only."
            )
        return maximize_sparse(problem.assumed, problem.assumed @ problem.values - problem.aim, self.budget, nonzeros)

    def _nonzeros(self, problem: PoisoningProblem) -> int | None:
        if self.nonzeros is None:
            return None
        return checks.integer("nonzeros", self.nonzeros, at_least=0, at_most=len(problem.values))
