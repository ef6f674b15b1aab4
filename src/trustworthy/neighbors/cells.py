"""What a query can reach: the rows that may become its K nearest within a radius, and the cells that they form.

A cell is given by rows that are in, and rows that are out: the perturbations after which each row that is in is at
least as near as each row that is out. In the heights h_r - p_rᵀ delta, with h_r half the squared distance of row r to
the query and p_r its image relative to that of the query, a cell is an intersection of half-spaces, eq. (3.4).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from trustworthy.neighbors import branch_kernels
from trustworthy.neighbors.exact import inside
from trustworthy.neighbors.geometry import Geometry

_POOL = 64  # nearest own rows, and as many of any class, whose bisectors bound where the other rows come in
_ROUNDING = 1e-9  # relative: what is proved in double precision is taken as this much less
_MARGINS = 10.0 ** np.arange(-13.0, -6.0)  # of the largest height: by how much rows must be in, more than rounding


@dataclass(frozen=True, eq=False)
class Step:
    """The shortest step into a cell, by its dual.

    weights : (m,) multipliers of the rows' images, whose sum is the step.
    scores : (m,) half the squared distances of the rows after the step, up to a constant.
    size : what is proved of its length.
    status : REACHED, BEYOND (the size is at least the limit) or EMPTY (no step is known; the size is a bound still).
    pairs, dual : (p, 2) rows inside and outside whose half-spaces bind, and (p,) their multipliers.
    """

    weights: Float[np.ndarray, " m"]
    scores: Float[np.ndarray, " m"]
    size: float
    status: int
    pairs: Int[np.ndarray, "p 2"]
    dual: Float[np.ndarray, " p"]

    @property
    def push(self) -> Float[np.ndarray, " m"]:
        """How much each row (m,) hinders the step: the sum of the multipliers of its half-spaces."""
        push = np.zeros(len(self.weights))
        for side in (0, 1):
            np.add.at(push, self.pairs[:, side], self.dual)
        return push


@dataclass(frozen=True, eq=False)
class Arena:
    """The rows that matter to one query, in the order of the training points.

    rows : (m,) their places in the training points, ascending.
    own : (m,) whether a row has the query's class; labels : (m,) classes; code : the query's class.
    heights : (m,) half the squared distances to the query.
    images : (m, d) M times the difference to the query: distances fall along these.
    twins : (m,) equal for rows that no perturbation can tell apart.
    low, high : (d,) the box that a perturbation keeps, infinite without bounds.
    """

    rows: Int[np.ndarray, " m"]
    own: Bool[np.ndarray, " m"]
    labels: Int[np.ndarray, " m"]
    code: int
    heights: Float[np.ndarray, " m"]
    images: Float[np.ndarray, "m d"]
    twins: Int[np.ndarray, " m"]
    low: Float[np.ndarray, " d"]
    high: Float[np.ndarray, " d"]
    is_boxed: bool

    @functools.cached_property
    def gram(self) -> Float[np.ndarray, "m m"]:
        """Inner products of the images: a programme without a box needs nothing else."""
        return self.images @ self.images.T

    @functools.cached_property
    def bisectors(self) -> Float[np.ndarray, "own others"]:
        """Eq. (3.19) as distances: how far the plane is after which an other row is nearer than an own one."""
        return self.crossings(np.flatnonzero(self.own), np.flatnonzero(~self.own))

    def crossings(self, before: Int[np.ndarray, " a"], after: Int[np.ndarray, " b"]) -> Float[np.ndarray, "a b"]:
        """Sizes (a, b) below which no perturbation brings row `after` as near as row `before`; never too large."""
        ahead = self.heights[None, after] - self.heights[before, None]
        norms = np.diagonal(self.gram)
        squared = norms[before, None] + norms[None, after] - 2.0 * self.gram[np.ix_(before, after)]
        # Rounding of the inner products; where rows nearly coincide it makes the bound smaller, and 0 at worst.
        squared = np.maximum(squared, 0.0) + 1e-14 * (norms[before, None] + norms[None, after])
        ahead = ahead - 1e-14 * (self.heights[None, after] + self.heights[before, None])
        return np.where(ahead > 0.0, ahead / np.sqrt(np.maximum(squared, 1e-300)), 0.0) * (1.0 - _ROUNDING)

    def kept(self, chosen: Bool[np.ndarray, " m"]) -> Arena:
        """The same arena with the chosen rows alone."""
        columns = (self.rows, self.own, self.labels)
        rows, own, labels = (column[chosen] for column in columns)
        images = np.ascontiguousarray(self.images[chosen])
        return Arena(
            rows, own, labels, self.code, self.heights[chosen], images, self.twins[chosen], self.low, self.high,
            self.is_boxed,
        )  # fmt: skip

    def solve(
        self,
        inside: Int[np.ndarray, " k"],
        outside: Bool[np.ndarray, " m"],
        *,
        pairs: Int[np.ndarray, "p 2"] = branch_kernels.NO_PAIRS,
        dual: Float[np.ndarray, " p"] = branch_kernels.NO_DUAL,
        limit: float = np.inf,
        margin: float = 0.0,
    ) -> Step:
        """The shortest step after which the rows inside are nearer than those outside, in heights by the margin.

        outside : (m,) mask; pairs, dual : where to begin; limit : the size at which the search may end.
        """
        return Step(
            *branch_kernels.solve(
                self.heights, self.gram, self.images, self.twins, inside, outside, pairs, dual, self.low, self.high,
                self.is_boxed, limit, margin,
            )
        )  # fmt: skip

    def nearest(
        self,
        scores: Float[np.ndarray, " m"],
        inside: Int[np.ndarray, " k"],
        outside: Bool[np.ndarray, " m"],
        n_neighbors: int,
    ) -> Int[np.ndarray, " n"]:
        """The nearest rows after a step, where a tie falls to the rows inside, and last to those outside."""
        return branch_kernels.favoured(scores, inside, outside, self.labels, self.code, n_neighbors)

    def changes(self, nearest: Int[np.ndarray, " n"]) -> bool:
        """Whether these rows vote for another class than the query's."""
        return int(np.bincount(self.labels[nearest]).argmax()) != self.code

    def perturbation(self, step: Step) -> Float[np.ndarray, " d"]:
        """The step in the space of the query (d,)."""
        return np.clip(step.weights @ self.images, self.low, self.high)


