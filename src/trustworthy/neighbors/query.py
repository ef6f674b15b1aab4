"""A query that is classified correctly, and its distances: what a search for a change of its vote begins with."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from trustworthy.core.checks import Bounds
from trustworthy.neighbors.geometry import Geometry, fixed

_NO_ROOT = fixed(np.empty((0, 0)))


class Scene(NamedTuple):
    """What the compiled searches are told of one query; all places are those that `Geometry` has embedded.

    coarse, error : as in `Query`; labels, embedded, images, stretch : of the `Geometry`; root : empty for none.
    point : (rank,) the embedded query; blurs : (3,) `Geometry.blurs`; low, high : (d,) `room`, used if `is_boxed`.
    """

    coarse: np.ndarray
    error: float
    labels: np.ndarray
    embedded: np.ndarray
    images: np.ndarray
    point: np.ndarray
    root: np.ndarray
    stretch: float
    blurs: np.ndarray
    low: np.ndarray
    high: np.ndarray
    is_boxed: bool


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

    @functools.cached_property
    def scene(self) -> Scene:
        geometry, x = self.geometry, self.x
        root = _NO_ROOT if geometry.root is None else geometry.root
        return Scene(
            self.coarse, self.error, geometry.labels, geometry.embedded, geometry.images, geometry.embed(x[None])[0],
            root, geometry.stretch, geometry.blurs(x[None])[0], *room(x, self.bounds), self.bounds is not None,
        )  # fmt: skip

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


def right_ones(
    geometry: Geometry,
    queries: Float[np.ndarray, "m d"],
    codes: Int[np.ndarray, " m"],
    n_neighbors: int,
    bounds: Bounds | None,
) -> Iterator[tuple[Int[np.ndarray, " k"], list[Query]]]:
    """Of each block of queries that fits in memory, those whose vote is `codes` (m,): their places, and what is known.

    Cost: one product of the queries with the points in single precision.
    """
    for block in geometry.blocks(len(queries)):
        coarse, error = geometry.coarse_distances(queries[block])  # (block, n), (block,)
        voted = geometry.votes(coarse, error, geometry.embed(queries[block]), n_neighbors)
        right = np.flatnonzero(voted == codes[block])
        rows = block.start + right
        yield (
            rows,
            [
                Query(geometry, queries[row], int(codes[row]), coarse[k], float(error[k]), n_neighbors, bounds)
                for k, row in zip(right, rows, strict=True)
            ],
        )


def room(
    query: Float[np.ndarray, " d"], bounds: Bounds | None
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]]:
    """How far each coordinate of a query may go down (d,) and up (d,): rounded away from 0, so that no step is lost."""
    low, high = (-np.inf, np.inf) if bounds is None else bounds
    wider = 1.0 + 2.0 * np.finfo(np.float64).eps
    return np.minimum(low - query, 0.0) * wider, np.maximum(high - query, 0.0) * wider


def inside(
    query: Float[np.ndarray, " d"], step: Float[np.ndarray, " d"], bounds: Bounds | None
) -> Float[np.ndarray, " d"]:
    """The step, cut so that query + step keeps the bounds to the last bit."""
    if bounds is None:
        return step
    low, high = bounds
    cut = np.where((query + step < low) | (query + step > high), np.clip(query + step, low, high) - query, step)
    return np.where((query + cut < low) | (query + cut > high), np.nextafter(cut, 0.0), cut)
