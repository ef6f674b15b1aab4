"""A query that is classified correctly, and its distances: what a search for a change of its vote begins with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from trustworthy.core.checks import Bounds
from trustworthy.neighbors.geometry import Geometry


@dataclass(frozen=True, eq=False)
class Query:
    """One query among the training points.

    x : (d,) the query, in double precision; code : its class.
    coarse : (n,) squared distances to all rows in single precision, wrong by up to `error`.
    n_neighbors : K; bounds : the box that the perturbed query keeps, or None.
    """

    geometry: Geometry
    x: Float[np.ndarray, " d"]
    code: int
    coarse: Float[np.ndarray, " n"]
    error: float
    n_neighbors: int
    bounds: Bounds | None

    @classmethod
    def alone(
        cls, geometry: Geometry, x: Float[np.ndarray, " d"], code: int, n_neighbors: int, bounds: Bounds | None
    ) -> Query:
        """Measure the distances of this query alone: a product of many rounds differently, and so would all else."""
        coarse, error = geometry.coarse_distances(x[None])
        return cls(geometry, x, int(code), coarse[0], float(error[0]), n_neighbors, bounds)

    @property
    def majority(self) -> int:
        """How many neighbours of one class have the vote for certain, (K + 1) / 2."""
        return (self.n_neighbors + 1) // 2

    def nearest(self, allowed: Bool[np.ndarray, " n"], count: int) -> Int[np.ndarray, " k"]:
        """The `count` nearest of the allowed rows in order, or all of them, decided in double precision."""
        count = min(count, int(np.count_nonzero(allowed)))
        coarse = np.where(allowed, self.coarse, np.float32(np.inf))
        return self.geometry.nearest(self.x, coarse, self.error, count)

    def nearest_after(self, step: Float[np.ndarray, " d"], count: int) -> Int[np.ndarray, " k"]:
        """The `count` nearest of all rows after a step, in order."""
        moved = self.x + step
        coarse, error = self.geometry.coarse_distances(moved[None])
        return self.geometry.nearest(moved, coarse[0], float(error[0]), count)

    def changes(self, step: Float[np.ndarray, " d"]) -> bool:
        """Whether the prediction is another one after a step."""
        return bool(self.geometry.predict((self.x + step)[None], self.n_neighbors)[0] != self.code)
