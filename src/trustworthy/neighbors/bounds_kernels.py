"""The compiled lower bound of K nearest neighbours: an s-th smallest of s-th largest bisector distances.

`bounds.lower_bounds` calls `bound` once a query: a `Scene` and the rows of both sides come in, one length goes out.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from trustworthy.neighbors.exact_kernels import few, gap, gaps, holds, insert, places, precision, within

_POOL = 64  # nearest own rows that are tried on every candidate before all of them are
_FIRST = 24  # nearest other rows, beside s of them, whose values make the first bound on the rest


@njit(cache=True)
def _keep(largest, value):
    """Put a value into a list of the largest ones, sorted from the largest."""
    place = len(largest) - 1
    if value <= largest[place]:
        return
    while place > 0 and largest[place - 1] < value:
        largest[place] = largest[place - 1]
        place -= 1
    largest[place] = value


@njit(cache=True)
def ahead_of_squares(squared_j, squared_i, unit, blurs):
    """What the squared distance of row j exceeds that of row i, less all that rounding may have added."""
    blur = blurs[0] + blurs[1]  # of a distance
    blurred = 0.0 if blur == 0.0 else blur * (2.0 * (np.sqrt(squared_j) + np.sqrt(squared_i)) + blur)
    return squared_j * (1.0 - unit) - squared_i * (1.0 + unit) - blurred


@njit(cache=True)
def _bisector(squared_j, squared_i, between_images, unit, blurs):
    """Eq. (3.19) as a distance: how far the plane between two rows is from the query, never too much."""
    ahead = ahead_of_squares(squared_j, squared_i, unit, blurs)
    if ahead <= 0.0 or between_images <= 0.0:
        return 0.0
    return ahead / (2.0 * (np.sqrt(between_images) * (1.0 + unit) + blurs[2]))


@njit(cache=True)
def _value(scene, j, best, pool, squared_pool, rest, largest):
    """The s-th largest bisector distance between row j and own rows; any number >= best where it is not below.

    rest : own rows that count beside the pool; without them it is never too much.
    """
    coarse, error, _, embedded, images, point, _, _, blurs, _, _, _ = scene
    s = len(largest)
    largest[:] = 0.0
    squared_j, unit = gap(embedded[j], point), precision(max(images.shape[1], len(point)))
    for k in range(len(pool)):
        if squared_pool[k] < squared_j:
            apart = gap(images[j], images[pool[k]])
            _keep(largest, _bisector(squared_j, squared_pool[k], apart, unit, blurs))
            if largest[s - 1] >= best:
                return largest[s - 1]
    # A row beats the s-th largest so far only where its image is near that of j.
    widened = 1.0 + 2.0 * unit  # rounding of the sums of squares
    for i in rest:
        ahead = squared_j - max(coarse[i] - error, 0.0)
        if ahead <= 0.0:
            continue
        least = 2.0 * largest[s - 1]
        limit = np.inf if least <= 0.0 else ahead * ahead / (least * least) * widened
        if within(images[j], images[i], limit) == np.inf:
            continue
        if not holds(pool, i):
            apart = gap(images[j], images[i])
            _keep(largest, _bisector(squared_j, gap(embedded[i], point), apart, unit, blurs))
            if largest[s - 1] >= best:
                return largest[s - 1]
    return largest[s - 1]


@njit(cache=True)
def bound(scene, own, others, s, n_same):
    """The s-th smallest over other rows of the s-th largest over own rows of the bisector distance: (3.18), (3.46).

    A row whose distance is at least d_s + 2 stretch b, where d_s is the s-th own distance, has a value of at least b.
    The values over a pool of near own rows, which are never larger than those over all, say which rows to look at first
    and when to stop.
    """
    coarse, error, _, embedded, images, point, _, stretch, blurs, _, _, _ = scene
    pool = few(coarse, own, n_same if n_same else max(_POOL, s))
    rest = own[: 0 if n_same else len(own)]
    squared_pool = gaps(embedded, pool, point)
    unit = precision(max(images.shape[1], len(point)))
    nearest, rank = places(s)
    for k in range(len(pool)):
        insert(nearest, rank, squared_pool[k], k)
    reach = np.sqrt(nearest[s - 1]) * (1.0 + unit) + 2.0 * (blurs[0] + blurs[1])
    largest = np.empty(s)
    smallest = np.full(s, -np.inf)  # negated, so that the same list serves
    best = np.inf
    rows = few(coarse, others, _FIRST + s)
    last = coarse[rows[-1]] if len(rows) else np.float32(0.0)
    for phase in range(2):
        if phase == 1:
            limit = (reach + 2.0 * stretch * best) ** 2 + error
            seen = rows
            kept = np.empty(len(others), np.bool_)
            for k in range(len(others)):
                j = others[k]
                kept[k] = last <= coarse[j] <= limit and (coarse[j] > last or not holds(seen, j))
            rows = others[kept]
        values = np.empty(len(rows))
        for k in range(len(rows)):
            values[k] = _value(scene, rows[k], best, pool, squared_pool, own[:0], largest)
        for k in np.argsort(values):
            if values[k] >= best:
                break
            value = _value(scene, rows[k], best, pool, squared_pool, rest, largest)
            if value < best:
                _keep(smallest, -value)
                best = -smallest[s - 1]
    return best
