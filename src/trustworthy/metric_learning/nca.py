"""Neighbourhood components analysis, scikit-learn's, with a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.neighbors import NeighborhoodComponentsAnalysis

from trustworthy.core import checks
from trustworthy.metric_learning.mahalanobis import MahalanobisTransformer, checked_components, initial_map, warn_idle

_INITS = dict.fromkeys(["auto", "pca", "lda", "identity", "random"])


@dataclass(kw_only=True, eq=False, repr=False)
class NCA(MahalanobisTransformer):
    """Metric that maximises the leave-one-out accuracy of soft nearest neighbours (Goldberger et al., 2004).

    A baseline of section 3.2, fitted by `sklearn.neighbors.NeighborhoodComponentsAnalysis` to the rows in their own
    unit (`unit_of`; 1 for features in [0, 1]): rows c X give M / c². A fit that ends where it began warns.

    Parameters
    ----------
    n_components : rank of M, at most the features; None for full rank.
    init : "auto" (which at full rank is "identity" unless there are more classes than features), "pca", "lda",
        "identity", "random", all in that unit, or the map (rank, features) of X itself to start from.
    max_iter : iterations of L-BFGS. tol : the projected gradient at which it stops.
    random_state : seed or generator of a random start.

    Attributes
    ----------
    components_ : (rank, features).
    classes_ : the labels, sorted.
    n_iter_ : evaluations of the objective, the start among them.

    Cost: an iteration takes O(n² d) operations and n² numbers of memory in double precision: for some thousand rows.
    """

    n_components: int | None = None
    init: str | ArrayLike = "auto"
    max_iter: int = 100
    tol: float = 1e-5
    random_state: int | np.random.RandomState | None = None

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn from rows X (n, features) with labels y (n,) of two classes or more."""
        limit = checks.integer("max_iter", self.max_iter, at_least=1)
        tolerance = checks.real("tol", self.tol, at_least=0.0)
        X, codes, unit = self._examples(X, y)
        if isinstance(self.init, str):
            checks.choice("init", self.init, _INITS)
            start = self.init
            rank = None if self.n_components is None else checked_components(self.n_components, X.shape[1])
        else:
            start = initial_map(self.init, self.n_components, X, unit)
            rank = len(start)
        moves: list[int] = []  # an entry an iteration: scikit-learn counts evaluations, of which the start is one
        fitted = NeighborhoodComponentsAnalysis(
            rank, init=cast("Any", start), max_iter=limit, tol=tolerance, random_state=self.random_state,
            callback=lambda _, count: moves.append(count),
        ).fit(X / unit, codes)  # fmt: skip
        self.components_ = fitted.components_ / unit
        self.n_iter_ = fitted.n_iter_
        if not moves:
            warn_idle(
                "NCA",
                "the gradient there is within `tol`, or no step was better. Where the classes are not yet apart, scale "
                "the features to a like range, cut rows that lie far off, lower `tol`, or give another `init`.",
            )
        return self
