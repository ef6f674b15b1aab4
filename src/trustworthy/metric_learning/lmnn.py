"""Large margin nearest neighbours."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from trustworthy.core import checks
from trustworthy.metric_learning.lmnn_objective import LMNNObjective
from trustworthy.metric_learning.mahalanobis import MahalanobisTransformer, initial_map, warn_idle, warn_unconverged
from trustworthy.metric_learning.near import near_lists


class LMNN(MahalanobisTransformer):
    """Metric that pulls target neighbours near and keeps other classes a margin farther (Weinberger and Saul, 2009).

    A baseline of section 3.2. Minimises the objective of `LMNNObjective` over the map by L-BFGS; impostors are
    searched among all rows at every evaluation. Targets are the nearest rows of the own class where it starts. Rows are
    taken in their own unit (`unit_of`; 1 for features in [0, 1]): rows c X give M / c². A fit that ends where it began
    warns.

    Parameters
    ----------
    n_components : rank of M, at most the features; None for full rank.
    n_neighbors : target neighbours of a row; cut to the rows of its class less one.
    regularization : share of the push of impostors, in [0, 1]; the pull of the targets has the rest.
    init : "identity" (of a lower rank: the leading principal directions) in that unit, or the map (rank, features) of X
        itself to start from.
    max_iter : iterations of L-BFGS. tol : relative fall of the objective in an iteration at which it stops, >= 0.
    random_state : taken for likeness with the other learners; nothing is random.

    Attributes
    ----------
    components_ : (rank, features).
    classes_ : the labels, sorted.
    n_iter_ : iterations taken.
    objective_ : the objective at `components_`.
    converged_ : whether `tol` was reached; where not, `fit` warns.

    Cost: an evaluation takes O(n² rank + n d²) operations in double precision, and n² d where impostors abound.
    """

    def __init__(
        self,
        *,
        n_components: int | None = None,
        n_neighbors: int = 3,
        regularization: float = 0.5,
        init: str | ArrayLike = "identity",
        max_iter: int = 100,
        tol: float = 1e-4,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.n_neighbors = n_neighbors
        self.regularization = regularization
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn from rows X (n, features) with labels y (n,) of two classes or more."""
        neighbors = checks.integer("n_neighbors", self.n_neighbors, at_least=1)
        push = checks.real("regularization", self.regularization, at_least=0.0, at_most=1.0)
        limit = checks.integer("max_iter", self.max_iter, at_least=1)
        tolerance = checks.real("tol", self.tol, at_least=0.0)
        X, codes, unit = self._examples(X, y)
        start = initial_map(self.init, self.n_components, X, unit)
        X /= unit
        near = near_lists(X, codes, np.arange(len(X)), start, min(neighbors, len(X)))
        objective = LMNNObjective(X, codes, near.own, near.own_count, push)
        found = minimize(
            lambda flat: objective.value_and_gradient(flat.reshape(start.shape)), start.ravel(), jac=True,
            method="L-BFGS-B", options={"maxiter": limit, "ftol": tolerance, "gtol": 0.0},
        )  # fmt: skip
        self.components_ = found.x.reshape(start.shape) / unit
        self.objective_ = float(found.fun)
        self.n_iter_ = int(found.nit)
        self.converged_ = bool(found.status == 0)
        if not self.converged_:
            warn_unconverged("LMNN", self.n_iter_)
        if np.array_equal(found.x, start.ravel()):
            warn_idle("LMNN", "its objective did not fall. Lower `regularization`, or give another `init`.")
        return self
