"""Figure 3.6: regions of 1-NN in the plane under learned metrics."""

from __future__ import annotations

from typing import Any

import numpy as np

from reproduce.ch3.metrics import LEARNERS, matrix
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.neighbors import NearestNeighborVerifier

POINTS = np.array([[-1.2, 0.9], [-0.4, 0.6], [0.5, 0.8], [1.3, 0.5], [-0.9, -0.5], [0.1, -0.4], [1.0, -0.7]])
LABELS = np.array([1, 1, 1, 1, 0, 0, 0])
"""Four triangles (1) above three squares (0): what tells them apart is the height alone."""
SMALL = {"lmnn": {"n_neighbors": 2}, "lfda": {"n_neighbors": 2}}


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a metric."""
    return list(options["metrics"])


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Mean exact minimal perturbation of the points, and the regions for the picture."""
    learned = None if cell not in LEARNERS else matrix(cell, POINTS, LABELS, setting.seed, **SMALL.get(cell, {}))
    verifier = NearestNeighborVerifier(metric=learned).fit(POINTS, LABELS)
    found = verifier.exact(POINTS, LABELS)
    n, low, high = setting.options["grid"], POINTS.min(0) - 0.5, POINTS.max(0) + 0.5
    grid = np.stack(np.meshgrid(np.linspace(low[0], high[0], n), np.linspace(low[1], high[1], n)), axis=-1)
    picture = {
        "grid": ["".join(map(str, line)) for line in verifier.predict(grid.reshape(-1, 2)).reshape(n, n)],
        "extent": [low[0], high[0], low[1], high[1]],
        "points": POINTS.tolist(),
        "labels": LABELS.tolist(),
        "metric": None if learned is None else learned.round(6).tolist(),
    }
    return [Measured(name=f"{cell}.size", value=round(float(found.upper.mean()), 6), conditions=picture)]
