"""The compiled loops of the solvers: elimination without a subtraction, and a step of conjugate gradients.

`solvers._elimination` takes out blocks of 128 rows by `eliminate`; `solvers._descend` calls `descend` after each
product of the affinities with the directions.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def eliminate(weights: np.ndarray, pull: np.ndarray, attached: np.ndarray) -> None:
    """Solve the harmonic problem by turning stars into meshes (Grassmann, Taksar and Heyman, 1985), in place.

    weights : (n, n) affinities, not negative, diagonal ignored.
    pull : (n, k) affinities to labelled nodes times their values; on return the solution.
    attached : (n,) sums of the affinities to labelled nodes.
    """
    n, columns = pull.shape
    total = np.empty(n)
    for k in range(n - 1, -1, -1):
        total[k] = attached[k]
        for j in range(k):
            total[k] += weights[k, j]
        for i in range(k):
            share = weights[i, k] / total[k]
            if share > 0.0:
                for j in range(k):
                    weights[i, j] += share * weights[k, j]
                for c in range(columns):
                    pull[i, c] += share * pull[k, c]
                attached[i] += share * attached[k]
    for k in range(n):
        for c in range(columns):
            value = pull[k, c]
            for j in range(k):
                value += weights[k, j] * pull[j, c]
            pull[k, c] = value / total[k]


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
