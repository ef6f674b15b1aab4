"""Training points under a metric: distances, votes, and the half-spaces that part one point from another."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from trustworthy.neighbors import exact_kernels

_CELLS = 1 << 24  # entries of a block of distances: 64 MiB in single precision


def fixed(array: np.ndarray) -> np.ndarray:
    """A read-only, C-contiguous view: kernels are compiled anew for every other kind of array."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False)
class Geometry:
    """Labelled points and the metric M = rootᵀ root between them.

    points : (n, d) numbers, kept in double precision.
    labels : (n,) codes of the classes, 0 to classes - 1.
    root : (rank, d) float64, or None for the Euclidean distance.

    Distance ties go to the lower row, ties of the vote to the smaller class.
    """

    points: Float[np.ndarray, "n d"]
    labels: Int[np.ndarray, " n"]
    root: Float[np.ndarray, "rank d"] | None = None

    def __post_init__(self) -> None:
        points, labels = np.asarray(self.points, np.float64), np.asarray(self.labels, np.int64)
        self.__setstate__({"points": points, "labels": labels, "root": self.root})

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what was pickled; other processes may get arrays that are read-only, and so they are in all."""
        for name, value in state.items():
            self.__dict__[name] = fixed(value) if isinstance(value, np.ndarray) else value

    @functools.cached_property
    def embedded(self) -> Float[np.ndarray, "n rank"]:
        """The points mapped by the root about their mean, where the metric is Euclidean."""
        return self.points if self.root is None else fixed(self.embed(self.points))

    @functools.cached_property
    def images(self) -> Float[np.ndarray, "n d"]:
        """M times each point: the differences of these are the normals of the bisectors."""
        return self.points if self.root is None else fixed(self.image(self.points))

    @functools.cached_property
    def stretch(self) -> float:
        """How much the metric lengthens a step at most: the largest singular value of the root."""
        return 1.0 if self.root is None else float(np.linalg.norm(self.root, ord=2)) * (1.0 + 1e-12)

    @functools.cached_property
    def coarse(self) -> Float[np.ndarray, "n rank"]:
        """The embedded points in single precision about their mean, for products that only sort and screen."""
        coarse = np.empty(self.embedded.shape, np.float32)
        for start in range(0, len(coarse), 4096):  # a difference of all rows at once would take twice their memory
            part = slice(start, start + 4096)
            coarse[part] = self.embedded[part] - self.centre
        return coarse

    @functools.cached_property
    def centre(self) -> Float[np.ndarray, " rank"]:
        """Mean of the embedded points: taking it off keeps distances from drowning in rounding."""
        return self.embedded.mean(axis=0)

    @functools.cached_property
    def coarse_norms(self) -> Float[np.ndarray, " n"]:
        """Squared lengths of `coarse`."""
        return np.einsum("ij,ij->i", self.coarse, self.coarse)

    def prepared(self) -> Geometry:
        """Compute all that queries share, so that processes are sent it once instead of each computing it again."""
        _ = self.embedded, self.images, self.stretch, self.centre, self.coarse, self.coarse_norms, self._blurs
        return self

    @functools.cached_property
    def origin(self) -> Float[np.ndarray, " d"]:
        """Mean of the points: under a metric, places are measured from it, so that an offset costs no digits."""
        return self.points.mean(axis=0)

    def embed(self, x: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m rank"]:
        """Map places by the root, in double precision; a row is rounded alike whatever rows come along."""
        places = np.asarray(x, np.float64)
        return places if self.root is None else exact_kernels.mapped(places - self.origin, self.root)

    def carry(self, steps: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m rank"]:
        """Map steps by the root, in double precision."""
        steps = np.asarray(steps, np.float64)
        return steps if self.root is None else steps @ self.root.T

    def image(self, x: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m d"]:
        """M times each row, in double precision and up to one constant row: only differences of these are used."""
        return np.asarray(x, np.float64) if self.root is None else self.embed(x) @ self.root

    def coarse_distances(self, queries: Float[np.ndarray, "m d"]) -> tuple[np.ndarray, Float[np.ndarray, " m"]]:
        """Squared distances (m, n) in single precision by one product, and by how much each row may be wrong (m,)."""
        far = self.embed(queries) - self.centre
        near = far.astype(np.float32)
        own = np.einsum("ij,ij->i", near, near)
        product = near @ self.coarse.T
        product *= -2.0
        product += own[:, None]
        product += self.coarse_norms
        # Rounding of sums of `rank` products in any order, of the three terms, and of the places to single precision.
        scale = (np.sqrt(own, dtype=np.float64) + np.sqrt(float(self.coarse_norms.max()))) ** 2
        unit = np.finfo(np.float32)
        return product, (scale * float(unit.eps) + float(unit.tiny)) * (4.0 + 0.51 * near.shape[1])

    def fine_distances(self, query: Float[np.ndarray, " d"], rows: Int[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """Squared distances (k,) of one query to some rows, in double precision and by differences."""
        return exact_kernels.gaps(self.embedded, np.asarray(rows), self.embed(query[None])[0])

    @functools.cached_property
    def _blurs(self) -> tuple[float, float]:
        """By how much a row of `embedded`, and the difference of two `images`, may miss those of the exact root."""
        if self.root is None:
            return 0.0, 0.0
        weight, unit = np.abs(self.root), exact_kernels.precision(self.root.shape[1])
        mapped = self._heavy(self.points, weight)
        image = np.linalg.norm(mapped @ weight, axis=1)
        return unit * float(np.linalg.norm(mapped, axis=1).max()), 2.0 * unit * float(image.max())

    def _heavy(self, x: Float[np.ndarray, "m d"], weight: Float[np.ndarray, "rank d"]) -> Float[np.ndarray, "m rank"]:
        """As `embed`, with the sizes of all numbers: what its rounding is relative to."""
        return np.abs(x - self.origin) @ weight.T

    def blurs(self, queries: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m 3"]:
        """Rounding by the root, in l2: of an embedded row, the embedded query, and the difference of two images."""
        blurs = np.zeros((len(queries), 3))
        if self.root is not None:
            unit, heavy = exact_kernels.precision(self.root.shape[1]), self._heavy(queries, np.abs(self.root))
            blurs[:, ::2], blurs[:, 1] = self._blurs, unit * np.linalg.norm(heavy, axis=1)
        return blurs

    def blocks(self, count: int) -> Iterator[slice]:
        """Slices of `count` queries whose distances fit in memory."""
        step = max(1, _CELLS // len(self.points))
        return (slice(start, min(start + step, count)) for start in range(0, count, step))

    def nearest(
        self, query: np.ndarray, coarse: np.ndarray, error: float, count: int, rows: np.ndarray | None = None
    ) -> Int[np.ndarray, " k"]:
        """The `count` nearest of the rows (all for None) in order, decided in double precision from coarse distances."""
        count = min(count, len(coarse))
        near = np.flatnonzero(coarse <= np.partition(coarse, count - 1)[count - 1] + 2 * error)
        rows = near if rows is None else rows[near]
        fine = self.fine_distances(query, rows)
        return rows[np.lexsort((rows, fine))[:count]]

    def predict(self, queries: Float[np.ndarray, "m d"], n_neighbors: int) -> Int[np.ndarray, " m"]:
        """Codes (m,) that the `n_neighbors` nearest rows vote for."""
        queries = np.asarray(queries, np.float64)
        voted = np.empty(len(queries), np.int64)
        for rows in self.blocks(len(queries)):
            coarse, error = self.coarse_distances(queries[rows])
            points = self.embed(queries[rows])
            voted[rows] = self.votes(coarse, error, points, n_neighbors)
        return voted

    def votes(
        self, coarse: np.ndarray, error: np.ndarray, points: Float[np.ndarray, "m rank"], n_neighbors: int
    ) -> Int[np.ndarray, " m"]:
        """As `predict`, for embedded queries whose coarse distances are known."""
        return exact_kernels.votes(coarse, error, self.labels, self.embedded, points, n_neighbors)

    def sides(
        self, codes: Int[np.ndarray, " m"]
    ) -> dict[int, tuple[Int[np.ndarray, " own"], Int[np.ndarray, " others"]]]:
        """For each class among `codes`, the rows of it and all others, ascending."""
        return {int(c): (np.flatnonzero(self.labels == c), np.flatnonzero(self.labels != c)) for c in np.unique(codes)}

    def halfspaces(
        self, query: Float[np.ndarray, " d"], j: int, others: Int[np.ndarray, " k"]
    ) -> tuple[Float[np.ndarray, "k d"], Float[np.ndarray, " k"], Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
        """Normals (k, d) and offsets (k,) with normals @ delta + offsets >= 0 where row j is no farther than `others`.

        Eq. (3.4): (p_j - p_i)ᵀ delta + (D_i - D_j) / 2 >= 0, with the images p and squared distances D. After them, by
        how much an entry of each normal (k,) and each offset (k,) may be wrong.
        """
        normals, root = self.points[j] - self.points[others], self.root
        heavy = np.abs(normals)
        if root is not None:
            normals, heavy = (normals @ root.T) @ root, (heavy @ np.abs(root).T) @ np.abs(root)
        heavy *= exact_kernels.precision(len(query))
        # (D_i - D_j) / 2 = (p_j - p_i) . (query - middle): differences alone, so that nothing cancels.
        before, after = query - self.points[j], query - self.points[others]
        offsets = np.einsum("ij,ij->i", normals, before + after) / 2
        return normals, offsets, heavy.max(axis=1), np.einsum("ij,ij->i", heavy, np.abs(before) + np.abs(after))

    def without_duplicates(self) -> Geometry:
        """The same points without rows that repeat an earlier one under the metric, whatever their class."""
        first: dict[bytes, int] = {}
        # Under a metric, rows that differ by rounding alone are the same: they fall on one point of a fine grid.
        grid = 0.0 if self.root is None else 1e-10 * float(np.abs(self.embedded).max(initial=0.0))
        for row, values in enumerate(self.embedded):
            # A sort of all rows would copy them several times; adding 0 makes -0 and 0 the same bytes.
            kept = (np.round(values / grid) if grid else values) + 0.0
            first.setdefault(hashlib.blake2b(kept.tobytes(), digest_size=16).digest(), row)
        rows = np.fromiter(first.values(), np.int64)
        if len(rows) == len(self.points):
            return self
        return replace(self, points=self.points[rows], labels=self.labels[rows])
