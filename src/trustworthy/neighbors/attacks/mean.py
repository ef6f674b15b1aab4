"""Mean: straight towards the mean of another class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trustworthy.neighbors.attacks.frame import Found, NeighborAttack
from trustworthy.neighbors.attacks.line import shortest_change
from trustworthy.neighbors.query import Query


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
