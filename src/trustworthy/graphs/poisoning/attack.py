"""What all attacks share: the attacker's arguments, the call, and what no attack within a budget can exceed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.affinity import LARGEST, Rows
from trustworthy.graphs.poisoning.certificate import certified_errors
from trustworthy.graphs.poisoning.problem import PoisoningProblem, PoisoningResult
from trustworthy.graphs.poisoning.sparse import sparse_bound
from trustworthy.graphs.propagation import LabelPropagation

_SLACK = 1e-9  # relative; more than rounding takes from a bound


@dataclass(frozen=True, kw_only=True)
class PoisoningAttack(ABC):
    """An attack on the training data of label propagation, called with the learner and the data.

    budget : how much may be changed; see each attack.
    knowledge : "true", the attacker knows the values of the unlabelled rows, or "estimated", it takes what the learner
        predicts from clean data.
    assumed_gamma : the width of the graph that the attacker believes in (figure 1.5); None, it knows the learner's.
    """

    reads: ClassVar[str] = "auto"
    """The kind of labels that it changes: "classification", "regression", or "auto" for what the learner reads."""
    budget: float
    knowledge: str = "true"
    assumed_gamma: float | None = None

    @np.errstate(under="ignore")
    def __call__(
        self,
        learner: LabelPropagation,
        X: Rows,
        y: ArrayLike,
        *,
        truth: ArrayLike | None = None,
        target: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> PoisoningResult:
        """Poison labels y (n,) of rows X (n, features), dense or CSR; missing labels are -1, or NaN if floating.

        learner : its settings are used, and where gamma is "cv" the width that it has been fitted with.
        truth : (unlabelled,) true values of the unlabelled rows in their order; needed where `knowledge` is "true".
        target : (unlabelled,) values that the attacker wants predicted; None, it wants predictions to be wrong.
        random_state : seed or generator of the attacks that draw; None draws from NumPy's global stream.
        """
        problem = self.problem(learner, X, y, truth=truth, target=target)
        rng = np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))
        found = self.solve(problem, rng)
        return replace(found, bound=float(self.bounds(problem, [self.budget])[0]))

    def problem(
        self,
        learner: LabelPropagation,
        X: Rows,
        y: ArrayLike,
        *,
        truth: ArrayLike | None = None,
        target: ArrayLike | None = None,
    ) -> PoisoningProblem:
        """The problem in numbers, to be solved for several budgets."""
        return PoisoningProblem.of(
            learner, X, y, reads=self.reads, truth=truth, target=target, knowledge=self.knowledge,
            assumed_gamma=self.assumed_gamma,
        )  # fmt: skip

    @abstractmethod
    def solve(self, problem: PoisoningProblem, rng: np.random.Generator) -> PoisoningResult:
        """Attack a problem that has been made, without the bound."""

    @abstractmethod
    def bounds(self, problem: PoisoningProblem, budgets: Sequence[float]) -> Float[np.ndarray, " budgets"]:
        """Proven upper bounds on the error that any such attack of each budget can cause."""


@dataclass(frozen=True, kw_only=True)
class LabelAttack(PoisoningAttack):
    """An attack on labels alone.

    budget : classes to flip at most, or the largest l2 norm of the change of real labels.
    """

    def solve(self, problem: PoisoningProblem, rng: np.random.Generator) -> PoisoningResult:
        checked_budget(problem, self.budget)
        return problem.result(self.changed(problem, rng))

    @abstractmethod
    def changed(self, problem: PoisoningProblem, rng: np.random.Generator) -> Float[np.ndarray, " labelled"]:
        """The labels in numbers, changed."""

    def bounds(self, problem: PoisoningProblem, budgets: Sequence[float]) -> Float[np.ndarray, " budgets"]:
        return error_bounds(problem, budgets)


def checked_budget(problem: PoisoningProblem, budget: float) -> float:
    """A number of labels to flip, or the l2 norm of a change of real labels."""
    if problem.classifies:
        return checks.integer("budget", budget, at_least=0, at_most=len(problem.values))
    radius = checks.real("budget", budget, at_least=0.0, at_most=LARGEST)
    if 0.0 < radius < 1.0 / LARGEST:
        raise InvalidInput(f"budget must be 0 or >= {1.0 / LARGEST:g}, got {budget!r}. Scale the labels up.")
    return radius


def error_bounds(
    problem: PoisoningProblem, budgets: Sequence[float], nonzeros: int | None = None
) -> Float[np.ndarray, " budgets"]:
    """Proven upper bound on the error for each budget; for real labels without `nonzeros`, the exact worst RMSE."""
    checked = [checked_budget(problem, budget) for budget in budgets]
    if problem.classifies:
        return certified_errors(*problem.margins(problem.operator, problem.truth), checked)
    residual = problem.operator @ problem.values - problem.truth
    squares = [float(residual @ residual) - 2.0 * problem.worst.minimum(radius).value for radius in checked]
    bounds = np.sqrt(np.maximum(squares, 0.0))
    if nonzeros is not None:
        halves = [sparse_bound(problem.operator, residual, radius, nonzeros) for radius in checked]
        bounds = np.minimum(bounds, np.sqrt(2.0 * np.array(halves)))
    return bounds / np.sqrt(len(residual)) * (1.0 + _SLACK)
