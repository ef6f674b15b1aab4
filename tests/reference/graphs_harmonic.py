"""Label propagation as it is written down: an inverse, fractions, and labels left out one by one."""

from fractions import Fraction

import numpy as np


def gaussian(X, gamma):
    return np.array([[np.exp(-gamma * np.sum((a - b) ** 2)) for b in X] for a in X])


def operator(X, known, gamma):
    """(D_uu - S_uu)⁻¹ S_ul with the diagonal of S kept, as the dissertation's code has it."""
    S = gaussian(X, gamma)
    D = np.diag(S.sum(axis=1))
    u, held = ~known, known
    return np.linalg.inv(D[np.ix_(u, u)] - S[np.ix_(u, u)]) @ S[np.ix_(u, held)]


def exact(within, across, values):
    """The harmonic values in fractions: no rounding but that of the affinities."""
    n = len(within)
    rows = []
    for i in range(n):
        weights = [Fraction(float(w)) for w in within[i]]
        weights[i] = Fraction(0)
        pulls = [Fraction(float(w)) for w in across[i]]
        row = [-w for w in weights]
        row[i] = sum(weights) + sum(pulls)
        row.append(sum(p * Fraction(float(v)) for p, v in zip(pulls, values, strict=True)))
        rows.append(row)
    for k in range(n):
        pivot = next(i for i in range(k, n) if rows[i][k] != 0)
        rows[k], rows[pivot] = rows[pivot], rows[k]
        for i in range(n):
            if i != k and rows[i][k] != 0:
                factor = rows[i][k] / rows[k][k]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    return np.array([float(rows[i][n] / rows[i][i]) for i in range(n)])


def left_out(X, known, values, gamma):
    """Prediction of each label from all others."""
    found = []
    for row in np.flatnonzero(known):
        others = known.copy()
        others[row] = False
        spread = operator(X, others, gamma) @ values[others[known]]
        found.append(spread[np.flatnonzero(~others) == row][0])
    return np.array(found)
