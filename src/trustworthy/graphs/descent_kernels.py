"""A step of conjugate gradients for many right sides, each number read twice.

`solvers._descend` calls it after each product of the affinities with the directions.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def descend(
    degree: np.ndarray,
    fold: np.ndarray,
    of: np.ndarray,
    product: np.ndarray,
    direction: np.ndarray,
    found: np.ndarray,
    residual: np.ndarray,
    size: np.ndarray,
) -> np.ndarray:
    """Step along the directions to the smallest energy of (D - S) f = b, with D as preconditioner, in place.

    degree : (n,) the diagonal of D, > 0.
    fold, of : (n,) and (k,) a row with a fold of at least 0 is free in the columns of that fold alone, else 0.
    product : (n, k) S times the directions; overwritten.
    direction, found, residual : (n, k), changed in place.
    size : (k,) residualᵀ D⁻¹ residual, none of them 0; the new ones are returned.
    """
    rows, columns = direction.shape
    curvature, left = np.zeros(columns), np.zeros(columns)
    for i in range(rows):
        for j in range(columns):
            free = fold[i] < 0 or fold[i] == of[j]
            product[i, j] = degree[i] * direction[i, j] - product[i, j] if free else 0.0
            curvature[j] += direction[i, j] * product[i, j]
    pace = size / curvature
    for i in range(rows):
        for j in range(columns):
            found[i, j] += pace[j] * direction[i, j]
            residual[i, j] -= pace[j] * product[i, j]
            left[j] += residual[i, j] * (residual[i, j] / degree[i])
    turn = left / size
    for i in range(rows):
        for j in range(columns):
            direction[i, j] = residual[i, j] / degree[i] + turn[j] * direction[i, j]
    return left
