"""Cell-descent as an attack."""

from __future__ import annotations

from dataclasses import dataclass

from trustworthy.neighbors.attacks.frame import Found, NeighborAttack
from trustworthy.neighbors.cells import entries
from trustworthy.neighbors.descent import Descent
from trustworthy.neighbors.query import Query


@dataclass(frozen=True, kw_only=True)
class CellDescent(Descent, NeighborAttack):
    __doc__ = Descent.__doc__

    def find(self, queries: list[Query]) -> Found:
        for q in queries:
            query = Query.alone(q.geometry, q.x, q.code, q.n_neighbors, q.bounds)
            yield self.descend(query, entries(query))
