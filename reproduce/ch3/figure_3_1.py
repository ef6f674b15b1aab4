"""Figure 3.1: minimal perturbations of 1-NN in the plane."""

from __future__ import annotations

from typing import Any

import numpy as np

from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.neighbors import NaiveM, NearestNeighborVerifier

ONE_BISECTOR = ([[-1.0, 0.0], [1.0, 0.0]], [0, 1])
TWO_BISECTORS = ([[0.0, 1.0], [0.0, -1.0], [1.5, 0.0]], [0, 0, 1])
SCATTER = (
    [[-1.0, 0.2], [-0.2, 1.1], [0.1, -1.0], [-0.7, -0.9], [1.1, 0.5], [0.9, -0.7], [-1.5, 1.4]],
    [0, 0, 0, 0, 1, 1, 1],
)
EXAMPLES: dict[str, tuple[tuple[list[list[float]], list[int]], list[float]]] = {
    "a": (ONE_BISECTOR, [-0.5, -1.5]),
    "far": (ONE_BISECTOR, [-0.5, -6.0]),
    "b": (TWO_BISECTORS, [0.0, 0.0]),
    "c": (SCATTER, [-0.2, 0.1]),
}
"""Training points with their classes (0 circle, 1 triangle), and the point z of class 0."""


def cells(options: dict[str, Any]) -> list[str]:
    """A cell an example."""
    return list(EXAMPLES)


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Exact, naive and bounding sizes of one example, with its regions for the picture."""
    (points, labels), place = EXAMPLES[cell]
    verifier = NearestNeighborVerifier().fit(np.array(points), np.array(labels))
    z, y = np.array([place]), np.array([0])
    exact, naive = verifier.exact(z, y), verifier.attack(z, y, NaiveM(m=1))
    bound, size, along = float(verifier.lower_bound(z, y)[0]), float(exact.upper[0]), float(naive.distance[0])
    assert exact.perturbation is not None
    low, high = np.vstack([points, z]).min(0) - 0.5, np.vstack([points, z]).max(0) + 0.5
    n = setting.options["grid"]
    grid = np.stack(np.meshgrid(np.linspace(low[0], high[0], n), np.linspace(low[1], high[1], n)), axis=-1)
    codes = verifier.predict(grid.reshape(-1, 2))
    nearest = np.linalg.norm(grid.reshape(-1, 2)[codes == 1] - z, axis=1).min()
    picture = {
        "grid": ["".join(map(str, line)) for line in codes.reshape(n, n)],
        "extent": [low[0], high[0], low[1], high[1]],
        "points": points,
        "labels": labels,
        "arrows": {
            "exact": [place, (z + exact.perturbation)[0].round(6).tolist()],
            "naive": [place, naive.adversarial[0].round(6).tolist()],
        },
    }
    return [
        Measured(name=f"{cell}.exact", value=round(size, 6), conditions=picture),
        Measured(name=f"{cell}.naive", value=round(along, 6)),
        Measured(name=f"{cell}.ratio", value=round(along / size, 6)),
        Measured(name=f"{cell}.bound", value=round(bound, 6)),
        Measured(name=f"{cell}.grid", value=round(float(nearest), 6)),
    ]
