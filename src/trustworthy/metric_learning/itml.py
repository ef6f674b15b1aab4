"""Information-theoretic metric learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.metric_learning import kernels
from trustworthy.metric_learning.mahalanobis import MahalanobisTransformer, warn_idle, warn_unconverged

_BLOCK = 64  # pairs projected on between two updates of the whole matrix
_DRAWS = 10_000  # pairs whose distances give the bounds
_TRIES = 20  # rounds of draws after which the pairs that were found must do


@dataclass(kw_only=True, eq=False, repr=False)
class ITML(MahalanobisTransformer):
    """Metric nearest to the Euclidean one (in the log-determinant divergence) that bounds distances of pairs.

    A baseline of section 3.2 (Davis et al., 2007): squared distances of similar pairs at most the lower bound, of
    dissimilar pairs at least the upper one, with slack, by cyclic Bregman projections. The paper prints the step of a
    projection for gamma = 1; here it is the one for any gamma. Rows c X, with bounds times c², give the same M. A fit
    that ends where it began warns.

    Parameters
    ----------
    n_constraints : pairs of either kind that are drawn at random; None for 20 classes².
    bounds : (lower, upper) of squared distances, > 0; None for the 5th and 95th percentile over random pairs.
    gamma : weight of the slack, > 0; larger ones keep the bounds better.
    max_iter : sweeps over the pairs. tol : relative change of the multipliers in a sweep at which it stops, >= 0.
    random_state : seed or generator of the pairs. None draws from NumPy's global stream.

    Attributes
    ----------
    components_ : (features, features).
    classes_ : the labels, sorted.
    n_iter_ : sweeps taken.
    pairs_ : (pairs, 2) rows.
    similar_ : (pairs,) 1 or -1.
    bounds_ : (lower, upper).
    converged_ : whether `tol` was reached; where not, `fit` warns. Pairs of equal rows are left out.

    Cost: a sweep takes about 6 d² operations a pair, in matrix products of 64 pairs.
    """

    n_constraints: int | None = None
    bounds: tuple[float, float] | None = None
    gamma: float = 1.0
    max_iter: int = 1000
    tol: float = 1e-3
    random_state: int | np.random.RandomState | None = None

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn from rows X (n, features) with labels y (n,) of two classes or more."""
        gamma = checks.real("gamma", self.gamma, above=0.0)
        limit = checks.integer("max_iter", self.max_iter, at_least=1)
        tolerance = checks.real("tol", self.tol, at_least=0.0)
        X, codes, _ = self._examples(X, y)
        rng = check_random_state(self.random_state)
        self.bounds_ = _checked_bounds(self.bounds) or distance_bounds(X, rng)
        gaps = self._draw(X, codes, rng)
        matrix = self._project(gaps, gamma, limit, tolerance)
        if not (matrix - np.eye(len(matrix))).any():
            warn_idle("ITML", "the Euclidean distance keeps all bounds. Give tighter `bounds` or more `n_constraints`.")
        values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
        self.components_ = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
        return self

    def _draw(
        self, X: Float[np.ndarray, "n d"], codes: Int[np.ndarray, " n"], rng: np.random.RandomState
    ) -> Float[np.ndarray, "pairs d"]:
        """Draw the pairs and return the differences of their rows."""
        default = 20 * len(self.classes_) ** 2
        count = (
            default if self.n_constraints is None else checks.integer("n_constraints", self.n_constraints, at_least=1)
        )
        alike, unlike = (random_pairs(codes, count, same=same, rng=rng) for same in (True, False))
        pairs, similar = np.vstack([alike, unlike]), np.repeat([1.0, -1.0], [len(alike), len(unlike)])
        gaps = X[pairs[:, 0]] - X[pairs[:, 1]]
        apart = gaps.any(axis=1)
        self.pairs_, self.similar_ = pairs[apart], similar[apart]
        return gaps[apart]

    def _project(
        self, gaps: Float[np.ndarray, "pairs d"], gamma: float, limit: int, tolerance: float
    ) -> Float[np.ndarray, "d d"]:
        """Sweep the projections over the pairs, from the identity, until the multipliers rest."""
        matrix, duals = np.eye(gaps.shape[1]), np.zeros(len(gaps))
        slack = np.where(self.similar_ > 0, *self.bounds_)
        self.converged_ = False
        for sweep in range(1, limit + 1):
            before = duals.copy()
            for start in range(0, len(gaps), _BLOCK):
                part = slice(start, start + _BLOCK)
                images = matrix @ gaps[part].T
                gram = np.ascontiguousarray(gaps[part] @ images)
                mixed = np.empty_like(gram)
                kernels.project_block(gram, self.similar_[part], slack[part], duals[part], gamma, mixed)
                matrix += (images @ mixed) @ images.T
            self.n_iter_ = sweep
            scale = np.linalg.norm(before) + np.linalg.norm(duals)
            if np.abs(duals - before).sum() <= tolerance * scale:
                self.converged_ = True
                break
        else:
            warn_unconverged("ITML", limit)
        return matrix


def _checked_bounds(bounds: tuple[float, float] | None) -> tuple[float, float] | None:
    if bounds is None:
        return None
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise InvalidInput(f"bounds must be a pair (lower, upper) or None, got {bounds!r}.")
    low, high = (checks.real("bounds", edge, above=0.0) for edge in bounds)
    if low > high:
        raise InvalidInput(f"bounds must have lower <= upper, got {bounds!r}.")
    return low, high


def random_pairs(
    codes: Int[np.ndarray, " n"], count: int, *, same: bool, rng: np.random.RandomState
) -> Int[np.ndarray, "pairs 2"]:
    """At most `count` different unordered pairs of the same class, or of two classes, drawn uniformly.

    Where that many do not exist, or are so rare that draws miss them, there are fewer.
    """
    n = len(codes)
    if n * (n - 1) // 2 <= 20 * count:  # few rows: draw from the list of all pairs
        first, second = np.triu_indices(n, 1)  # (n (n - 1) / 2,) each
        fit = np.flatnonzero((codes[first] == codes[second]) == same)
        kept = rng.permutation(fit)[:count]
        return np.stack([first[kept], second[kept]], axis=1)
    found = np.empty((0, 2), np.int64)
    for _ in range(_TRIES):
        drawn = np.sort(rng.randint(0, n, (4 * count, 2)), axis=1)  # (4 count, 2)
        fit = (drawn[:, 0] != drawn[:, 1]) & ((codes[drawn[:, 0]] == codes[drawn[:, 1]]) == same)
        found = np.unique(np.vstack([found, drawn[fit]]), axis=0)
        if len(found) >= count:
            break
    return found[rng.permutation(len(found))[:count]]


def distance_bounds(rows: Float[np.ndarray, "n d"], rng: np.random.RandomState) -> tuple[float, float]:
    """The 5th and 95th percentile of the squared Euclidean distances of random pairs of different rows.

    They are not 0, which repeated rows would make them: no matrix but a singular one could keep such bounds.
    """
    first = rng.randint(0, len(rows), _DRAWS)
    second = (first + rng.randint(1, len(rows), _DRAWS)) % len(rows)
    gaps = rows[first] - rows[second]  # (draws, d)
    low, high = (float(value) for value in np.percentile(np.einsum("ij,ij->i", gaps, gaps), (5, 95)))
    high = high if high > 0.0 else 1.0
    return max(low, 1e-6 * high), high
