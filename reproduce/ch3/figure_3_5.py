"""Figure 3.5: time of QP solvers on the programmes of the exact method, from the benchmark of the solvers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from reproduce.data import prepared
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.neighbors import active_set, greedy_coordinate_ascent

OURS: dict[str, Callable[[np.ndarray, np.ndarray], Any]] = {
    "active_set": active_set,
    "greedy_coordinate_ascent": greedy_coordinate_ascent,
}


def cells(options: dict[str, Any]) -> list[str]:
    """One cell, so that all solvers are timed in one run."""
    return list(options["data"])


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Milliseconds a programme of each solver; without the peers' packages, of ours alone."""
    return list(_peers() if cell == "mnist" else _ours(cell))


def _peers() -> Iterator[Measured]:
    from benchmarks.neighbors import solvers

    for record in solvers():
        name = record.name.rpartition(".")[2]
        yield Measured(name=f"mnist.{name}", value=record.value, unit=record.unit, conditions=record.conditions)


def _ours(data: str) -> Iterator[Measured]:
    """One programme: the first test row, the nearest row of another class against its own class."""
    split = prepared(data)
    x, z, own = split.x_train, split.x_test[0], split.y_train == split.y_test[0]
    distances = ((z - x) ** 2).sum(1)
    j = np.flatnonzero(~own)[distances[~own].argmin()]
    normals, offsets = x[j] - x[own], (distances[own] - distances[j]) / 2
    for name, solve in OURS.items():
        solve(normals @ normals.T, offsets)
        began = time.perf_counter()
        solve(normals @ normals.T, offsets)
        yield Measured(name=f"{data}.{name}", value=1e3 * (time.perf_counter() - began), unit="ms")
