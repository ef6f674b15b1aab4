"""Exact, certified and attacked nearest neighbours (chapter 3). NumPy, SciPy and numba; no torch."""

from trustworthy.core.certificate import Certificate
from trustworthy.neighbors.attacks import (
    ATTACKS,
    CellDescent,
    Mean,
    NaiveM,
    NeighborAttack,
    QPGreedy,
    QPTopM,
    Substitute,
)
from trustworthy.neighbors.qp import (
    Projection,
    Solution,
    active_set,
    greedy_coordinate_ascent,
    project_halfspaces,
    screened,
)
from trustworthy.neighbors.verifier import NearestNeighborVerifier

__all__ = [
    "ATTACKS",
    "CellDescent",
    "Certificate",
    "Mean",
    "NaiveM",
    "NearestNeighborVerifier",
    "NeighborAttack",
    "Projection",
    "QPGreedy",
    "QPTopM",
    "Solution",
    "Substitute",
    "active_set",
    "greedy_coordinate_ascent",
    "project_halfspaces",
    "screened",
]
