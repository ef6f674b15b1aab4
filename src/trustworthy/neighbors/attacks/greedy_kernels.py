"""The compiled parts of QP-greedy: clusters of rows, and the vote after a step.

`attacks.greedy` calls `cluster` and `voted` for each pivot; `attacks.line` calls `cluster` alone.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from trustworthy.neighbors.exact_kernels import filled, gap, holds, insert, places, within


@njit(cache=True)
def cluster(embedded, rows, pivot, count):
    """The `count` of the rows nearest to row `pivot`, which comes first: ties go to the lower row."""
    values, chosen = places(count)
    values[0], chosen[0] = -1.0, pivot
    for i in rows:
        if i != pivot:
            insert(values, chosen, gap(embedded[i], embedded[pivot]), i)
    return filled(chosen)


@njit(cache=True)
def voted(scene, first, classes, moved, length):
    """The class that the nearest rows vote for after a step of `length`; `first` are as many rows as vote, to begin."""
    coarse, error, labels, embedded = scene.coarse, scene.error, scene.labels, scene.embedded
    count = len(first)
    values, chosen = places(count)
    for i in first:
        insert(values, chosen, gap(embedded[i], moved), i)
    for i in range(len(coarse)):
        reach = (np.sqrt(values[count - 1]) + length) ** 2 * (1.0 + 1e-9) + error
        if coarse[i] > reach:
            continue
        value = within(embedded[i], moved, values[count - 1] * (1.0 + 1e-12))
        if value < np.inf and not holds(chosen, i):
            insert(values, chosen, value, i)
    votes = np.zeros(classes, np.int64)
    for k in range(count):
        votes[labels[chosen[k]]] += 1
    return np.argmax(votes)
