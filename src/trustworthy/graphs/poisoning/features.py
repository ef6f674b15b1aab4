"""Features of labelled rows moved so that the graph itself misleads: R2 of the unified framework, eq. (1.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy import sparse

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, warn
from trustworthy.graphs.affinity import LARGEST, GaussianGraphs
from trustworthy.graphs.poisoning.attack import PoisoningAttack
from trustworthy.graphs.poisoning.feature_gradient import evaluate, soft_sign, squared
from trustworthy.graphs.poisoning.feature_search import ascend
from trustworthy.graphs.poisoning.problem import PoisoningProblem, PoisoningResult
from trustworthy.graphs.solvers import harmonic


@dataclass(frozen=True, kw_only=True)
class FeatureAttack(PoisoningAttack):
    """Labelled rows moved by Delta with ||Delta||_F <= budget, labels kept, by exact gradients through the learner.

    budget : radius of the ball >= 0, in the unit of the features.
    rows : at most so many rows are moved, all others stay where they are; None for any number.
    steps : gradients taken. The search is local, so that its answer is a lower bound on the harm.
    sharpness : slope of the tanh that stands for the sign in classification.

    The learner's graph must be dense (n_neighbors=None). The bound of its result is what averages of labels allow:
    predictions between the smallest label and the largest. Cost: a solve of n_u³ / 3 operations a step.
    """

    rows: int | None = None
    steps: int = 60
    sharpness: float = 10.0

    def solve(self, problem: PoisoningProblem, rng: np.random.Generator) -> PoisoningResult:
        """Attack a problem that has been made, with random starts from `rng`, without the bound."""
        if problem.graphs.n_neighbors is not None:
            raise InvalidInput("n_neighbors must be None: who is whose neighbour jumps where features move.")
        if sparse.issparse(problem.graphs.X):
            raise InvalidInput("X must be dense: features that move are zero no more. Pass X.toarray().")
        radius = checks.real("budget", self.budget, at_least=0.0, at_most=LARGEST)
        steps = checks.integer("steps", self.steps, at_least=1)
        labelled = len(problem.values)
        rows = None if self.rows is None else checks.integer("rows", self.rows, at_least=0, at_most=labelled)
        sharpness = checks.real("sharpness", self.sharpness, above=0.0)
        gamma, sign = problem.assumed_gamma, -1.0 if problem.towards else 1.0
        held, free = problem.graphs.X[problem.labels.known], problem.graphs.X[~problem.labels.known]
        within = problem.graphs.split(gamma).within
        apart = soft_sign(problem.aim, sharpness) if problem.classifies else squared(problem.aim)

        def loss(scores: Float[np.ndarray, " unlabelled"]) -> tuple[float, Float[np.ndarray, " unlabelled"]]:
            value, slope = apart(scores)
            return sign * value, sign * slope

        moved, _ = ascend(
            held,
            lambda moved: evaluate(moved, free, within, problem.values, gamma, loss),
            lambda scores: -problem.objective(scores),
            radius=radius, rows=rows, steps=steps, rng=rng,
        )  # fmt: skip
        return self._result(problem, moved)

    def bounds(self, problem: PoisoningProblem, budgets: Sequence[float]) -> Float[np.ndarray, " budgets"]:
        """What averages of labels allow, the same for each budget: each prediction the worse of the extreme labels."""
        low, high = problem.values.min(), problem.values.max()
        worst = np.maximum(np.abs(low - problem.truth), np.abs(high - problem.truth))
        return np.full(len(budgets), 1.0 if problem.classifies else float(np.sqrt(np.mean(worst**2))))

    def _result(self, problem: PoisoningProblem, moved: Float[np.ndarray, "labelled d"]) -> PoisoningResult:
        features = problem.graphs.X.copy()
        features[problem.labels.known] = moved
        believed = _scores(problem, features, problem.assumed_gamma)
        same = problem.assumed_gamma == problem.gamma
        actual = believed if same else _scores(problem, features, problem.gamma)
        if np.isnan(actual).any():
            warn(
                f"the learner's graph falls apart where the features have moved: {np.isnan(actual).sum()} unlabelled "
                "rows are joined to no label. Classes of them count as wrong, and with real labels the error is NaN."
            )
        return replace(
            problem.result(problem.values),
            features=features,
            flipped=np.flatnonzero((features != problem.graphs.X).any(axis=1)),
            objective=problem.objective(believed),
            error_after=problem.error(actual),
        )


def _scores(
    problem: PoisoningProblem, features: Float[np.ndarray, "n d"], gamma: float
) -> Float[np.ndarray, " unlabelled"]:
    return harmonic(GaussianGraphs(features, problem.labels.known).split(gamma), problem.values[:, None])[:, 0]
