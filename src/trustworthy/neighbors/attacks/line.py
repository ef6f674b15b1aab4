"""Mean and Naive-m: straight ways from a query to other classes, and where the vote changes on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from trustworthy.core import checks
from trustworthy.neighbors.attacks import greedy_kernels
from trustworthy.neighbors.attacks.frame import Found, NeighborAttack
from trustworthy.neighbors.query import Query, inside

_HALVINGS = 60  # at most; the share of the way is then known to the last bit
_BETWEEN = 6  # halvings between two looks at which rows still matter
_CLOSE = 1e-12  # relative width at which the bisection ends
_BEYOND, _LEAST = 1e-10, 1e-12  # relative and absolute share by which to go on, so that rounding cannot undo the change


@dataclass(frozen=True, kw_only=True)
class Mean(NeighborAttack):
    """Bisect between a query and the nearest mean of another class; fails where that mean does not get the vote."""

    def find(self, queries: list[Query]) -> Found:
        geometry = queries[0].geometry
        classes = np.unique(geometry.labels)
        means = np.array([geometry.points[geometry.labels == c].mean(axis=0) for c in classes])
        for query in queries:
            ends = means[classes != query.code] - query.x
            lengths = np.linalg.norm(geometry.carry(ends), axis=1)
            yield shortest_change(query, ends[lengths.argmin()][None])


@dataclass(frozen=True, kw_only=True)
class NaiveM(NeighborAttack):
    """Bisect between a query and the mean of a cluster of another class, for the m nearest ones; keep the shortest.

    The clusters: to each of the m nearest rows of other classes, the (K + 1) / 2 rows of its class nearest to it. With
    K = 1 the vote changes on every way; with more, the mean of a cluster may not get the vote, and the way is left out.

    m : ways that are tried, >= 1; Naive-1 and Naive-10 of section 3.1.5 have 1 and 10.
    """

    m: int = 10

    def __post_init__(self) -> None:
        checks.integer("m", self.m, at_least=1)

    def find(self, queries: list[Query]) -> Found:
        for query in queries:
            geometry = query.geometry
            pivots = query.nearest(geometry.labels != query.code, self.m)
            ends = np.empty((len(pivots), len(query.x)))
            for end, pivot in zip(ends, pivots, strict=True):
                rows = np.flatnonzero(geometry.labels == geometry.labels[pivot])
                cluster = greedy_kernels.cluster(geometry.embedded, rows, pivot, query.majority)
                end[:] = geometry.points[cluster].mean(axis=0) - query.x
            yield shortest_change(query, ends)


def shortest_change(query: Query, ends: Float[np.ndarray, "k d"]) -> Float[np.ndarray, " d"] | None:
    """Of the ways from the query by each of `ends`, the shortest step found by bisection that changes the vote.

    A way at whose end the vote has not changed gives nothing; None where none gives anything.
    Cost: one product of `ends` with the points in single precision, and some 50 distances of a few rows each.
    """
    geometry = query.geometry
    directions = geometry.carry(ends).astype(np.float32)
    products = geometry.coarse @ directions.T  # (n, k)
    rounding = np.sqrt(geometry.coarse_norms.max()) * np.finfo(np.float32).eps * (4.0 + 2.0 * np.sqrt(len(query.x)))
    best, size = None, np.inf
    for end, product, direction in zip(ends, products.T, directions, strict=True):
        error = query.error + 2.0 * rounding * float(np.linalg.norm(direction))
        share = _bisect(query, end, product, error)
        if share is not None and share * np.linalg.norm(end) < size:
            best, size = share * end, share * np.linalg.norm(end)
    return best


def _bisect(query: Query, end: Float[np.ndarray, " d"], product: Float[np.ndarray, " n"], error: float) -> float | None:
    """Share of `end` just past a change of the vote: there it has changed, and by a relative 1e-9 less it has not.

    On the way, squared distances are coarse - 2 share product, but for what all rows have in common.
    """
    rows = np.arange(len(product))
    coarse, slope = query.coarse.astype(np.float64), 2.0 * product.astype(np.float64)
    if not _changed(query, end, rows, coarse - slope, error):
        return None
    low, high = 0.0, 1.0
    for halving in range(_HALVINGS):
        middle = (low + high) / 2
        if halving % _BETWEEN == 0:
            kept = _relevant(query.n_neighbors, coarse - low * slope, coarse - high * slope, error)
            rows, coarse, slope = rows[kept], coarse[kept], slope[kept]
        if _changed(query, middle * end, rows, coarse - middle * slope, error):
            high = middle
        else:
            low = middle
        if high - low <= _CLOSE * high:
            break
    beyond = min(high + max(_BEYOND * high, _LEAST), 1.0)
    everyone = np.arange(len(product))
    values = query.coarse - 2.0 * beyond * product.astype(np.float64)
    return beyond if _changed(query, beyond * end, everyone, values, error) else high


def _relevant(
    count: int, first: Float[np.ndarray, " n"], last: Float[np.ndarray, " n"], error: float
) -> Int[np.ndarray, " k"]:
    """Rows that can be among the `count` nearest anywhere between two places, from their distances at both.

    The distances are straight lines: `count` rows that stay below a limit at both places stay below it in between.
    """
    highest = np.maximum(first, last)
    limit = np.partition(highest, count - 1)[count - 1] + 2 * error
    return np.flatnonzero(np.minimum(first, last) <= limit)


def _changed(
    query: Query,
    step: Float[np.ndarray, " d"],
    rows: Int[np.ndarray, " k"],
    values: Float[np.ndarray, " k"],
    error: float,
) -> bool:
    """Whether the nearest of the rows vote for another class after the step; `values` screens, double decides."""
    moved = query.x + inside(query.x, step, query.bounds)
    nearest = query.geometry.nearest(moved, values, error, query.n_neighbors, rows)
    return bool(np.bincount(query.geometry.labels[nearest]).argmax() != query.code)
