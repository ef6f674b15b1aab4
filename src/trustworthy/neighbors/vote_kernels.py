"""The compiled vote of the nearest rows."""

from __future__ import annotations

import numpy as np
from numba import njit

from trustworthy.neighbors.exact_kernels import gap


@njit(cache=True)
def few(coarse, rows, count):
    """The `count` of the rows with the least coarse distances, nearest first: one pass and a short sorted list."""
    count = min(count, len(rows))
    values = np.full(count, np.float32(np.inf), np.float32)
    chosen = np.empty(count, np.int64)
    held = 0
    for i in rows:
        value = coarse[i]
        if held == count and value >= values[count - 1]:
            continue
        place = held if held < count else count - 1
        held = min(held + 1, count)
        while place > 0 and values[place - 1] > value:
            values[place], chosen[place] = values[place - 1], chosen[place - 1]
            place -= 1
        values[place], chosen[place] = value, i
    return chosen


@njit(cache=True)
def vote(coarse, error, everyone, labels, classes, embedded, point, n_neighbors):
    """The class that the nearest rows vote for: ties of distance to the lower row, of the vote to the smaller class."""
    limit = coarse[few(coarse, everyone, n_neighbors)[-1]] + 2.0 * error
    count = 0
    for i in range(len(coarse)):
        count += coarse[i] <= limit
    rows = np.empty(count, np.int64)
    squared = np.empty(count)
    count = 0
    for i in range(len(coarse)):
        if coarse[i] <= limit:
            rows[count], squared[count] = i, gap(embedded[i], point)
            count += 1
    votes = np.zeros(classes, np.int64)
    # A stable sort keeps the order of the rows among equal distances.
    for k in np.argsort(squared, kind="mergesort")[: min(n_neighbors, count)]:
        votes[labels[rows[k]]] += 1
    return np.argmax(votes)


@njit(cache=True)
def votes(coarse, error, labels, embedded, points, n_neighbors):
    """The vote for each of several queries."""
    everyone, classes = np.arange(len(labels)), labels.max() + 1
    found = np.empty(len(points), np.int64)
    for k in range(len(points)):
        found[k] = vote(coarse[k], error[k], everyone, labels, classes, embedded, points[k], n_neighbors)
    return found
