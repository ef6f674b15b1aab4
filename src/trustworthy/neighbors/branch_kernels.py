"""The compiled programme of a cell: the shortest step after which some rows are as near as others, lazily."""

from __future__ import annotations

import numpy as np
from numba import njit

from trustworthy.neighbors.exact_kernels import (
    dot,
    doubt,
    filled,
    holds_pair,
    insert,
    longer,
    places,
    plane,
    precision,
    proof,
    wider,
)
from trustworthy.neighbors.qp_kernels import UNBOUNDED, active_set, boxed

REACHED, BEYOND, EMPTY = 0, 1, 2
_GROW = 6  # violated pairs that are added at once
_TOLERANCE = 1e-11  # of the largest distance: by how far a step may miss the plane between two rows
_HEAVY = 1e4  # weights, in units of the distance over the spread of the rows, that spoil sums of inner products
_LENGTH, _OFFSET, _TILT, _DOUBT = 0, 1, 2, 3  # of a half-space: columns of `sides`
NO_PAIRS, NO_DUAL = np.empty((0, 2), np.int64), np.empty(0)


@njit(cache=True)
def _plane(images, far, home, blurs, a, b, normal, side):
    """Half-space after which row a is no farther than row b: normal of length 1 and offset, and what these may miss.

    The offset is the difference of the rows times their midpoint, so that no two large numbers cancel. Nothing is
    written where the rows are equal; returns whether they differ.
    """
    for c in range(len(normal)):
        normal[c] = images[a, c] - images[b, c]
    total = dot(normal, normal)
    if total <= 0.0:
        return False
    length = np.sqrt(total)
    for c in range(len(normal)):
        normal[c] /= length
    offset, apart, away = 0.0, 0.0, 0.0
    for c in range(len(home)):
        difference, before, after = far[b, c] - far[a, c], far[a, c] - home[c], far[b, c] - home[c]
        offset += difference * (0.5 * (before + after))
        apart += difference * difference
        away += before * before
    unit = precision(len(normal))
    side[_LENGTH], side[_OFFSET] = length, offset / length
    side[_TILT] = unit + blurs[2] / length
    side[_DOUBT] = doubt(np.sqrt(apart), np.sqrt(away), unit, blurs) / length
    return True


@njit(cache=True)
def _dual(p, offsets, dual):
    """Maximise the dual from `dual` on; returns whether it has no end.

    Where it has none, a ridge gives a finite one whose value proves as much.
    """
    count = len(offsets)
    _, status = active_set(p, offsets, dual, 1e-13, 50 * count + 100)
    if status == UNBOUNDED:
        ridged = p.copy()
        for k in range(count):
            ridged[k, k] += 1e-10
        dual[:] = 0.0
        active_set(ridged, offsets, dual, 1e-13, 50 * count + 100)
    return status == UNBOUNDED


@njit(cache=True)
def _boxed_dual(normals, offsets, low, high, dual, reach, limit):
    """Maximise the dual in a box from `dual` on; returns whether some half-space is clearly left unsatisfied."""
    for attempt in range(2):
        move, value, _ = boxed(normals, offsets, low, high, dual)
        if (normals @ move + offsets).min() >= -1e-8 * reach:
            return False
        if attempt == 1 or np.sqrt(max(2.0 * value, 0.0)) >= limit:
            break
        dual[:] = 0.0  # stuck where it began; elsewhere it may get on
    return True


@njit(cache=True)
def _scores(heights, gram, shifted, held, sides, x, move, direct):
    """Half the squared distances after the step, up to a constant: by few inner products, or by the step itself."""
    if direct:
        return heights - shifted @ move
    scores = heights.copy()
    weights = np.zeros(len(heights))
    for k in range(len(x)):
        weights[held[k, 0]] += x[k] / sides[k, _LENGTH]
        weights[held[k, 1]] -= x[k] / sides[k, _LENGTH]
    for r in range(len(heights)):
        if weights[r] != 0.0:
            for b in range(len(heights)):
                scores[b] -= weights[r] * gram[r, b]
    return scores


@njit(cache=True)
def _violated(scores, images, far, home, blurs, twins, inside, outside, held, move, margin, reach, zone):
    """The pairs (k, 2) of a row inside and one outside that the step misses the most, at most `_GROW` of them.

    Each row is looked at against the farthest row inside. Where their scores differ by no more than the zone, so
    that rounding might decide, the planes of all rows inside are looked at themselves.
    """
    last = inside[0]
    for a in inside:
        if scores[a] > scores[last]:
            last = a
    values, worst = places(_GROW)
    against = np.empty(len(scores), np.int64)
    normal, side = np.empty(images.shape[1]), np.empty(4)
    for b in range(len(scores)):
        ahead = scores[b] - scores[last] - margin
        if not outside[b] or ahead > zone:
            continue
        row = last
        if ahead >= -zone:
            row, least = -1, -_TOLERANCE * reach
            for a in inside:
                if twins[a] == twins[b] or scores[b] - scores[a] - margin > zone:
                    continue
                if _plane(images, far, home, blurs, a, b, normal, side):
                    slack = normal @ move + side[_OFFSET] - margin / side[_LENGTH]
                    if slack < least and not holds_pair(held, a, b):
                        row, least = a, slack
        if row < 0 or holds_pair(held, row, b):
            continue
        against[b] = row
        insert(values, worst, scores[b], b)
    rows = filled(worst)
    pairs = np.empty((len(rows), 2), np.int64)
    for k in range(len(rows)):
        pairs[k, 0], pairs[k, 1] = against[rows[k]], rows[k]
    return pairs


