"""The compiled programme of a cell: the shortest step after which some rows are as near as others, lazily."""

from __future__ import annotations

import numpy as np
from numba import njit

from trustworthy.neighbors.qp_kernels import SOLVED, UNBOUNDED, active_set, boxed

REACHED, BEYOND, EMPTY = 0, 1, 2
_GROW = 6  # violated pairs that are added at once
_TOLERANCE = 1e-11  # of the largest height: by how much a row may miss its place
NO_PAIRS, NO_DUAL = np.empty((0, 2), np.int64), np.empty(0)


@njit(cache=True)
def _product(gram, pairs, count):
    """Inner products of the normals p_a - p_b of the pairs."""
    p = np.empty((count, count))
    for k in range(count):
        a, b = pairs[k, 0], pairs[k, 1]
        for n in range(k + 1):
            c, e = pairs[n, 0], pairs[n, 1]
            p[k, n] = (gram[a, c] - gram[a, e]) - (gram[b, c] - gram[b, e])
            p[n, k] = p[k, n]
    return p


@njit(cache=True)
def _value(p, offsets, dual):
    """The dual's objective, a lower bound of half the squared size whatever the dual >= 0 is."""
    total = 0.0
    for k in range(len(dual)):
        if dual[k] > 0.0:
            inner = 0.0
            for n in range(len(dual)):
                inner += p[k, n] * dual[n]
            total -= dual[k] * (0.5 * inner + offsets[k])
    return total


@njit(cache=True)
def _dual(p, offsets, dual):
    """Maximise the dual from `dual` on. Where it has no end, a ridge gives a finite one whose value proves as much."""
    count = len(offsets)
    _, status = active_set(p, offsets, dual, 1e-13, 50 * count + 100)
    if status != UNBOUNDED:
        return _value(p, offsets, dual), status
    ridged = p.copy()
    top = 0.0
    for k in range(count):
        top = max(top, p[k, k])
    for k in range(count):
        ridged[k, k] += 1e-10 * top
    dual[:] = 0.0
    active_set(ridged, offsets, dual, 1e-13, 50 * count + 100)
    return _value(p, offsets, dual), status


@njit(cache=True)
def _misses(scores, held, count, margin, top):
    """Whether some half-space is clearly left unsatisfied."""
    missing = False
    for k in range(count):
        missing = missing or scores[held[k, 0]] + margin - scores[held[k, 1]] > 1e-8 * top
    return missing


