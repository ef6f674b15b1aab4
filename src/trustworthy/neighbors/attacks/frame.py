"""What all attacks on nearest neighbours share: which queries they are asked, and the check of what they find."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from trustworthy.core.checks import Bounds
from trustworthy.core.errors import InvalidInput
from trustworthy.neighbors.geometry import Geometry
from trustworthy.neighbors.query import Query, inside, right_ones

Found = Iterable[Float[np.ndarray, " d"] | None]


@dataclass(frozen=True, kw_only=True)
class NeighborAttack(ABC):
    """An attack on K nearest neighbours: its fields are its settings, `find` is its search. Nothing is random."""

    for_one_neighbor: ClassVar[bool] = False

    @abstractmethod
    def find(self, queries: list[Query]) -> Found:
        """Perturbations (d,) of correctly classified queries of one geometry, in order; None where none is found."""

    def in_units(self, length: float, distance: float) -> NeighborAttack:
        """The same attack where inputs are divided by `length` and distances by `distance`, both > 0."""
        return self

    def __call__(
        self,
        geometry: Geometry,
        queries: Float[np.ndarray, "m d"],
        codes: Int[np.ndarray, " m"],
        *,
        n_neighbors: int,
        bounds: Bounds | None,
    ) -> Float[np.ndarray, "m d"]:
        """Perturbations (m, d) that change the vote of the nearest rows within the bounds.

        codes : (m,) the true classes, -1 for one that training lacks.
        Rows of 0 where the vote is wrong to begin with; rows of NaN where `find` has no answer that changes the vote.
        """
        if self.for_one_neighbor and n_neighbors != 1:
            raise InvalidInput(
                f"the attack {type(self).__name__} needs n_neighbors=1, got {n_neighbors}. "
                "Use 'cell-descent', 'qp-greedy', 'naive-m' or 'mean'."
            )
        queries = np.ascontiguousarray(queries, np.float64)
        perturbation = np.zeros(queries.shape)
        for rows, right in right_ones(geometry, queries, codes, n_neighbors, bounds):
            for row, step in zip(rows, self.find(right) if right else (), strict=True):
                perturbation[row] = np.nan if step is None else inside(queries[row], step, bounds)
            found = rows[np.isfinite(perturbation[rows]).all(axis=1)]
            unchanged = geometry.predict(queries[found] + perturbation[found], n_neighbors) == codes[found]
            perturbation[found[unchanged]] = np.nan
        return perturbation
