"""Mean: straight towards the mean of another class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from trustworthy.neighbors.attacks.frame import Found, Query, attacked
from trustworthy.neighbors.attacks.line import shortest_change
from trustworthy.neighbors.geometry import Geometry


@dataclass(frozen=True, kw_only=True)
class Mean:
    """Bisect between a query and the nearest mean of another class; fails where that mean does not get the vote."""

    def __call__(
        self,
        geometry: Geometry,
        queries: Float[np.ndarray, "m d"],
        codes: Int[np.ndarray, " m"],
        *,
        n_neighbors: int,
        bounds: tuple[float, float] | None,
        random_state: int = 0,
    ) -> Float[np.ndarray, "m d"]:
        """Perturbations (m, d) that change the vote; NaN on failure. Nothing is random."""
        classes = np.unique(geometry.labels)
        means = np.array([geometry.points[geometry.labels == c].mean(axis=0, dtype=np.float64) for c in classes])

        def find(asked: list[Query]) -> Found:
            for query in asked:
                ends = means[classes != query.code] - query.x
                lengths = np.linalg.norm(geometry.carry(ends), axis=1)
                yield shortest_change(query, ends[lengths.argmin()][None])

        return attacked(geometry, queries, codes, n_neighbors, bounds, find)
