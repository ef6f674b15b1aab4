"""The smallest l2 perturbation that changes the vote of K nearest neighbours, by branch and bound over (3.17).

`NearestNeighborVerifier.exact` calls `exact_knn` where K > 1: blocks of queries come in, a `Certificate` goes out.
Each query is attacked (`attacks.descent`), bounded (`bounds`), and searched over the cells of an `Arena` (`cells`).
"""

from __future__ import annotations

import functools
import heapq
import itertools
import time
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from trustworthy.core.certificate import Certificate
from trustworthy.core.checks import Bounds
from trustworthy.neighbors import branch_kernels
from trustworthy.neighbors.attacks.descent import CellDescent
from trustworthy.neighbors.bounds import lower_bounds
from trustworthy.neighbors.cells import Arena, arena_of, crossed, entries
from trustworthy.neighbors.exact import agree, rounding_of
from trustworthy.neighbors.geometry import Geometry
from trustworthy.neighbors.query import Query

_CLOSE = 5e-7  # relative gap at which the search ends
_ABOVE = 1e-9  # by how much what is proved may be more than what was found, relative, before they contradict
_MOST = 6000  # rows whose inner products are held; with more within reach, only the bound and the attack are given


def exact_knn(
    geometry: Geometry,
    queries: Float[np.ndarray, "m d"],
    codes: Int[np.ndarray, " m"],
    *,
    n_neighbors: int,
    time_limit: float,
    bounds: Bounds | None = None,
) -> Certificate:
    """Minimal adversarial perturbations of the K-nearest-neighbour vote in l2, or what can be said of them in time.

    geometry : every class holds at least (K + 1) / 2 rows. queries, codes, bounds : as in `exact.exact_one`.
    time_limit : seconds a query, > 0. The attack and the bound that the search begins with are always finished.

    `lower` is the least bound of a subproblem that is not closed, at least that of Lemma 3; `upper` the size of a
    perturbation that has been checked to change the vote, inf (and NaN) where none was found; `exact` where they
    agree to a relative 1e-6. Rows that are wrong to begin with get radius 0. The time taken decides how far the
    search gets, so that results of a query that is not exact vary from run to run. Where rounding made the two
    contradict each other, `lower` is the bound of Lemma 3 and the row is not exact.
    Cost: exponential in K at worst; a subproblem is a quadratic programme over the rows within reach.
    """
    queries = np.ascontiguousarray(queries, np.float64)
    lower, upper, rounding = np.zeros(len(queries)), np.zeros(len(queries)), np.zeros(len(queries))
    perturbation = np.zeros(queries.shape)
    holds = np.ones(len(queries), np.bool_)
    for row in np.flatnonzero(geometry.predict(queries, n_neighbors) == codes):
        deadline = time.perf_counter() + time_limit
        query = Query.alone(geometry, queries[row], int(codes[row]), n_neighbors, bounds)
        proved, known, step, rounding[row] = _one(query, deadline)
        perturbation[row] = np.nan if step is None else step
        upper[row] = np.nan_to_num(np.linalg.norm(perturbation[row]), nan=np.inf)
        holds[row] = proved <= upper[row] * (1.0 + _ABOVE) + rounding[row]
        lower[row] = min(proved if holds[row] else known, upper[row])
    return Certificate(lower, upper, agree(lower, upper, rounding) & holds, perturbation)


def _one(query: Query, deadline: float) -> tuple[float, float, Float[np.ndarray, " d"] | None, float]:
    """Of one query, the proved size, that of Lemma 3, the perturbation (d,) found, and the rounding of sizes."""
    geometry, code = query.geometry, query.code
    others = np.flatnonzero(geometry.labels != code)
    target = others[query.coarse[others].argmin()] if len(others) else 0
    entry = entries(query)
    best = CellDescent().descend(query, entry)
    upper = np.inf if best is None else float(np.linalg.norm(best))
    known = float(lower_bounds(geometry, query.x[None], np.array([code]), n_neighbors=query.n_neighbors)[0])
    rounding = rounding_of(query.x, geometry.points[target])
    rows = np.flatnonzero(entry < upper)
    if known >= upper * (1.0 - _CLOSE) or len(rows) > _MOST:
        return known, known, best, rounding
    search = _Search(query, _reduced(arena_of(query, rows), query.majority, upper), best, upper)
    return max(known, search.run(deadline)), known, search.best, rounding


