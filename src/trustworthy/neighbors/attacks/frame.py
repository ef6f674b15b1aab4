"""What all attacks on nearest neighbours share: what is known of a query, and the check of what they find."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from trustworthy.core.errors import InvalidInput
from trustworthy.neighbors.exact import inside
from trustworthy.neighbors.geometry import Geometry


@dataclass(frozen=True, eq=False)
class Query:
    """A query that is classified correctly, and its distances.

    x : (d,) the query; code : its class.
    coarse : (n,) squared distances to all rows in single precision, wrong by up to `error`.
    """

    geometry: Geometry
    x: Float[np.ndarray, " d"]
    code: int
    coarse: Float[np.ndarray, " n"]
    error: float
    n_neighbors: int
    bounds: tuple[float, float] | None

    def nearest(self, allowed: Bool[np.ndarray, " n"], count: int) -> Int[np.ndarray, " k"]:
        """The `count` nearest of the allowed rows in order, or all of them, decided in double precision."""
        count = min(count, int(np.count_nonzero(allowed)))
        coarse = np.where(allowed, self.coarse, np.float32(np.inf))
        return self.geometry.nearest(self.x, coarse, self.error, count)


Found = Iterable[Float[np.ndarray, " d"] | None]


def attacked(
    geometry: Geometry,
    queries: Float[np.ndarray, "m d"],
    codes: Int[np.ndarray, " m"],
    n_neighbors: int,
    bounds: tuple[float, float] | None,
    find: Callable[[list[Query]], Found],
) -> Float[np.ndarray, "m d"]:
    """Perturbations (m, d) by `find`, which gets the correctly classified queries of a block and answers in order.

    Rows of 0 where the vote is wrong to begin with; rows of NaN where `find` has no answer, or one that does not change
    the vote of the nearest rows within the bounds.
    """
    queries = np.ascontiguousarray(queries, np.float64)
    perturbation = np.zeros(queries.shape)
    for block in geometry.blocks(len(queries)):
        coarse, error = geometry.coarse_distances(queries[block])
        voted = geometry.votes(coarse, error, geometry.embed(queries[block]), n_neighbors)
        asked, rows = [], []
        for k, row in enumerate(range(block.start, block.stop)):
            if voted[k] == codes[row]:
                rows.append(row)
                asked.append(
                    Query(geometry, queries[row], int(codes[row]), coarse[k], float(error[k]), n_neighbors, bounds)
                )
        for row, step in zip(rows, find(asked), strict=True):
            perturbation[row] = np.nan if step is None else inside(queries[row], step, bounds)
        found = np.array([row for row in rows if np.isfinite(perturbation[row]).all()], np.int64)
        unchanged = geometry.predict(queries[found] + perturbation[found], n_neighbors) == codes[found]
        perturbation[found[unchanged]] = np.nan
    return perturbation


def only_one_neighbor(name: str, n_neighbors: int) -> None:
    """Raise InvalidInput where more than one neighbour votes."""
    if n_neighbors != 1:
        raise InvalidInput(
            f"the attack {name!r} needs n_neighbors=1, got {n_neighbors}. "
            "Use 'cell-descent', 'qp-greedy', 'naive-m' or 'mean'."
        )
