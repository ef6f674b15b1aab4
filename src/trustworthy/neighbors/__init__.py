"""Exact, certified and attacked nearest neighbours (chapter 3). NumPy, SciPy and numba; no torch."""

from trustworthy.neighbors.qp import (
    Projection,
    Solution,
    active_set,
    greedy_coordinate_ascent,
    project_halfspaces,
    screened,
)

__all__ = ["Projection", "Solution", "active_set", "greedy_coordinate_ascent", "project_halfspaces", "screened"]
