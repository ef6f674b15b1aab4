"""QP-top-m: Algorithm 5 on the nearest rows of other classes only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trustworthy.core import checks
from trustworthy.neighbors import exact_kernels
from trustworthy.neighbors.attacks.frame import Found, NeighborAttack
from trustworthy.neighbors.exact import past_the_boundary
from trustworthy.neighbors.query import Query


@dataclass(frozen=True, kw_only=True)
class QPTopM(NeighborAttack):
    """The quadratic programmes (3.5) of the m nearest rows of other classes, each solved exactly; the shortest wins.

    For one neighbour. With m rows or more of other classes left, the result is the minimum.

    m : programmes a query, >= 1; QP-top-1 and QP-top-10 of section 3.1.5 have 1 and 10.
    """

    for_one_neighbor = True
    m: int = 10

    def __post_init__(self) -> None:
        checks.integer("m", self.m, at_least=1)

    def find(self, queries: list[Query]) -> Found:
        for query in queries:
            is_own = query.geometry.labels == query.code
            nearest = query.nearest(~is_own, self.m)
            step, _, target, touching = exact_kernels.certify(query.scene, np.flatnonzero(is_own), nearest)
            yield None if target < 0 else past_the_boundary(query, step, int(target), touching)
