"""Figure 3.4: programmes that screening (3.16) leaves to Algorithm 5, over the points that screen each of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from reproduce import intervals
from reproduce.ch3.nearest import fitted, sample
from reproduce.claim import find
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.neighbors import project_halfspaces

NEAREST = 200
"""Rows of the own class that constrain a programme at first."""


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a data set."""
    return list(options["data"])


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Mean number of programmes solved, for each number of screening points, in order of distance and without."""
    verifier, split = fitted(cell, setting)
    x, y = sample(verifier, split, setting.options["points"])
    counts = [int(n) for n in find("figure-3.4")[0].axis[cell]]
    squares = (split.x_train**2).sum(1)
    left: dict[int, list[int]] = {n: [] for n in counts}
    for k, (z, label) in enumerate(zip(x, y, strict=True)):
        programmes = Programmes(split.x_train, squares, split.y_train == label, z)
        for n in counts:
            left[n].append(programmes.solved(n))
        setting.tell((k + 1) / len(x))
    total = float(np.mean([(split.y_train != label).sum() for label in y]))
    return [intervals.mean(f"{cell}.left@{n}", np.array(found, float), programmes=total) for n, found in left.items()]


class Programmes:
    """The programmes of one point: rows of other classes by distance, rows of its own class by distance."""

    def __init__(self, rows: np.ndarray, squares: np.ndarray, own: np.ndarray, z: np.ndarray) -> None:
        distances = squares - 2 * (rows @ z) + z @ z
        order = np.argsort(distances, kind="stable")
        self.near, self.far = order[own[order]], order[~own[order]]
        self.rows, self.squares, self.distances = rows, squares, distances
        self.sizes: dict[int, float] = {}

    def bounds(self, n: int) -> np.ndarray:
        """Largest distance to the bisectors with the n nearest rows of the own class (3.16), for each programme."""
        near = self.near[:n]
        products = self.rows[self.far] @ self.rows[near].T
        apart = np.sqrt(np.maximum(self.squares[self.far][:, None] + self.squares[near] - 2 * products, 1e-12))
        return ((self.distances[self.far][:, None] - self.distances[near]) / (2 * apart)).max(1)

    def solved(self, n: int) -> int:
        """Programmes whose bound is below the least optimum before them."""
        best, count = np.inf, 0
        for j, bound in zip(self.far, self.bounds(n), strict=True):
            if bound < best:
                best, count = min(best, self.size(int(j))), count + 1
        return count

    def size(self, j: int) -> float:
        """Optimum of programme j, solved once: the nearest rows constrain first, then those that are violated."""
        if j not in self.sizes:
            normals = self.rows[j].astype(np.float64) - self.rows[self.near]
            offsets = (self.distances[self.near] - self.distances[j]).astype(np.float64) / 2
            used = np.arange(len(offsets)) < NEAREST
            while True:
                delta = project_halfspaces(normals[used], offsets[used]).delta
                broken = (normals @ delta + offsets < -1e-7) & ~used
                if not broken.any():
                    break
                used |= broken
            self.sizes[j] = float(np.linalg.norm(delta))
        return self.sizes[j]