def arena_of(
    geometry: Geometry,
    query: Float[np.ndarray, " d"],
    code: int,
    rows: Int[np.ndarray, " m"],
    bounds: tuple[float, float] | None,
) -> Arena:
    """Gather some rows (m,), ascending, of the training points about a query (d,)."""
    gap = np.asarray(geometry.points[rows], np.float64) - query
    far = gap if geometry.root is None else gap @ geometry.root.T
    images = far if geometry.root is None else far @ geometry.root
    twins = np.unique(geometry.embedded[rows], axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    low, high = (-np.inf, np.inf) if bounds is None else bounds
    return Arena(
        rows.astype(np.int64), geometry.labels[rows] == code, geometry.labels[rows], int(code),
        np.einsum("ij,ij->i", far, far) / 2.0, np.ascontiguousarray(images), twins,
        np.minimum(low - query, 0.0), np.maximum(high - query, 0.0), bounds is not None,
    )  # fmt: skip


def entries(
    geometry: Geometry,
    query: Float[np.ndarray, " d"],
    code: int,
    coarse: Float[np.ndarray, " n"],
    error: float,
    n_neighbors: int,
) -> Float[np.ndarray, " n"]:
    """Sizes (n,) of the query's perturbation below which a row takes no part in a change of the vote.

    Below them, K rows are nearer than it; or, for a row of another class, (K + 1) / 2 own rows are. Bisectors with a
    hundred near rows alone are looked at, in single precision with its rounding taken off.
    Cost: one product of these rows with the points.
    """
    own = geometry.labels == code
    near = np.argpartition(coarse, min(_POOL, len(coarse)) - 1)[:_POOL]
    owned = np.flatnonzero(own)
    near_own = owned[np.argpartition(coarse[owned], min(_POOL, len(owned)) - 1)[:_POOL]]
    pool = np.union1d(near, near_own)
    images = geometry.coarse if geometry.root is None else geometry.images
    norms = geometry.coarse_norms if geometry.root is None else np.einsum("ij,ij->i", images, images)
    squared = norms[:, None] + norms[pool][None, :] - 2.0 * (images @ images[pool].T)
    slack = 4.0 * float(norms.max()) * np.finfo(squared.dtype).eps * (4.0 + 2.0 * np.sqrt(images.shape[1]))
    ahead = coarse[:, None].astype(np.float64) - coarse[pool].astype(np.float64)[None, :] - 2.0 * error
    crossing = np.where(ahead > 0.0, ahead / (2.0 * np.sqrt(np.maximum(squared, 0.0) + slack)), 0.0)
    bound = _largest(crossing, n_neighbors)
    majority = _largest(crossing[:, own[pool]], (n_neighbors + 1) // 2)
    return np.where(own, bound, np.maximum(bound, majority)) * (1.0 - _ROUNDING)


def _largest(values: Float[np.ndarray, "n k"], s: int) -> Float[np.ndarray, " n"]:
    """The s-th largest value of each row; 0 where there are fewer."""
    if values.shape[1] < s:
        return np.zeros(len(values))
    return np.partition(values, values.shape[1] - s, axis=1)[:, values.shape[1] - s]


def crossed(
    geometry: Geometry,
    query: Float[np.ndarray, " d"],
    arena: Arena,
    nearest: Int[np.ndarray, " k"],
    *,
    n_neighbors: int,
    bounds: tuple[float, float] | None,
) -> Float[np.ndarray, " d"] | None:
    """A perturbation next to an optimum of the arena, which is a tie, that does change the prediction; or None.

    nearest : the K rows of the arena that are to be nearer than all others, by a margin: the smallest one that does.
    Cost: one programme and one prediction for each margin.
    """
    outside = np.ones(len(arena.rows), np.bool_)
    outside[nearest] = False
    scale = float(arena.heights[nearest].max())
    for margin in _MARGINS:
        found = arena.solve(nearest, outside, margin=margin * scale)
        if found.status != branch_kernels.REACHED:
            return None
        step = inside(query, arena.perturbation(found), bounds)
        if geometry.predict((query + step)[None], n_neighbors)[0] != arena.code:
            return step
    return None
