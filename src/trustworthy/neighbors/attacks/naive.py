"""Naive-m: straight towards nearby rows of another class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from trustworthy.core import checks
from trustworthy.neighbors.attacks import greedy_kernels
from trustworthy.neighbors.attacks.frame import Found, NeighborAttack
from trustworthy.neighbors.attacks.line import shortest_change
from trustworthy.neighbors.geometry import Geometry
from trustworthy.neighbors.query import Query


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
            clusters = [_cluster(geometry, int(pivot), query.majority) for pivot in pivots]
            means = np.array([geometry.points[rows].mean(axis=0) for rows in clusters])
            yield shortest_change(query, means - query.x)


def _cluster(geometry: Geometry, pivot: int, count: int) -> Int[np.ndarray, " k"]:
    rows = np.flatnonzero(geometry.labels == geometry.labels[pivot])
    return greedy_kernels.cluster(geometry.embedded, rows, pivot, count)
