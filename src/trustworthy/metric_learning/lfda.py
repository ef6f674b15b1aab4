"""Local Fisher discriminant analysis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from scipy.linalg import eigh
from scipy.spatial.distance import cdist

from trustworthy.core import checks
from trustworthy.metric_learning.mahalanobis import MahalanobisTransformer, checked_components

_ALIKE = 256.0  # largest ratio of the ranges of features that share a unit: that of pixels of 8 bits

_EMBEDDINGS = dict.fromkeys(["weighted", "orthonormalized", "plain"])


@dataclass(kw_only=True, eq=False, repr=False)
class LFDA(MahalanobisTransformer):
    """Metric that parts the classes as Fisher's discriminant does, but keeps only near rows of a class together.

    A baseline of section 3.2 (Sugiyama, 2007): the leading generalised eigenvectors of the local scatter between the
    classes and the local scatter within them. Rows c X give M / c² (the same M where `embedding` is "orthonormalized").

    Parameters
    ----------
    n_components : rank of M, at most the features; None for full rank.
    n_neighbors : which nearest row of the class gives the scale of the affinities of a row; cut to the rows of its
        class less one.
    embedding : "weighted" (eigenvectors times the root of their eigenvalue), "orthonormalized" or "plain".
    regularization : share of its mean eigenvalue that is added to the scatter within, >= 0, so that constant features
        do no harm; in the units of `feature_units`.
    random_state : taken for likeness with the other learners; nothing is random.

    Attributes
    ----------
    components_ : (rank, features), of the largest eigenvalue first.
    classes_ : the labels, sorted.

    Cost: O(n² d) operations for the largest class and O(d³); memory the square of the largest class.
    """

    n_components: int | None = None
    n_neighbors: int = 7
    embedding: str = "weighted"
    regularization: float = 1e-6
    random_state: int | np.random.RandomState | None = None

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn from rows X (n, features) with labels y (n,) of two classes or more."""
        checks.choice("embedding", self.embedding, _EMBEDDINGS)
        ridge = checks.real("regularization", self.regularization, at_least=0.0)
        neighbors = checks.integer("n_neighbors", self.n_neighbors, at_least=1)
        X, codes, _ = self._examples(X, y)
        rank, features = checked_components(self.n_components, X.shape[1]), X.shape[1]
        units = feature_units(X)
        between, within = (scatter / np.outer(units, units) for scatter in local_scatters(X, codes, neighbors))
        level = np.trace(within) / features or np.trace(between) / features or 1.0
        within[np.diag_indices(features)] += max(ridge, np.finfo(np.float64).eps) * level
        values, vectors = eigh(between, within, subset_by_index=(features - rank, features - 1))
        values, vectors = values[::-1], vectors[:, ::-1] / units[:, None]  # (rank,), (d, rank)
        if self.embedding == "weighted":
            vectors = vectors * np.sqrt(np.maximum(values, 0.0))
        elif self.embedding == "orthonormalized":
            vectors = np.linalg.qr(vectors)[0]
        self.components_ = np.ascontiguousarray(vectors.T)
        return self


def feature_units(X: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " d"]:
    """Units of the features in which a common ridge is added: 1, or their ranges where these differ 256-fold or more.

    Without a ridge the units of single features only change the affinities. A common ridge keeps rare pixels of images
    from ruling the metric, but would drown the features beside one whose numbers are far larger.
    """
    ranges = np.ptp(X, axis=0)
    moving = ranges[ranges > 0.0]
    return np.where(ranges > 0.0, ranges, 1.0) if moving.max() >= _ALIKE * moving.min() else np.ones_like(ranges)


def local_scatters(
    X: Float[np.ndarray, "n d"], codes: Int[np.ndarray, " n"], n_neighbors: int
) -> tuple[Float[np.ndarray, "d d"], Float[np.ndarray, "d d"]]:
    """Local scatter between classes and within them of centred rows, eqs. (11)-(14) of Sugiyama (2007).

    Within a class of m rows a pair of affinity a weighs a / m within and a (1/n - 1/m) between; a pair of two classes
    weighs 1/n between.
    """
    n = len(X)
    within, same = np.zeros((X.shape[1],) * 2), np.zeros((X.shape[1],) * 2)
    # All pairs weighed 1/n scatter as the rows do about their mean, 0; the pairs of a class are then made up for.
    between = X.T @ X
    for code in range(codes.max() + 1):
        rows = X[codes == code]
        laplacian = -affinity(rows, n_neighbors)
        laplacian[np.diag_indices(len(rows))] -= laplacian.sum(axis=1)
        local = rows.T @ (laplacian @ rows)
        total = rows.sum(axis=0)
        within += local / len(rows)
        same += local * (1 / n - 1 / len(rows)) - (len(rows) * rows.T @ rows - np.outer(total, total)) / n
    between += same
    return (between + between.T) / 2, (within + within.T) / 2


def affinity(rows: Float[np.ndarray, "m d"], n_neighbors: int) -> Float[np.ndarray, "m m"]:
    """exp(-d(i, j)² / (s_i s_j)) with s the distance to the `n_neighbors`-th nearest other row, as far as there are.

    Rows that coincide have affinity 1, whatever the scale.
    """
    squared = cdist(rows, rows, "sqeuclidean")
    place = min(n_neighbors, len(rows) - 1)
    scale = np.sqrt(np.partition(squared, place, axis=1)[:, place])
    return np.exp(-squared / np.maximum(np.outer(scale, scale), np.finfo(np.float64).tiny))
