"""Elimination without a subtraction, exact to rounding however far apart the affinities are.

`solvers._elimination` takes out blocks of 128 rows with it: affinities and right sides of a block go in, its solution
comes out in place of the right sides.
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
