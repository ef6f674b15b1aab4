"""What no attack on the labels within a budget can exceed, whatever it knows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.affinity import LARGEST
from trustworthy.graphs.poisoning.certificate import certified_errors
from trustworthy.graphs.poisoning.problem import PoisoningProblem
from trustworthy.graphs.poisoning.sparse import sparse_bound

_SLACK = 1e-9  # relative; more than rounding takes from a bound


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
