"""QP-greedy, Algorithm 6: a quadratic programme for each of a few clusters of another class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from trustworthy.core import checks
from trustworthy.neighbors import exact_kernels
from trustworthy.neighbors.attacks import greedy_kernels
from trustworthy.neighbors.attacks.frame import Found, NeighborAttack
from trustworthy.neighbors.geometry import Geometry
from trustworthy.neighbors.query import Query

_POOL = 200  # nearest rows that constraints are taken from before all are looked at
_MARGIN = 1e-9  # relative to a squared distance: by how much a cluster has to be nearer, so that no tie is left
_NEAR = {"test": False, "pivot": True}


@dataclass(frozen=True, kw_only=True)
class QPGreedy(NeighborAttack):
    """Make a cluster J of one other class nearer than all rows of S+ but (K - 1) / 2 rows I: programme (3.17).

    Pivots are the rows of other classes, the nearest to the query first. S- is the pivot's class and S+ all the rest; J
    are the (K + 1) / 2 rows of S- nearest to the pivot. The shortest feasible solution wins, which is as good as a tie
    only up to a relative 1e-9 of the squared distances: rows of J are nearer by that much.

    min_trials : programmes after which the search ends if any was feasible, t of Algorithm 6, >= 1.
    max_trials : programmes after which it ends in any case, >= min_trials.
    near : whether I are the rows of S+ nearest to the "test" point, as printed, or to the "pivot".
    n_constraints : how many rows of S+, the nearest to the query, must stay farther than J; None for all, as printed.

    The code that the authors released has near="pivot" and n_constraints=200. With the latter a solution may leave the
    vote as it is: it then counts as infeasible.

    Cost: for each programme the distances of its pivot to its class, and those of a share of the rows to the solution.
    """

    n_constraints: int | None = None
    min_trials: int = 10
    max_trials: int = 500
    near: str = "test"

    def __post_init__(self) -> None:
        if self.n_constraints is not None:
            checks.integer("n_constraints", self.n_constraints, at_least=1)
        checks.integer("min_trials", self.min_trials, at_least=1)
        checks.integer("max_trials", self.max_trials, at_least=self.min_trials)
        checks.choice("near", self.near, _NEAR)

    def find(self, queries: list[Query]) -> Found:
        labels = queries[0].geometry.labels
        rows = {int(c): np.flatnonzero(labels == c) for c in np.unique(labels)}
        return (self._shortest(query, rows) for query in queries)

    def _shortest(self, query: Query, rows: dict[int, Int[np.ndarray, " k"]]) -> Float[np.ndarray, " d"] | None:
        geometry, small = query.geometry, (query.n_neighbors - 1) // 2
        trials = {c: _Trial.about(query, c, self.n_constraints) for c in rows if c != query.code}
        best, size = None, np.inf
        for trial, pivot in enumerate(self._pivots(query)):
            if trial >= self.min_trials and best is not None:
                break
            code = int(geometry.labels[pivot])
            inner = greedy_kernels.cluster(geometry.embedded, rows[code], pivot, small + 1)
            if len(inner) <= small:
                continue
            step = trials[code].solve(inner, small, size, pivot if _NEAR[self.near] else None)
            if step is not None and np.linalg.norm(step) < size:
                best, size = step, float(np.linalg.norm(step))
        return best

    def _pivots(self, query: Query) -> Iterator[int]:
        """Rows of other classes, the nearest first; more are sorted once the first ones were not enough."""
        others = query.geometry.labels != query.code
        first = query.nearest(others, self.min_trials)
        yield from map(int, first)
        yield from map(int, query.nearest(others, self.max_trials)[len(first) :])


@dataclass(frozen=True, eq=False)
class _Trial:
    """What the programmes of one query and one class S- share.

    far : (n,) the rows of S+. pool : the nearest of them to the query, I included.
    """

    query: Query
    far: np.ndarray
    pool: Int[np.ndarray, " k"]
    whole: bool

    @classmethod
    def about(cls, query: Query, code: int, n_constraints: int | None) -> _Trial:
        far = query.geometry.labels != code
        small = (query.n_neighbors - 1) // 2
        pool = query.nearest(far, small + (n_constraints or _POOL))
        return cls(query, far, pool, n_constraints is None)

    def solve(self, inner: Int[np.ndarray, " j"], small: int, best: float, pivot: int | None) -> np.ndarray | None:
        """The solution of (3.17), or None where it is infeasible, no shorter than `best`, or does not get the vote.

        small : size of I, the rows of S+ nearest to the query, or to the row `pivot`.
        """
        query, geometry = self.query, self.query.geometry
        spared = self.pool[:small] if pivot is None else _nearest_to(geometry, pivot, self.far, small)
        outer = self.far.copy()
        outer[spared] = False
        pool = self.pool[~np.isin(self.pool, spared)]
        if not self.whole:
            outer[:], pool = False, pool[: len(self.pool) - small]
        margin = _MARGIN * exact_kernels.farthest(geometry.embedded, inner, query.scene.point)[1]
        step, _, feasible, *_ = exact_kernels.solve(query.scene, inner, best, pool, np.flatnonzero(outer), margin)
        if not feasible:
            return None
        moved = geometry.embed((query.x + step)[None])[0]
        first, length = np.r_[inner, self.pool[:small]], float(np.linalg.norm(moved - query.scene.point))
        vote = greedy_kernels.voted(query.scene, first, int(geometry.labels.max()) + 1, moved, length)
        return step if vote != query.code else None


def _nearest_to(geometry: Geometry, pivot: int, allowed: np.ndarray, count: int) -> Int[np.ndarray, " k"]:
    """The `count` allowed rows nearest to a row."""
    if count == 0:
        return np.empty(0, np.int64)
    return greedy_kernels.cluster(geometry.embedded, np.flatnonzero(allowed), pivot, count + 1)[1:]
