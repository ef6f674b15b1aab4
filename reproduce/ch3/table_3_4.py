"""Table 3.4: certified robust errors of 1-NN under Euclidean and learned metrics."""

from __future__ import annotations

from typing import Any

import numpy as np

from reproduce import intervals
from reproduce.ch3.metrics import learned
from reproduce.claim import find
from reproduce.data import in_chunks, prepared, rows
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.neighbors import NearestNeighborVerifier

RADII = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
IMAGES = ("mnist", "fashion-mnist")


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a data set and metric; all test points where there are many more than the table takes."""
    pairs = [(data, metric) for data in options["data"] for metric in options["metrics"]]
    return [f"{data}.{metric}" for data, metric in pairs if not metric.endswith("-all") or data in IMAGES]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Error at each radius from the exact minimal perturbation of each test point."""
    data, _, metric = cell.partition(".")
    split = prepared(data, setting.seed)
    matrix = learned(metric, data, setting)
    verifier = NearestNeighborVerifier(metric=matrix, n_jobs=setting.n_jobs)
    verifier.fit(*rows(split, setting.options.get("rows")))
    points = None if metric.endswith("-all") else setting.options["points"]

    def bound(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return verifier.exact(x, y).lower

    bounds = in_chunks(setting, bound, split.x_test[:points], split.y_test[:points], size=250)
    radii = find("table-3.4")[0].axis.get(data, RADII)
    return intervals.errors(cell, radii, bounds, source=split.source)