@dataclass(frozen=True, eq=False)
class _Node:
    """A subproblem: rows of the arena that are among the K nearest, and rows that are not.

    inside : (k,) rows; outside : (m,) mask; pairs, dual : the half-spaces that bind in the subproblem it came from.
    """

    inside: Int[np.ndarray, " k"]
    outside: Bool[np.ndarray, " m"]
    pairs: Int[np.ndarray, "p 2"] = field(default_factory=lambda: branch_kernels.NO_PAIRS)
    dual: Float[np.ndarray, " p"] = field(default_factory=lambda: branch_kernels.NO_DUAL)

    def with_rows(self, inside: Int[np.ndarray, " k"], outside: Int[np.ndarray, " l"]) -> _Node:
        """Decide more rows."""
        mask = self.outside.copy()
        mask[outside] = True
        return replace(self, inside=np.concatenate([self.inside, inside]), outside=mask)


@dataclass(frozen=True, eq=False)
class _Fan:
    """Subproblems yet to be made: one of `rows` is inside, and those before it are outside.

    bounds : (c,) ascending, of the subproblems of the rows that may come first.
    """

    node: _Node
    rows: Int[np.ndarray, " r"]
    bounds: Float[np.ndarray, " c"]
    place: int = 0

    def child(self) -> _Node:
        return self.node.with_rows(self.rows[self.place : self.place + 1], self.rows[: self.place])


