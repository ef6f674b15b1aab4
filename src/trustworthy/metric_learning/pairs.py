"""Random pairs of rows of the same class and of different classes.

`ITML` calls `distance_bounds` for its bounds and `random_pairs` for the pairs that they bind: codes or rows come in,
two numbers or pairs of row numbers (pairs, 2) go out.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

_TRIES = 20  # rounds of draws after which the pairs that were found must do


def random_pairs(
    codes: Int[np.ndarray, " n"], count: int, *, same: bool, rng: np.random.RandomState
) -> Int[np.ndarray, "pairs 2"]:
    """At most `count` different unordered pairs of the same class, or of two classes, drawn uniformly.

    Where that many do not exist, or are so rare that draws miss them, there are fewer.
    """
    n = len(codes)
    if n * (n - 1) // 2 <= 20 * count:  # few rows: draw from the list of all pairs
        first, second = np.triu_indices(n, 1)  # (n (n - 1) / 2,) each
        fit = np.flatnonzero((codes[first] == codes[second]) == same)
        kept = rng.permutation(fit)[:count]
        return np.stack([first[kept], second[kept]], axis=1)
    found = np.empty((0, 2), np.int64)
    for _ in range(_TRIES):
        drawn = np.sort(rng.randint(0, n, (4 * count, 2)), axis=1)  # (4 count, 2)
        fit = (drawn[:, 0] != drawn[:, 1]) & ((codes[drawn[:, 0]] == codes[drawn[:, 1]]) == same)
        found = np.unique(np.vstack([found, drawn[fit]]), axis=0)
        if len(found) >= count:
            break
    return found[rng.permutation(len(found))[:count]]


def distance_bounds(
    rows: Float[np.ndarray, "n d"], percentiles: tuple[float, float], rng: np.random.RandomState, *, draws: int = 10_000
) -> tuple[float, float]:
    """Percentiles of the squared Euclidean distances of random pairs of different rows."""
    first = rng.randint(0, len(rows), draws)
    second = (first + rng.randint(1, len(rows), draws)) % len(rows)
    gaps = rows[first] - rows[second]  # (draws, d)
    low, high = np.percentile(np.einsum("ij,ij->i", gaps, gaps), percentiles)
    return float(low), float(high)
