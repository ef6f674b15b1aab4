"""Adversarially robust metric learning: Algorithm 7, eqs. (3.41)-(3.48)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Int
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from trustworthy.core import checks
from trustworthy.core.adam import Adam
from trustworthy.core.errors import InvalidInput, TrainingDiverged
from trustworthy.core.progress import tracked
from trustworthy.metric_learning.mahalanobis import MahalanobisTransformer, initial_map, warn_idle
from trustworthy.metric_learning.margin import LOSSES, loss_and_gradient, pair
from trustworthy.metric_learning.near import near_lists

_BATCH = 5000  # most anchors of a step, and rows up to which a search is cheap beside the steps
_OFTEN, _SELDOM = 10, 200  # steps between searches, up to that many rows and beyond


@dataclass(kw_only=True, eq=False, repr=False)
class ARML(MahalanobisTransformer):
    """Mahalanobis distance under which nearest neighbours withstand larger l2 perturbations.

    Raises the margin of triplets (an anchor, a random near row of its class, a random near row of another class),
    which bounds the smallest adversarial perturbation of the anchor from below (Theorem 3), by Adam on G, M = GᵀG:

        min over G of the mean of loss(margin(randnear+(x), randnear-(x), x; GᵀG)),  eq. (3.48).

    Margins are taken in the unit of the rows (`unit_of`; 1 for features in [0, 1]), in which lengths below 1e-3 count
    as 1e-3. They do not change with the scale of M: rows c X give the same M. A fit that ends where it began warns.

    Parameters
    ----------
    n_components : rank of M, at most the features; None for full rank.
    loss : "negative" (the margin itself, changed in sign), "hinge", "exponential" or "logistic".
    n_neighbors : near rows of either side to draw from; a class with fewer gives all that it has.
    epochs : updates of G. One epoch is one step on one triplet an anchor, on all rows or on a mini-batch of them.
    learning_rate : of Adam, > 0.
    batch_size : anchors of a step, drawn at random where they are not all rows; None for all, but at most 5,000.
    refresh : steps from one search of the near rows of all rows, under the current M, to the next; None for 10 up to
        5,000 rows and 200 beyond. Triplets are drawn anew in every step. 1 searches in every step, as Algorithm 7 says.
    init : "identity" (of a lower rank: the leading principal directions), or G (rank, features) to start from.
    random_state : seed or generator of the draws. None draws from NumPy's global stream.
    progress : whether to show a progress bar on standard error.

    Attributes
    ----------
    components_ : (rank, features) G.
    classes_ : the labels, sorted.
    n_iter_ : steps taken.
    loss_curve_ : (epochs,) mean loss of the triplets of each step, before its update, of margins in that unit.

    Cost: a step takes 4 batch d² operations, a search 2 n² d, in single precision; memory 64 MiB and a few batches.
    """

    n_components: int | None = None
    loss: str = "negative"
    n_neighbors: int = 10
    epochs: int = 1000
    learning_rate: float = 1e-3
    batch_size: int | None = None
    refresh: int | None = None
    init: str | ArrayLike = "identity"
    random_state: int | np.random.RandomState | None = None
    progress: bool = False

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn from rows X (n, features) with labels y (n,): two classes or more, of two rows or more each."""
        loss = checks.choice("loss", self.loss, LOSSES)
        adam = Adam(learning_rate=checks.real("learning_rate", self.learning_rate, above=0.0))
        epochs = checks.integer("epochs", self.epochs, at_least=0)
        X, codes, unit = self._examples(X, y)
        self._check_classes(codes)
        batch, refresh = self._pace(len(X))
        start = initial_map(self.init, self.n_components, X).astype(np.float32)  # (rank, d)
        root, rows = start.copy(), np.ascontiguousarray(X / unit, np.float32)
        rng = check_random_state(self.random_state)
        self.loss_curve_ = np.empty(epochs)
        everyone = np.arange(len(rows))
        search = functools.partial(near_lists, rows, codes, everyone, count=min(self.n_neighbors, len(rows)))
        near = search(root)
        for step in tracked(range(epochs), "ARML", epochs, show=self.progress):
            if step and step % refresh == 0:
                near = search(root)
            anchors = everyone if batch == len(rows) else rng.permutation(len(rows))[:batch]
            own, other = near.sample(anchors, rng)
            gap, offset = pair(rows[own], rows[other], rows[anchors])
            self.loss_curve_[step], gradient = loss_and_gradient(gap, offset, root, loss)
            adam(root, gradient)
        if not np.isfinite(root).all():
            raise TrainingDiverged(
                f"the metric became NaN or infinite. Lower learning_rate (got {self.learning_rate!r}), "
                "or bring the entries of init to the order of 1."
            )
        self.components_ = root.astype(np.float64)
        self.n_iter_ = epochs
        if epochs and np.array_equal(root, start):
            warn_idle("ARML", "no triplet of it has a gradient. Take another `loss` or a larger `n_neighbors`.")
        return self

    def _pace(self, n: int) -> tuple[int, int]:
        """Anchors of a step, and steps from one search to the next."""
        batch, refresh = self.batch_size, self.refresh
        batch = _BATCH if batch is None else checks.integer("batch_size", batch, at_least=1)
        often = _OFTEN if n <= _BATCH else _SELDOM
        return min(n, batch), often if refresh is None else checks.integer("refresh", refresh, at_least=1)

    def _check_classes(self, codes: Int[np.ndarray, " n"]) -> None:
        checks.integer("n_neighbors", self.n_neighbors, at_least=1)
        counts = np.bincount(codes)
        if counts.min() < 2:
            raise InvalidInput(
                f"y must hold at least two rows of every class, got 1 of {self.classes_.tolist()[counts.argmin()]!r}: "
                "it has no near row of its own class. Leave the class out."
            )
