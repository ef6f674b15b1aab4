"""Lower bounds on the perturbation that changes K nearest neighbours, without a programme: Lemma 3 and Theorem 3."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from trustworthy.neighbors import bounds_kernels
from trustworthy.neighbors.geometry import Geometry
from trustworthy.neighbors.query import right_ones


def lower_bounds(
    geometry: Geometry,
    queries: Float[np.ndarray, "m d"],
    codes: Int[np.ndarray, " m"],
    *,
    n_neighbors: int,
    n_same: int | None = None,
) -> Float[np.ndarray, " m"]:
    """Sizes (m,) in l2 below which no perturbation changes the vote: (3.12), (3.18), and (3.46) under a metric.

    With s = (K + 1) / 2: the s-th smallest over rows of other classes of the s-th largest over rows of the own class of
    the distance to the plane between the two (3.44). Rows that are wrong to begin with get 0.

    geometry : every class holds at least s rows. queries, codes : as in `exact.exact_one`.
    n_same : how many of the nearest own rows are used; None for all. Any number >= s is valid, all are the tightest.

    Cost: one product of the queries with the points in single precision, which sorts and screens; what decides is
    computed in double precision, for a few hundred other rows a query.
    """
    queries = np.ascontiguousarray(queries, np.float64)
    bounds = np.zeros(len(queries))
    sides = geometry.sides(codes)
    for rows, right in right_ones(geometry, queries, codes, n_neighbors, None):
        for row, query in zip(rows, right, strict=True):
            bounds[row] = bounds_kernels.bound(query.scene, *sides[query.code], query.majority, n_same or 0)
    return bounds