@dataclass(eq=False)
class _Search:
    """Branch and bound among the rows within reach of one query."""

    query: Query
    arena: Arena
    best: Float[np.ndarray, " d"] | None
    upper: float
    closed: float = np.inf  # least bound of the subproblems that were closed
    opened: int = 0

    @property
    def goal(self) -> float:
        """The bound from which on a subproblem is of no interest."""
        return self.upper * (1.0 - _CLOSE)

    def run(self, deadline: float) -> float:
        """Open the subproblem with the least bound until none is of interest or time is up; return what is proved.

        It is not cut to what was found: were it more, rounding would have closed the subproblem of that perturbation.
        """
        order = itertools.count()  # of arrival, which decides between equal bounds
        root = _Node(np.empty(0, np.int64), np.zeros(len(self.arena.rows), np.bool_))
        queue: list[tuple[float, int, _Node | _Fan]] = [(0.0, next(order), root)]
        while queue and queue[0][0] < self.goal and time.perf_counter() < deadline:
            bound, _, item = heapq.heappop(queue)
            if isinstance(item, _Fan):
                if item.place + 1 < len(item.bounds):
                    onward = replace(item, place=item.place + 1)
                    heapq.heappush(queue, (max(bound, item.bounds[onward.place]), next(order), onward))
                item = item.child()
            for child_bound, child in self._opened(item, bound):
                heapq.heappush(queue, (child_bound, next(order), child))
        return min(queue[0][0] if queue else np.inf, self.closed)

    def _opened(self, node: _Node, bound: float) -> list[tuple[float, _Node | _Fan]]:
        """Solve a subproblem: close it, or return the ones that it falls into, with their bounds."""
        self.opened += 1
        arena, node = self.arena, self._implied(node)
        if arena.own[node.inside].sum() >= self.query.majority:
            return []
        step = arena.solve(node.inside, node.outside, pairs=node.pairs, dual=node.dual, limit=self.goal)
        bound = max(bound, step.size)
        if bound >= self.goal:
            self.closed = min(self.closed, bound)
            return []
        node = replace(node, pairs=step.pairs, dual=step.dual)
        full = len(node.inside) == self.query.n_neighbors
        nearest = node.inside if full else arena.nearest(step.scores, node.inside, node.outside, self.query.n_neighbors)
        wins = arena.changes(nearest)
        reached = step.status == branch_kernels.REACHED
        if wins and ((reached and self._found(nearest) <= bound * (1.0 + _CLOSE)) or full):
            # Found, or a cell with so little room that rounding decides: nothing in it has a smaller bound.
            self.closed = min(self.closed, bound)
            return []
        return self._parts(node, step.scores, nearest, bound, wins)

    def _implied(self, node: _Node) -> _Node:
        """Put the rows outside for which there is no place left."""
        own = int(self.arena.own[node.inside].sum())
        if len(node.inside) == self.query.n_neighbors:
            rest = np.ones(len(node.outside), np.bool_)
        elif own == self.query.majority - 1:
            rest = self.arena.own.copy()
        else:
            return node
        rest[node.inside] = False
        return replace(node, outside=node.outside | rest)

    def _found(self, nearest: Int[np.ndarray, " k"]) -> float:
        """Size of a perturbation next to a solution that changes the vote, which is kept if it is the best one."""
        step = crossed(self.query, self.arena, nearest)
        if step is None:
            return np.inf
        size = float(np.linalg.norm(step))
        if size < self.upper:
            self.best, self.upper = step, size
        return size

    def _parts(
        self, node: _Node, scores: Float[np.ndarray, " m"], nearest: Int[np.ndarray, " k"], bound: float, wins: bool
    ) -> list[tuple[float, _Node | _Fan]]:
        """Subproblems that together hold every change of the vote that the subproblem holds."""
        own, inside = self.arena.own, node.inside
        free = ~node.outside
        free[inside] = False
        own_inside = int(own[inside].sum())
        wanted = self.query.majority - (len(inside) - own_inside)
        nearer = np.flatnonzero(free & (scores < scores[inside].max(initial=-np.inf)))
        nearer = nearer[np.argsort(scores[nearer], kind="stable")]
        nearer_own = nearer[own[nearer]]
        if own_inside + len(nearer_own) >= self.query.majority:
            # At most (K - 1) / 2 own rows are among the K nearest: of these, one is not.
            return _chain(node, nearer_own[: self.query.majority - own_inside], bound)
        if wanted > 0:
            return self._fan(node, np.flatnonzero(free & ~own), own_inside, wanted, bound)
        room = self.query.n_neighbors - len(inside)
        if len(nearer) > room:
            return _chain(node, nearer[: room + 1], bound)
        undecided = nearest[free[nearest]]
        if not node.outside[nearest].any():
            # The K nearest change the vote as they are, or one of them must give way.
            whole = [(bound, node.with_rows(undecided, undecided[:0]))] if wins and len(undecided) else []
            return whole + _chain(node, undecided, bound)
        return self._fan(node, np.flatnonzero(free), own_inside, 1, bound) if room else []

    def _fan(
        self, node: _Node, rows: Int[np.ndarray, " r"], own_inside: int, wanted: int, bound: float
    ) -> list[tuple[float, _Node | _Fan]]:
        """At least `wanted` of the rows are inside: one subproblem for the first of them, by ascending bounds."""
        values = np.zeros(len(rows))
        others = ~self.arena.own[rows]
        bisectors = self.arena.bisectors[:, self._column[rows[others]]]
        taken = np.zeros(len(self.arena.rows), np.bool_)
        taken[node.inside] = True
        against = ~taken[self._own]
        part = bisectors[against]
        rank = self.query.majority - own_inside
        reach = np.partition(part, len(part) - rank, axis=0)[len(part) - rank] if len(part) >= rank else 0.0
        barred = bisectors[node.outside[self._own]].max(axis=0, initial=0.0)
        values[others] = np.maximum(reach, barred)
        order = np.argsort(values, kind="stable")
        # With `wanted` rows inside, the first of which is this one, so is one at least `wanted` - 1 places later.
        count = len(rows) - wanted + 1
        if count <= 0:
            return []
        values = np.maximum(values[order][wanted - 1 :], bound)
        return [(float(values[0]), _Fan(node, rows[order], values))]

    @functools.cached_property
    def _own(self) -> Int[np.ndarray, " own"]:
        return np.flatnonzero(self.arena.own)

    @functools.cached_property
    def _column(self) -> Int[np.ndarray, " m"]:
        """Where a row of another class stands among the columns of the bisectors."""
        return np.cumsum(~self.arena.own) - 1


def _chain(node: _Node, rows: Int[np.ndarray, " r"], bound: float) -> list[tuple[float, _Node | _Fan]]:
    """One of the rows is outside: the first, or the second with the first inside, and so on."""
    return [(bound, node.with_rows(rows[:k], rows[k : k + 1])) for k in range(len(rows))]


def _reduced(arena: Arena, majority: int, radius: float) -> Arena:
    """Leave out the rows of other classes that own rows of the arena keep out within the radius."""
    bisectors = arena.bisectors
    kept = np.ones(len(arena.rows), np.bool_)
    if len(bisectors) >= majority:
        kept[~arena.own] = np.partition(bisectors, len(bisectors) - majority, axis=0)[-majority] < radius
    return arena.kept(kept)