@njit(cache=True)
def solve(heights, gram, images, twins, inside, outside, pairs, dual, low, high, is_boxed, limit, margin):
    """The shortest step after which each row of `inside` is no farther than each of `outside`, by the dual of (3.17).

    inside : (k,) rows; outside : (m,) mask. pairs, dual : where to begin, of a programme with fewer rows.
    limit : a size at which the search ends; margin : by how much the rows inside must be nearer, in heights.

    Returns weights (m,), scores (m,) = half squared distances after the step up to a constant, the proved size, the
    status, and pairs and dual of the half-spaces that bind. BEYOND: the size is at least `limit`; EMPTY: no step is
    known that does it, and the size is a bound nevertheless, inf where it is certain.
    """
    m = len(heights)
    top = 0.0
    for a in inside:
        top = max(top, heights[a])
    weights = np.zeros(m)
    scores = heights.copy()
    for a in inside:
        for b in range(m):
            if outside[b] and b < a and twins[a] == twins[b]:
                return weights, scores, np.inf, EMPTY, pairs, dual
    if len(inside) == 0:
        return weights, scores, 0.0, REACHED, pairs, dual
    tolerance = _TOLERANCE * top
    capacity = 64 + len(pairs)
    held = np.empty((capacity, 2), np.int64)
    x = np.zeros(capacity)
    offsets = np.empty(capacity)
    normals = np.empty((capacity if is_boxed else 0, images.shape[1]))
    count = len(pairs)
    for k in range(count):
        held[k] = pairs[k]
        x[k] = dual[k]
    fresh = 0
    proved, value, ended = 0.0, 0.0, SOLVED
    missing = False
    status = REACHED
    for _ in range(1000):
        if count > 0:
            for k in range(fresh, count):
                offsets[k] = heights[held[k, 1]] - heights[held[k, 0]] - margin
                if is_boxed:
                    for c in range(images.shape[1]):
                        normals[k, c] = images[held[k, 0], c] - images[held[k, 1], c]
            fresh = count
            if is_boxed:
                for attempt in range(2):
                    step, value, ended = boxed(normals[:count], offsets[:count], low, high, x[:count], 1e-12, 300)
                    scores[:] = heights - images @ step
                    missing = _misses(scores, held, count, margin, top)
                    if not missing or attempt == 1 or np.sqrt(max(2.0 * value, 0.0)) >= limit:
                        break
                    x[:count] = 0.0  # stuck where it began; elsewhere it may get on
            else:
                value, ended = _dual(_product(gram, held, count), offsets[:count], x[:count])
            weights[:] = 0.0
            for k in range(count):
                weights[held[k, 0]] += x[k]
                weights[held[k, 1]] -= x[k]
            if not is_boxed:
                scores[:] = heights
                for r in range(m):
                    if weights[r] != 0.0:
                        for b in range(m):
                            scores[b] -= weights[r] * gram[r, b]
            proved = np.sqrt(max(2.0 * value, 0.0))
            if proved >= limit:
                break
            # In a box, the dual of an empty programme has no end either, but the solver just stops making progress.
            if (is_boxed and missing) or (not is_boxed and ended == UNBOUNDED):
                status = EMPTY
                break
        # Every violated row against the farthest row inside, the worst first.
        far = inside[0]
        for a in inside:
            if scores[a] > scores[far]:
                far = a
        worst = np.empty(_GROW, np.int64)
        found = 0
        for b in range(m):
            if not outside[b] or scores[b] - scores[far] - margin >= -tolerance or twins[b] == twins[far]:
                continue
            known = False
            for k in range(count):
                known = known or (held[k, 0] == far and held[k, 1] == b)
            if known:
                continue
            place = found if found < _GROW else _GROW - 1
            if found == _GROW and scores[worst[place]] <= scores[b]:
                continue
            found = min(found + 1, _GROW)
            while place > 0 and scores[worst[place - 1]] > scores[b]:
                worst[place] = worst[place - 1]
                place -= 1
            worst[place] = b
        if found == 0:
            break
        if count + found > capacity:
            capacity *= 2
            held, x, offsets = _wider(held, capacity), _longer(x, capacity), _longer(offsets, capacity)
            if is_boxed:
                normals = _wider(normals, capacity)
        for k in range(found):
            held[count, 0], held[count, 1] = far, worst[k]
            count += 1
    if proved >= limit:
        status = BEYOND
    binding = np.flatnonzero(x[:count] > 0.0)
    return weights, scores, proved, status, held[binding], x[binding]


@njit(cache=True)
def _wider(array, capacity):
    larger = np.empty((capacity, array.shape[1]), array.dtype)
    larger[: len(array)] = array
    return larger


@njit(cache=True)
def _longer(array, capacity):
    larger = np.zeros(capacity)
    larger[: len(array)] = array
    return larger


@njit(cache=True)
def favoured(scores, inside, outside, labels, code, n_neighbors):
    """The nearest rows, where a tie falls to the rows inside first, then to other classes, and last to rows outside."""
    slack = 1e-9 * np.abs(scores).max()
    keys = scores.copy()
    for r in range(len(keys)):
        if outside[r]:
            keys[r] += slack
        elif labels[r] != code:
            keys[r] -= slack
    for r in inside:
        keys[r] = scores[r] - 2.0 * slack
    return np.argsort(keys, kind="mergesort")[:n_neighbors]
