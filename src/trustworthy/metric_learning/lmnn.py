"""Large margin nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.optimize import minimize

from trustworthy.core import checks
from trustworthy.metric_learning import kernels
from trustworthy.metric_learning.mahalanobis import MahalanobisTransformer, initial_map, warn_idle, warn_unconverged
from trustworthy.metric_learning.near import near_lists

_CELLS = 1 << 23  # entries of a block of products: 64 MiB in double precision


@dataclass(kw_only=True, eq=False, repr=False)
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

    n_components: int | None = None
    n_neighbors: int = 3
    regularization: float = 0.5
    init: str | ArrayLike = "identity"
    max_iter: int = 100
    tol: float = 1e-4
    random_state: int | np.random.RandomState | None = None

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


_SPARSE = 0.05  # share of a block's pairs with an active triplet below which their sum is sparse


class LMNNObjective:
    """(1 - mu) Σ d(i, j) + mu Σ [1 + d(i, j) - d(i, l)]+ over targets j of i and rows l of other classes.

    d are squared distances under the map; eqs. (11)-(13) of Weinberger and Saul (2009).

    rows : (n, d), centred. codes : (n,). targets : (n, k), of which the first `counts` (n,) are set. push : mu.
    """

    def __init__(
        self,
        rows: Float[np.ndarray, "n d"],
        codes: Int[np.ndarray, " n"],
        targets: Int[np.ndarray, "n k"],
        counts: Int[np.ndarray, " n"],
        push: float,
    ) -> None:
        self._rows, self._codes, self._push = rows, codes, push
        self._starts = np.r_[0, np.cumsum(counts)]  # (n + 1,)
        self._anchors = np.repeat(np.arange(len(rows)), counts)  # (pairs,) and so the targets, row by row
        self._targets = targets[np.arange(targets.shape[1]) < counts[:, None]]

    def value_and_gradient(self, root: Float[np.ndarray, "rank d"]) -> tuple[float, Float[np.ndarray, "rank d"]]:
        """Objective and its gradient in the map, by products of blocks of rows with all rows."""
        mapped = self._rows @ root.T  # (n, rank)
        gaps = mapped[self._anchors] - mapped[self._targets]  # (pairs, rank)
        distances = np.einsum("ij,ij->i", gaps, gaps)
        total, active, weighted, sums = self._impostors(mapped, distances + 1.0)
        value = (1.0 - self._push) * distances.sum() + self._push * total
        # Each pair (a, b) of weight w adds w (a - b)(a - b)ᵀ; all of them are a Laplacian between the rows.
        n = len(self._rows)
        weights = (1.0 - self._push) + self._push * active
        pulls = sparse.csr_array((weights, self._targets, self._starts), shape=(n, n))
        degrees = pulls.sum(axis=1) + pulls.sum(axis=0) - self._push * sums
        half = self._rows.T @ (degrees[:, None] / 2 * self._rows - (pulls @ self._rows - self._push * weighted))
        return float(value), (2.0 * root) @ (half + half.T)

    def _impostors(
        self, mapped: Float[np.ndarray, "n rank"], reach: Float[np.ndarray, " targets"]
    ) -> tuple[float, Int[np.ndarray, " targets"], Float[np.ndarray, "n d"], Float[np.ndarray, " n"]]:
        """Sum of hinges, active triplets of each target, W rows, and the row plus column sums of W.

        W (n, n) counts the active triplets of each pair of a row and its impostor.
        """
        norms = np.einsum("ij,ij->i", mapped, mapped)
        total, active = 0.0, np.zeros(len(reach), np.int64)
        weighted, sums = np.zeros_like(self._rows), np.zeros(len(mapped))
        step = max(1, _CELLS // len(mapped))
        for start in range(0, len(mapped), step):
            part = slice(start, start + step)
            counts = mapped[part] @ mapped.T  # (block, n): products, which `hinges` turns into counts
            hinges, filled = kernels.hinges(counts, norms, self._codes, start, self._starts, reach, active)
            total += hinges
            if filled == 0:
                continue
            pairs = sparse.csr_array(counts) if filled < _SPARSE * counts.size else counts
            weighted[part] = pairs @ self._rows
            sums[part] += counts.sum(axis=1)
            sums += counts.sum(axis=0)
        return total, active, weighted, sums
