"""The compiled parts of the linear programmes: bounds by one plane, rows that are violated, and a dual simplex.

`linear_program` calls `candidates` and `nearer` with the `Scene` of a query; `dual_simplex.ShortestVector` calls
`least`, `append` and `dual_simplex` with its dictionary, which they change in place.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from trustworthy.neighbors.bounds_kernels import ahead_of_squares
from trustworthy.neighbors.exact_kernels import filled, gap, gaps, insert, places, precision

SOLVED, EMPTY, STOPPED = 0, 1, 2
_NEGATIVE = -1e-11  # a variable of the scaled programme below this is not yet feasible
_PIVOT = 1e-9  # relative to the largest entry of its row: what is too small to divide by


@njit(cache=True, fastmath={"reassoc", "contract"})
def dual_norm(row, other, linf):
    """Length of the difference of two rows in the dual norm: l1 for perturbations in linf, linf for those in l1."""
    total = 0.0
    if linf:
        for c in range(len(row)):
            total += abs(row[c] - other[c])
    else:
        for c in range(len(row)):
            total = max(total, abs(row[c] - other[c]))
    return total


@njit(cache=True)
def candidates(scene, others, pool, reach, best, linf):
    """Rows of other classes that no bisector with a row of the pool proves beyond `best`, with these bounds.

    reach : how far in l2 a perturbation of size `best` can carry the query under the metric.
    """
    coarse, error, _, embedded, images, point, _, _, blurs, _, _, _ = scene
    d = images.shape[1]
    unit, wider = precision(max(d, len(point))), np.sqrt(d) if linf else 1.0  # of l1 or linf, over l2
    squared_pool = gaps(embedded, pool, point)
    nearest_own = np.sqrt(squared_pool.min())
    limit = ((nearest_own + 2.0 * reach) * (1.0 + unit) + 2.0 * (blurs[0] + blurs[1])) ** 2 + error
    rows = np.empty(len(others), np.int64)
    bounds = np.empty(len(others))
    count = 0
    for j in others:
        if coarse[j] > limit:
            continue
        squared_j = gap(embedded[j], point)
        bound = 0.0
        for k in range(len(pool)):
            ahead = ahead_of_squares(squared_j, squared_pool[k], unit, blurs)
            if ahead <= 0.0:
                continue
            length = dual_norm(images[j], images[pool[k]], linf) * (1.0 + unit) + blurs[2] * wider
            bound = max(bound, ahead / (2.0 * length))
            if bound >= best:
                break
        if bound < best:
            rows[count], bounds[count] = j, bound
            count += 1
    return rows[:count], bounds[:count]


@njit(cache=True)
def least(normal, need, low, high, linf, tilt):
    """Size of the smallest d with normal . d >= need and low <= d <= high (0 inside); inf where there is none.

    tilt : by how much each entry of the normal may be wrong; the size is that of the normal that makes it smallest.
    What is left to do is kept too small, and what the coordinates left can do too large, by more than the rounding.
    """
    if need <= 0.0:
        return 0.0
    d, unit = len(normal), precision(len(normal))
    weight = np.abs(normal) + tilt
    room = np.empty(d)
    for c in range(d):
        room[c] = high[c] if normal[c] > 0.0 else -low[c]
        if abs(normal[c]) <= tilt:
            room[c] = max(high[c], -low[c])
    left = need * (1.0 - unit)
    if linf:
        # The size s gives sum of weight * min(s, room): linear between two rooms.
        slope = weight.sum() * (1.0 + unit)
        for c in np.argsort(room):
            if weight[c] == 0.0:
                continue
            if slope * room[c] >= left:
                return left / slope
            left -= weight[c] * room[c]
            slope -= weight[c]
        return np.inf
    size = 0.0
    for c in np.argsort(-weight):
        if weight[c] == 0.0:
            return np.inf
        if weight[c] * room[c] >= left:
            return size + left / weight[c]
        left -= weight[c] * room[c]
        size += room[c]
    return np.inf


@njit(cache=True)
def nearer(scene, rows, moved, target, length, tolerance, grow):
    """Of the rows, the `grow` that are nearest to `moved` by more than `tolerance` than `target`, and all that touch.

    target : squared distance that the others must not undercut. length : how far the query was moved.
    """
    coarse, embedded = scene.coarse, scene.embedded
    reach = ((np.sqrt(target) + length) * (1.0 + 1e-9)) ** 2 + scene.error
    shortfall, worst = places(grow)
    near = np.empty(len(rows), np.int64)
    close = 0
    for i in rows:
        if coarse[i] > reach:
            continue
        slack = gap(embedded[i], moved) - target
        if slack < 1e3 * tolerance:
            near[close] = i
            close += 1
        if slack < -tolerance:
            insert(shortfall, worst, slack, i)
    return filled(worst), near[:close].copy()


@njit(cache=True)
def append(table, basic, place, count, row, right):
    """Add row . x >= right to the dictionary: its slack becomes basic variable number `count`."""
    width = table.shape[1] - 1
    table[count, :] = 0.0
    table[count, width] = -right
    for i in range(width):
        if row[i] != 0.0:
            if place[i] >= 0:
                table[count, place[i]] += row[i]
            else:
                for c in range(width + 1):
                    table[count, c] += row[i] * table[-place[i] - 1, c]
    basic[count] = width + count
    place[width + count] = -count - 1


@njit(cache=True)
def _pivot(table, cost, r, j, count):
    """Exchange basic variable r and non-basic variable j."""
    entry, width = table[r, j], len(cost)
    for c in range(width):
        table[r, c] /= -entry
    table[r, j] = 1.0 / entry
    for a in range(count):
        factor = table[a, j]
        if a != r and factor != 0.0:
            table[a, j] = 0.0
            for c in range(width):
                table[a, c] += factor * table[r, c]
    factor = cost[j]
    if factor != 0.0:
        cost[j] = 0.0
        for c in range(width):
            cost[c] += factor * table[r, c]


@njit(cache=True)
def dual_simplex(table, cost, basic, others, place, count, max_pivots):
    """Pivot until every basic variable is >= 0, from costs >= 0 on. Returns the status.

    Row r says basic[r] = table[r, :-1] . others + table[r, -1], and `cost` the same of the objective.
    """
    width = table.shape[1] - 1
    for _ in range(max_pivots):
        leaving, worst = -1, 0.0
        for r in range(count):
            value = table[r, width]
            if value < _NEGATIVE:
                length = 1e-300
                for c in range(width):
                    length += table[r, c] * table[r, c]
                if value * value > worst * length:
                    leaving, worst = r, value * value / length
        if leaving < 0:
            return SOLVED
        largest = 0.0
        for c in range(width):
            largest = max(largest, table[leaving, c])
        if largest <= 1e-13:
            return EMPTY
        ratio = np.inf
        for c in range(width):
            if table[leaving, c] > _PIVOT * largest:
                ratio = min(ratio, max(cost[c], 0.0) / table[leaving, c])
        entering, entry = -1, 0.0
        for c in range(width):
            # Of ratios that are as good as equal, the largest entry: ties are the rule where data are whole numbers.
            if table[leaving, c] > max(entry, _PIVOT * largest) and cost[c] <= (ratio + 1e-13) * table[leaving, c]:
                entering, entry = c, table[leaving, c]
        _pivot(table, cost, leaving, entering, count)
        for c in range(width):
            cost[c] = max(cost[c], 0.0)
        out, new = basic[leaving], others[entering]
        basic[leaving], others[entering] = new, out
        place[new], place[out] = -leaving - 1, entering
    return STOPPED