@njit(cache=True)
def solve(
    heights, base, gram, shifted, images, far, home, blurs, twins, inside, outside, pairs, dual, low, high,
    is_boxed, limit, margin,
):  # fmt: skip
    """The shortest step after which each row of `inside` is no farther than each of `outside`, by the dual of (3.17).

    The first arrays are those of an `Arena`. inside : (k,) rows; outside : (m,) mask. pairs, dual : where to begin, of
    a programme with fewer rows. limit : a size at which the search ends; margin : by how much the rows inside must be
    nearer, in heights.

    Returns the step (d,), scores (m,) = half squared distances after the step up to a constant, the proved size, the
    status, and pairs and dual of the half-spaces that bind. BEYOND: the size is at least `limit`; EMPTY: no step is
    known that does it, and the size is a bound nevertheless, inf where it is certain.
    """
    m, d = images.shape
    move, scores = np.zeros(d), heights.copy()
    for a in inside:
        for b in range(m):
            if outside[b] and b < a and twins[a] == twins[b]:
                return move, scores, np.inf, EMPTY, pairs, dual
    if len(inside) == 0:
        return move, scores, 0.0, REACHED, pairs, dual
    spread = 0.0
    for r in range(m):
        spread = max(spread, gram[r, r])
    spread = np.sqrt(spread)
    reach = np.sqrt(2.0 * max(base + heights[inside].max(), 0.0))
    zone = 2.0 * _TOLERANCE * reach * spread
    capacity = 24 + len(pairs)
    held, x = np.empty((capacity, 2), np.int64), np.zeros(capacity)
    normals, sides, p = np.empty((capacity, d)), np.empty((capacity, 4)), np.empty((capacity, capacity))
    count, proved, status = 0, 0.0, REACHED
    fresh, given = pairs, dual
    for _ in range(1000):
        if count > 0 or len(fresh) == 0:
            fresh = _violated(
                scores, images, far, home, blurs, twins, inside, outside, held[:count], move, margin, reach, zone
            )
            given = np.zeros(len(fresh))
            if len(fresh) == 0:
                break
        if count + len(fresh) > capacity:
            capacity = 2 * capacity + len(fresh)
            normals, sides = wider(normals, capacity, d), wider(sides, capacity, sides.shape[1])
            held, p, x = wider(held, capacity, held.shape[1]), wider(p, capacity, capacity), longer(x, capacity)
        before = count
        for k in range(len(fresh)):
            if _plane(images, far, home, blurs, fresh[k, 0], fresh[k, 1], normals[count], sides[count]):
                held[count, 0], held[count, 1] = fresh[k, 0], fresh[k, 1]
                sides[count, _OFFSET] -= margin / sides[count, _LENGTH]
                x[count] = given[k] * sides[count, _LENGTH]
                count += 1
        if count == before:
            break
        offsets = sides[:count, _OFFSET].copy()
        if is_boxed:
            missing = _boxed_dual(normals[:count], offsets, low, high, x[:count], reach, limit)
        else:
            block = normals[before:count] @ normals[:count].T
            for a in range(before, count):
                for b in range(count):
                    p[a, b] = block[a - before, b]
                    if b < before:
                        p[b, a] = block[a - before, b]
            missing = _dual(p[:count, :count].copy(), offsets, x[:count])
        normal, need, tilt = plane(
            normals[:count], offsets, sides[:count, _TILT].copy(), sides[:count, _DOUBT].copy(), x[:count]
        )
        move, least = proof(normal, need, tilt, low, high, is_boxed)
        heavy = (x[:count] / sides[:count, _LENGTH]).sum() * spread > _HEAVY * reach
        scores = _scores(heights, gram, shifted, held, sides, x[:count], move, is_boxed or heavy)
        proved = max(proved, least)
        if proved >= limit:
            break
        # In a box, the dual of an empty programme has no end either, but the solver just stops making progress.
        if missing:
            status = EMPTY
            break
    if proved >= limit:
        status = BEYOND
    binding = np.flatnonzero(x[:count] > 0.0)
    return move, scores, proved, status, held[binding], x[binding] / sides[binding, _LENGTH]


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
    values, nearest = places(min(n_neighbors, len(keys)))
    for r in range(len(keys)):
        insert(values, nearest, keys[r], r)
    return nearest
