"""The compiled vote of the nearest rows.

`Geometry.votes` calls `votes` with the coarse distances of a block of queries; class codes (m,) go out.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from trustworthy.neighbors.exact_kernels import few, gap, insert, places


@njit(cache=True)
def vote(coarse, error, everyone, labels, classes, embedded, point, n_neighbors):
    """The class that the nearest rows vote for: ties of distance to the lower row, of the vote to the smaller class."""
    limit = coarse[few(coarse, everyone, n_neighbors)[-1]] + 2.0 * error
    squared, nearest = places(min(n_neighbors, len(coarse)))
    for i in everyone:
        if coarse[i] <= limit:
            insert(squared, nearest, gap(embedded[i], point), i)
    votes = np.zeros(classes, np.int64)
    for i in nearest:
        votes[labels[i]] += 1
    return np.argmax(votes)


@njit(cache=True)
def votes(coarse, error, labels, embedded, points, n_neighbors):
    """The vote for each of several queries."""
    everyone, classes = np.arange(len(labels)), labels.max() + 1
    found = np.empty(len(points), np.int64)
    for k in range(len(points)):
        found[k] = vote(coarse[k], error[k], everyone, labels, classes, embedded, points[k], n_neighbors)
    return found
