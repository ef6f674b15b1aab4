"""The Gaussian graph over labelled and unlabelled rows: dense, or between nearest neighbours."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.neighbors import NearestNeighbors

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput

Rows = Any
"""Features (n, d): a dense array or a SciPy CSR matrix."""
Weights = Any
"""Affinities: a dense array or a SciPy CSR matrix."""

LARGEST = 1e150
"""Magnitude of features and labels up to which their squares do not overflow."""


@dataclass(frozen=True)
class Graph:
    """What a harmonic solution needs of a graph.

    within : (unlabelled, unlabelled) affinities S_uu, symmetric, with a diagonal of 0, which cancels in D - S.
    across : (unlabelled, labelled) affinities S_ul.
    """

    within: Weights
    across: Weights

    @cached_property
    def degree(self) -> Float[np.ndarray, " unlabelled"]:
        """Diagonal of D_uu: sums of the affinities of each unlabelled row."""
        return row_sums(self.within) + row_sums(self.across)

    @cached_property
    def reached(self) -> Bool[np.ndarray, " unlabelled"]:
        """Unlabelled rows that are joined to a label by a path."""
        reached = row_sums(self.across) > 0.0
        frontier = reached.copy()
        while not reached.all() and frontier.any():
            frontier = (self.within @ frontier.astype(np.float64) > 0.0) & ~reached
            reached = reached | frontier
        return reached

    def part(self, rows: Bool[np.ndarray, " unlabelled"]) -> Graph:
        """The graph without the other unlabelled rows, which must not be joined to these."""
        return self if rows.all() else Graph(self.within[rows][:, rows], self.across[rows])


@dataclass(frozen=True, eq=False)
class GaussianGraphs:
    """The graphs of rows X (n, d) for any width, of which some rows are `known`; neighbours are searched once.

    n_neighbors : None for dense graphs, else rows are joined of which one is among so many nearest of the other.

    Raises InvalidInput where there are not so many rows, or a dense graph would not fit into memory.
    """

    X: Rows
    known: Bool[np.ndarray, " n"]
    n_neighbors: int | None = None

    def __post_init__(self) -> None:
        if self.n_neighbors is not None:
            checks.integer("n_neighbors", self.n_neighbors, at_least=1, at_most=len(self.known) - 1)

    def split(self, gamma: float) -> Graph:
        """The part that a harmonic solution needs."""
        if self.n_neighbors is not None:
            rows = self.whole(gamma)[~self.known]
            return Graph(rows[:, ~self.known], rows[:, self.known])
        free, held = self.X[~self.known], self.X[self.known]
        check_fits(len(self.known), 2 * free.shape[0] * len(self.known))  # with the copy that is factored
        within = gaussian(free, None, gamma)
        np.fill_diagonal(within, 0.0)
        return Graph(within, gaussian(free, held, gamma))

    def labelled(self, gamma: float) -> Float[np.ndarray, "labelled labelled"]:
        """Affinities of the known rows among themselves, with a diagonal of 0."""
        if self.n_neighbors is None:
            return gaussian_graph(self.X[self.known], gamma)
        return self.whole(gamma)[self.known][:, self.known].toarray()

    def whole(self, gamma: float) -> Weights:
        """Affinities (n, n) of all rows, with a diagonal of 0."""
        if self.n_neighbors is None:
            return gaussian_graph(self.X, gamma)
        graph = self._near.copy()
        graph.data = decayed(graph.data, gamma)
        graph = graph.maximum(graph.T).tocsr()  # known one way at least
        graph.eliminate_zeros()
        return graph

    @cached_property
    def _near(self) -> sparse.csr_matrix:
        assert self.n_neighbors is not None
        return near_distances(self.X, self.n_neighbors)


def gaussian_graph(X: Rows, gamma: float) -> Float[np.ndarray, "n n"]:
    """Affinities exp(-gamma |x_i - x_j|²) of all rows X (n, d), with a diagonal of 0."""
    check_fits(X.shape[0], X.shape[0] ** 2)
    weights = gaussian(X, None, gamma)
    np.fill_diagonal(weights, 0.0)
    return weights


def gaussian(X: Rows, Z: Rows | None, gamma: float) -> Float[np.ndarray, "n m"]:
    """Affinities exp(-gamma |x - z|²) of rows X (n, d) to rows Z (m, d), or among themselves."""
    return decayed(squared_distances(X, Z), gamma)


def decayed(squares: np.ndarray, gamma: float) -> np.ndarray:
    """exp(-gamma squares), in place: 0 where that is too small for a number."""
    with np.errstate(over="ignore", under="ignore"):  # -inf gives an affinity of 0
        squares *= -gamma
        return np.exp(squares, out=squares)


def squared_distances(X: Rows, Z: Rows | None) -> Float[np.ndarray, "n m"]:
    """Squared distances of rows X (n, d) to rows Z (m, d), or among themselves.

    Sums of squares and products lose the digits of an offset that all rows share, so that it is taken off first; not
    from CSR rows, which would fill up.
    """
    if not sparse.issparse(X) and not sparse.issparse(Z):
        centre = (X if Z is None else Z).mean(axis=0)
        X, Z = X - centre, None if Z is None else Z - centre
    return euclidean_distances(X, Z, squared=True)


def check_size(X: Rows) -> None:
    """Refuse rows whose squared distances would overflow."""
    entries = X.data if sparse.issparse(X) else X
    largest = float(np.abs(entries).max(initial=0.0))
    if largest > LARGEST:
        raise InvalidInput(f"X must lie within {LARGEST:g} of 0, got a magnitude of {largest:.3g}. Scale X down.")


def near_distances(X: Rows, n_neighbors: int) -> sparse.csr_matrix:
    """Squared distances (n, n) of each row to its nearest ones."""
    near = NearestNeighbors(n_neighbors=n_neighbors).fit(X).kneighbors_graph(mode="distance")
    near.data **= 2
    return near


def row_sums(weights: Weights) -> Float[np.ndarray, " n"]:
    """Sums of the rows of dense or sparse affinities."""
    return np.asarray(weights.sum(axis=1)).ravel()


def check_fits(n_rows: int, numbers: int) -> None:
    """Refuse a dense graph that the free memory cannot hold."""
    needed, free = 8 * numbers, _free_memory()
    if free is not None and needed > free:
        raise InvalidInput(
            f"X has {n_rows} rows, and a dense graph of them needs {needed / 2**30:.1f} GiB of memory, of which "
            f"{free / 2**30:.1f} are free. Pass n_neighbors (for instance 10) for a sparse graph, or fewer rows."
        )


def _free_memory() -> int | None:
    """Bytes of memory that can be had without swapping; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        names = getattr(os, "sysconf_names", {})
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if "SC_PHYS_PAGES" in names else None
