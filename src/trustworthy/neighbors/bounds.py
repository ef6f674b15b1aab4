"""Lower bounds on the perturbation that changes K nearest neighbours, without a programme: Lemma 3 and Theorem 3."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from trustworthy.neighbors import bounds_kernels, vote_kernels
from trustworthy.neighbors.geometry import Geometry


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

    geometry : every class holds at least s rows.
    queries : (m, d) float64; codes : (m,) the true classes, -1 for one that training lacks.
    n_same : how many of the nearest own rows are used; None for all. Any number >= s is valid, all are the tightest.

    Cost: one product of the queries with the points in single precision, which sorts and screens; what decides is
    computed in double precision, for a few hundred other rows a query.
    """
    queries = np.ascontiguousarray(queries, np.float64)
    bounds = np.zeros(len(queries))
    everyone = np.arange(len(geometry.labels))
    classes = int(geometry.labels.max()) + 1
    parted = {c: (np.flatnonzero(geometry.labels == c), np.flatnonzero(geometry.labels != c)) for c in np.unique(codes)}
    for block in geometry.blocks(len(queries)):
        coarse, error = geometry.coarse_distances(queries[block])
        points, blurs = geometry.embed(queries[block]), geometry.blurs(queries[block])
        for k, row in enumerate(range(block.start, block.stop)):
            shared = coarse[k], error[k]
            voted = vote_kernels.vote(
                *shared, everyone, geometry.labels, classes, geometry.embedded, points[k], n_neighbors
            )
            if voted == codes[row]:
                bounds[row] = bounds_kernels.bound(
                    *shared, *parted[codes[row]], geometry.embedded, geometry.images, points[k], geometry.stretch,
                    blurs[k], (n_neighbors + 1) // 2, n_same or 0,
                )  # fmt: skip
    return bounds
