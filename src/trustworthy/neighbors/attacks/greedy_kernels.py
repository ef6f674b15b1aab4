"""The compiled parts of QP-greedy: programme (3.17) of one cluster, and the vote after a step.

`attacks.greedy` calls `cluster`, `solve` and `voted` for each pivot, with the `Scene` of its query; `attacks.line`
calls `cluster` alone.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from trustworthy.neighbors.exact_kernels import carried, dot, filled, gap, holds, insert, longer, places, wider, within
from trustworthy.neighbors.qp_kernels import SOLVED, active_set, boxed

_GROW = 8  # violated constraints that are added at once
_MARGIN = 1e-9  # relative to a squared distance: by how much a cluster has to be nearer, so that no tie is left


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


@njit(cache=True)
def solve(scene, inner, outer, pool, whole, best):
    """The shortest step after which every row of `inner` is nearer than every row of `outer`: (step, feasible).

    inner : J. outer : (n,) which rows must be farther; pool : the nearest of them, looked at first.
    whole : whether rows beyond the pool count. Given up, as not feasible, once the dual proves it no shorter than
    `best`. Constraints are those that were violated.
    """
    coarse, error, _, embedded, images, point, _, _, _, low, high, is_boxed = scene
    d = images.shape[1]
    capacity = 64
    normals, offsets = np.zeros((capacity, d)), np.zeros(capacity)
    gram, dual = np.zeros((capacity, capacity)), np.zeros(capacity)
    nearer, farther = np.zeros(capacity, np.int64), np.zeros(capacity, np.int64)
    count = 0
    step = np.zeros(d)
    scale = 0.0
    for j in inner:
        scale = max(scale, gap(embedded[j], point))
    moved = point.copy()
    for _ in range(10_000):
        last, target = -1, -1.0
        for j in inner:
            squared = gap(embedded[j], moved)
            if squared > target:
                last, target = j, squared
        # The rows that are the most nearer than the farthest of J: of the pool, and of all once the pool is content.
        values, worst = places(_GROW)
        limit = target + 0.5 * _MARGIN * scale
        length = np.sqrt(gap(moved, point))
        for i in pool:
            squared = within(embedded[i], moved, limit)
            if squared < limit:
                insert(values, worst, squared, i)
        if worst[0] < 0 and whole:
            reach = (np.sqrt(target) + length) ** 2 * (1.0 + 1e-9) + error
            for i in range(len(coarse)):
                if outer[i] and coarse[i] <= reach:
                    squared = within(embedded[i], moved, limit)
                    if squared < limit:
                        insert(values, worst, squared, i)
                        limit = min(limit, values[_GROW - 1])  # inf until the list is full
        added = 0
        for i in filled(worst):
            if np.any((nearer[:count] == last) & (farther[:count] == i)):
                continue
            if count == capacity:
                capacity *= 2
                normals, gram = wider(normals, capacity, d), wider(gram, capacity, capacity)
                offsets, dual = longer(offsets, capacity), longer(dual, capacity)
                nearer, farther = longer(nearer, capacity), longer(farther, capacity)
            for c in range(d):
                normals[count, c] = images[last, c] - images[i, c]
            offsets[count] = (gap(embedded[i], point) - gap(embedded[last], point) - _MARGIN * scale) / 2
            nearer[count], farther[count] = last, i
            for a in range(count + 1):
                gram[count, a] = dot(normals[count], normals[a])
                gram[a, count] = gram[count, a]
            count += 1
            added += 1
        if added == 0:
            return step, True
        if is_boxed:
            step, value, status = boxed(normals[:count], offsets[:count], low, high, dual[:count])
        else:
            _, status = active_set(
                np.ascontiguousarray(gram[:count, :count]), offsets[:count], dual[:count], 1e-13, 50 * count + 100
            )
            step[:] = 0.0
            value = 0.0
            for a in range(count):
                if dual[a] > 0.0:
                    value -= dual[a] * offsets[a]
                    for c in range(d):
                        step[c] += dual[a] * normals[a, c]
            value -= 0.5 * dot(step, step)
        if np.sqrt(max(2.0 * value, 0.0)) >= best or (status != SOLVED and not is_boxed):
            return step, False
        moved = carried(scene, step)
    return step, False
