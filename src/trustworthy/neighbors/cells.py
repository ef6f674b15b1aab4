"""What a query can reach: the rows that may become its K nearest within a radius, and the cells that they form.

A cell is given by rows that are in, and rows that are out: the perturbations after which each row that is in is at
least as near as each row that is out. In the heights h_r - p_rᵀ delta, with h_r half the squared distance of row r to
the query and p_r its image, a cell is an intersection of half-spaces, eq. (3.4). Heights and images are those relative
to the row that is nearest to the query, so that they stay small where the query is far from all rows.

`branch` and `attacks.descent` call `entries` and `arena_of` with a `Query`, solve cells of the `Arena` that comes out,
and have `crossed` make a perturbation of a solution.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from trustworthy.neighbors import branch_kernels, exact_kernels
from trustworthy.neighbors.query import Query, inside, room

_POOL = 64  # nearest own rows, and as many of any class, whose bisectors bound where the other rows come in
_ROUNDING = 1e-9  # relative: what is proved in double precision is taken as this much less
_MARGINS = 10.0 ** np.arange(-16.0, -6.0)  # of the largest height: by how much rows must be in, more than rounding
_USUAL = 3  # the margin to begin with
_EXCESS = 1e-7  # relative to the step: where nearly equal rows make it grow by more, smaller margins come first


@dataclass(frozen=True, eq=False)
class Step:
    """The shortest step into a cell, by its dual.

    move : (d,) the step.
    scores : (m,) half the squared distances of the rows after the step, up to a constant.
    size : what is proved of its length.
    status : REACHED, BEYOND (the size is at least the limit) or EMPTY (no step is known; the size is a bound still).
    pairs, dual : (p, 2) rows inside and outside whose half-spaces bind, and (p,) their multipliers.
    """

    move: Float[np.ndarray, " d"]
    scores: Float[np.ndarray, " m"]
    size: float
    status: int
    pairs: Int[np.ndarray, "p 2"]
    dual: Float[np.ndarray, " p"]

    @property
    def push(self) -> Float[np.ndarray, " m"]:
        """How much each row (m,) hinders the step: the sum of the multipliers of its half-spaces."""
        push = np.zeros(len(self.scores))
        for side in (0, 1):
            np.add.at(push, self.pairs[:, side], self.dual)
        return push


@dataclass(frozen=True, eq=False)
class Arena:
    """The rows that matter to one query, in the order of the training points.

    rows : (m,) their places in the training points, ascending.
    own : (m,) whether a row has the query's class; labels : (m,) classes; code : the query's class.
    heights : (m,) half the squared distances to the query, less `base`, that of the nearest row; doubts : (m,) their
        rounding.
    images : (m, d) M times the rows, up to a constant: distances fall along their differences; origin : (d,) the image
        of the nearest row.
    far, home : (m, rank) the rows and (rank,) the query where the metric is Euclidean, up to a constant.
    blurs : (3,) rounding by the metric, in l2: of a row of `far`, of `home`, and of the difference of two images.
    twins : (m,) equal for rows that no perturbation can tell apart.
    low, high : (d,) the box that a perturbation keeps, infinite without bounds.
    """

    rows: Int[np.ndarray, " m"]
    own: Bool[np.ndarray, " m"]
    labels: Int[np.ndarray, " m"]
    code: int
    heights: Float[np.ndarray, " m"]
    base: float
    doubts: Float[np.ndarray, " m"]
    images: Float[np.ndarray, "m d"]
    origin: Float[np.ndarray, " d"]
    far: Float[np.ndarray, "m rank"]
    home: Float[np.ndarray, " rank"]
    blurs: Float[np.ndarray, " 3"]
    twins: Int[np.ndarray, " m"]
    low: Float[np.ndarray, " d"]
    high: Float[np.ndarray, " d"]
    is_boxed: bool

    @functools.cached_property
    def shifted(self) -> Float[np.ndarray, "m d"]:
        """The images relative to that of the nearest row."""
        return self.images - self.origin

    @functools.cached_property
    def gram(self) -> Float[np.ndarray, "m m"]:
        """Inner products of the shifted images."""
        return self.shifted @ self.shifted.T

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
        unit = branch_kernels.precision(self.images.shape[1])
        squared = np.maximum(squared, 0.0) + 2.0 * unit * (norms[before, None] + norms[None, after])
        ahead = ahead - self.doubts[None, after] - self.doubts[before, None]
        apart = np.sqrt(np.maximum(squared, 1e-300)) + self.blurs[2]
        return np.where(ahead > 0.0, ahead / apart, 0.0) * (1.0 - _ROUNDING)

    def lengths(self, pairs: Int[np.ndarray, "p 2"]) -> Float[np.ndarray, " p"]:
        """How far the images of the two rows of each pair are apart (p,)."""
        return np.linalg.norm(self.images[pairs[:, 0]] - self.images[pairs[:, 1]], axis=1)

    def kept(self, chosen: Bool[np.ndarray, " m"]) -> Arena:
        """The same arena with the chosen rows alone."""
        images = self.images[chosen]
        far = images if self.far is self.images else self.far[chosen]
        columns = ("rows", "own", "labels", "heights", "doubts", "twins")
        return replace(self, images=images, far=far, **{name: getattr(self, name)[chosen] for name in columns})

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
                self.heights, self.base, self.gram, self.shifted, self.images, self.far, self.home, self.blurs,
                self.twins, inside, outside, pairs, dual, self.low, self.high, self.is_boxed, limit, margin,
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
        """The step in the space of the query (d,), to the last bit within the box."""
        return np.clip(step.move, self.low, self.high)


def arena_of(query: Query, rows: Int[np.ndarray, " m"]) -> Arena:
    """Gather some rows (m,), ascending, of the training points about a query."""
    geometry, x = query.geometry, query.x
    points = geometry.points[rows]
    gap = points - x  # (m, d)
    lengths = np.linalg.norm(gap if geometry.root is None else gap @ geometry.root.T, axis=1)
    nearest = int(lengths.argmin()) if len(rows) else 0
    unit = branch_kernels.precision(len(x))
    if geometry.root is None:
        images = far = points
        home, blurs = x, np.zeros(3)
    else:
        # Under a metric each row is rounded as it is mapped, by more the farther it is from the nearest one.
        local, weight = points - points[nearest], np.abs(geometry.root)
        far, home = local @ geometry.root.T, (x - points[nearest]) @ geometry.root.T
        images = np.ascontiguousarray(far @ geometry.root)
        heavy = np.abs(local) @ weight.T
        largest = [np.linalg.norm(v, axis=-1).max() for v in (heavy, np.abs(gap[nearest]) @ weight.T, heavy @ weight)]
        blurs = unit * np.array([1.0, 1.0, 2.0]) * largest
    apart, start = far - far[nearest], far[nearest] - home
    heights = np.einsum("ij,ij->i", apart, apart / 2.0 + start)
    size, away = np.linalg.norm(apart, axis=1), float(np.linalg.norm(start))
    doubts = exact_kernels.doubt(size, away, unit, blurs)
    twins = np.unique(geometry.embedded[rows], axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return Arena(
        rows.astype(np.int64), geometry.labels[rows] == query.code, geometry.labels[rows], query.code,
        heights, float(start @ start) / 2.0, doubts, images, images[nearest].copy(), far, home, blurs, twins,
        *room(x, query.bounds), query.bounds is not None,
    )  # fmt: skip


def entries(query: Query) -> Float[np.ndarray, " n"]:
    """Sizes (n,) of the query's perturbation below which a row takes no part in a change of the vote.

    Below them, K rows are nearer than it; or, for a row of another class, (K + 1) / 2 own rows are. Bisectors with a
    hundred near rows alone are looked at, in single precision with its rounding taken off.
    Cost: one product of these rows with the points.
    """
    geometry, coarse, error = query.geometry, query.coarse, query.error
    own = geometry.labels == query.code
    near = np.argpartition(coarse, min(_POOL, len(coarse)) - 1)[:_POOL]
    owned = np.flatnonzero(own)
    near_own = owned[np.argpartition(coarse[owned], min(_POOL, len(owned)) - 1)[:_POOL]]
    pool = np.union1d(near, near_own)
    images = geometry.coarse if geometry.root is None else geometry.images
    norms = geometry.coarse_norms if geometry.root is None else np.einsum("ij,ij->i", images, images)
    squared = norms[:, None] + norms[pool][None, :] - 2.0 * (images @ images[pool].T)
    slack = 4.0 * float(norms.max()) * np.finfo(squared.dtype).eps * (4.0 + 0.51 * images.shape[1])
    ahead = coarse[:, None].astype(np.float64) - coarse[pool].astype(np.float64)[None, :] - 2.0 * error
    blurs = geometry.blurs(query.x[None])[0]
    blur = blurs[0] + blurs[1]  # of a distance
    ahead -= 2.0 * blur * (2.0 * np.sqrt(np.maximum(coarse, 0.0)[:, None] + error) + blur)
    apart = np.sqrt(np.maximum(squared, 0.0) + slack) + blurs[2]
    # Where no row differs from another, nothing is ahead and `apart` is 0.
    crossing = np.divide(ahead, 2.0 * apart, out=np.zeros_like(ahead), where=ahead > 0.0)
    bound = _largest(crossing, query.n_neighbors)
    majority = _largest(crossing[:, own[pool]], query.majority)
    return np.where(own, bound, np.maximum(bound, majority)) * (1.0 - _ROUNDING)


def _largest(values: Float[np.ndarray, "n k"], s: int) -> Float[np.ndarray, " n"]:
    """The s-th largest value of each row; 0 where there are fewer."""
    if values.shape[1] < s:
        return np.zeros(len(values))
    return np.partition(values, values.shape[1] - s, axis=1)[:, values.shape[1] - s]


def crossed(query: Query, arena: Arena, nearest: Int[np.ndarray, " k"]) -> Float[np.ndarray, " d"] | None:
    """A perturbation next to an optimum of the arena, which is a tie, that does change the prediction; or None.

    nearest : the K rows of the arena that are to be nearer than all others, by a margin: the smallest one that does.
    Cost: one programme and one prediction for each margin.
    """
    outside = np.ones(len(arena.rows), np.bool_)
    outside[nearest] = False
    margins = _MARGINS * (arena.base + float(arena.heights[nearest].max()))
    place = _USUAL
    found = arena.solve(nearest, outside, margin=margins[place])
    if found.status != branch_kernels.REACHED:
        return None
    least = arena.lengths(found.pairs).min(initial=np.inf)
    if margins[place] / least > _EXCESS * found.size:
        place = max(int(np.searchsorted(margins, _EXCESS * found.size * least, side="right")) - 1, 0)
        found = arena.solve(nearest, outside, margin=margins[place])
    while found.status == branch_kernels.REACHED:
        step = inside(query.x, arena.perturbation(found), query.bounds)
        if query.changes(step):
            return step
        place += 1
        if place == len(margins):
            break
        found = arena.solve(nearest, outside, margin=margins[place])
    return None
