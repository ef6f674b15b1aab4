"""The compiled lower bound of K nearest neighbours: an s-th smallest of s-th largest bisector distances.

`bounds.lower_bounds` calls `bound` once a query: a `Scene` and the rows of both sides come in, one length goes out.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from trustworthy.neighbors.exact_kernels import between, few, gap, gaps, precision

_POOL = 64  # nearest own rows that are tried on every candidate before all of them are
_FIRST = 24  # nearest other rows, beside s of them, whose values make the first bound on the rest
_CHUNK = 112  # coordinates of a distance that are added up between two looks at the limit


@njit(cache=True, fastmath={"reassoc", "contract"})
def _roughly(row, other):
    """Squared distance of two rows in the rows' own precision."""
    total = row[0] - row[0]  # a zero of that precision
    for c in range(len(row)):
        difference = row[c] - other[c]
        total += difference * difference
    return np.float64(total)


@njit(cache=True)
def _within(row, other, limit):
    """As `_roughly`, or inf as soon as the distance is seen to be beyond the limit."""
    total = 0.0
    for start in range(0, len(row), _CHUNK):
        total += _roughly(row[start : start + _CHUNK], other[start : start + _CHUNK])
        if total > limit:
            return np.inf
    return total


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
def _at_least(scene, j, best, pool, squared_pool, largest):
    """The s-th largest bisector distance between row j and the pool, from distances in the rows' own precision.

    Never too much; stops at `best`.
    """
    _, _, _, embedded, images, point, _, _, blurs, _, _, _ = scene
    s = len(largest)
    largest[:] = 0.0
    squared_j, unit = gap(embedded[j], point), precision(max(images.shape[1], len(point)))
    # The rounding of a sum of n squares is below (n + 4) units of the precision.
    widened = 1.0 + (images.shape[1] + 4) * np.finfo(images.dtype).eps
    for k in range(len(pool)):
        if squared_pool[k] < squared_j:
            apart = _roughly(images[j], images[pool[k]]) * widened
            _keep(largest, _bisector(squared_j, squared_pool[k], apart, unit, blurs))
            if largest[s - 1] >= best:
                break
    return largest[s - 1]


@njit(cache=True)
def _exactly(scene, j, best, pool, squared_pool, own, largest, whole):
    """The s-th largest bisector distance between row j and own rows; any number >= best where it is not below."""
    coarse, error, _, embedded, images, point, _, _, blurs, _, _, _ = scene
    s = len(largest)
    largest[:] = 0.0
    squared_j, unit = gap(embedded[j], point), precision(max(images.shape[1], len(point)))
    for k in range(len(pool)):
        if squared_pool[k] < squared_j:
            apart = between(images[j], images[pool[k]])
            _keep(largest, _bisector(squared_j, squared_pool[k], apart, unit, blurs))
            if largest[s - 1] >= best:
                return largest[s - 1]
    if not whole:
        return largest[s - 1]
    # A row beats the s-th largest so far only where its image is near that of j.
    widened = 1.0 + (images.shape[1] + 4) * np.finfo(images.dtype).eps
    for i in own:
        ahead = squared_j - max(coarse[i] - error, 0.0)
        if ahead <= 0.0:
            continue
        least = 2.0 * largest[s - 1]
        limit = np.inf if least <= 0.0 else ahead * ahead / (least * least) * widened
        if _within(images[j], images[i], limit) == np.inf:
            continue
        if not np.any(pool == i):
            apart = between(images[j], images[i])
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
    whole = n_same == 0
    pool = few(coarse, own, max(_POOL, s) if whole else n_same)
    squared_pool = gaps(embedded, pool, point)
    unit = precision(max(images.shape[1], len(point)))
    reach = np.sqrt(np.partition(squared_pool, s - 1)[s - 1]) * (1.0 + unit) + 2.0 * (blurs[0] + blurs[1])
    largest = np.empty(s)
    smallest = np.full(s, -np.inf)  # negated, so that the same list serves
    best = np.inf
    rows = few(coarse, others, _FIRST + s)
    last = coarse[rows[-1]] if len(rows) else np.float32(0.0)
    for phase in range(2):
        if phase == 1:
            limit = (reach + 2.0 * stretch * best) ** 2 + error
            seen = rows
            rows = others[(coarse[others] >= last) & (coarse[others] <= limit)]
            rows = rows[np.array([coarse[j] > last or not np.any(seen == j) for j in rows], np.bool_)]
        values = np.empty(len(rows))
        for k in range(len(rows)):
            values[k] = _at_least(scene, rows[k], best, pool, squared_pool, largest)
        for k in np.argsort(values):
            if values[k] >= best:
                break
            value = _exactly(scene, rows[k], best, pool, squared_pool, own, largest, whole)
            if value < best:
                _keep(smallest, -value)
                best = -smallest[s - 1]
    return best
