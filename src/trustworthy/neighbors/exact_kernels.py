"""The compiled search for the smallest perturbation that changes a nearest neighbour."""

from __future__ import annotations

import numpy as np
from numba import njit

from trustworthy.neighbors.qp_kernels import STOPPED, active_set, boxed

_BOUNDING = 8  # own rows whose bisectors bound a subproblem before it is solved, n_scr of Figure 3.4
_POOL = 64  # nearest own rows that constraints are taken from before all are looked at
_FIRST = 6  # constraints that a subproblem begins with
_SAFE = 1e-12  # relative: what is taken as rounding of a slack
_GROW = 6  # violated constraints that are added at once


@njit(cache=True)
def precision(dimension):
    """By how much rounding may change an inner product at most, relative to the lengths of its vectors.

    Twice the bound of any order of summation, so that a few roundings more need no thought.
    """
    return np.finfo(np.float64).eps * (16.0 + dimension)


@njit(cache=True, fastmath={"reassoc", "contract"})
def gap(row, point):
    """Squared distance of a row to a point, in double precision."""
    total = 0.0
    for c in range(len(point)):
        difference = np.float64(row[c]) - point[c]
        total += difference * difference
    return total


@njit(cache=True, fastmath={"reassoc", "contract"})
def between(row, other):
    """Squared distance of two rows, in double precision."""
    total = 0.0
    for c in range(len(row)):
        difference = np.float64(row[c]) - np.float64(other[c])
        total += difference * difference
    return total


@njit(cache=True, fastmath={"reassoc", "contract"})
def ahead(row, other, point):
    """Half of what the squared distance of a point to `other` exceeds that to `row`; no difference of squares.

    Nor is there a sum of two places, so that rows far from the origin lose no digits. `doubt` bounds the rounding.
    """
    total = 0.0
    for c in range(len(point)):
        a, b = np.float64(row[c]), np.float64(other[c])
        total += (a - b) * ((point[c] - a) + (point[c] - b))
    return 0.5 * total


@njit(cache=True)
def doubt(apart, away, unit, blurs):
    """By how much `ahead` may be wrong, from the distance of the two rows and that of one of them to the point.

    unit : `precision`; blurs : those of `Geometry.blurs`.
    """
    reach = 2.0 * away + apart  # at least the sum of the distances of both rows
    return unit * apart * reach + blurs[0] * reach + (blurs[0] + blurs[1]) * (apart + 2.0 * blurs[0])


@njit(cache=True)
def plane(normals, offsets, tilts, doubts, dual):
    """The sum of half-spaces times multipliers >= 0, whatever these are.

    tilts, doubts : by how much a normal, in l2, and an offset may be wrong. Returns normal, need and tilt: every step d
    that keeps the true half-spaces has normal . d + tilt |d| >= need, with |d| in l2.
    """
    count, d = normals.shape
    unit = precision(d + count)
    normal, need, tilt, mass, weight = np.zeros(d), 0.0, 0.0, 0.0, 0.0
    for a in range(count):
        if dual[a] > 0.0:
            for c in range(d):
                normal[c] += dual[a] * normals[a, c]
            need -= dual[a] * offsets[a]
            mass += dual[a] * (unit * abs(offsets[a]) + doubts[a])
            weight += dual[a] * np.sqrt(dot(normals[a], normals[a]))
            tilt += dual[a] * tilts[a]
    return normal, need - mass * (1.0 + unit), (tilt + unit * weight) * (1.0 + unit)


@njit(cache=True)
def proof(normal, need, tilt, low, high, is_boxed):
    """Length in l2 that no step in the box with normal . step + tilt |step| >= need undercuts; and the step next to it.

    Without a box, the distance of the plane. Within one, the multipliers behind the plane as they are: half the square
    of a step d is at least |d|^2 / 2 - normal . d - tilt |d| + need, which is least near the clipped normal.
    """
    length, unit = np.sqrt(dot(normal, normal)), precision(len(normal))
    if not is_boxed:
        return normal, max(need, 0.0) / max(length + tilt, 1e-300) * (1.0 - unit)
    step = np.minimum(np.maximum(normal, low), high)
    size = np.sqrt(dot(step, step))
    value = need + 0.5 * size * size - dot(normal, step) - tilt * (size + tilt)
    value -= unit * (size * size + dot(np.abs(normal), np.abs(step)))
    return step, np.sqrt(2.0 * max(value, 0.0)) * (1.0 - unit)


@njit(cache=True)
def gaps(embedded, rows, point):
    """Squared distances of some rows to a point."""
    squared = np.empty(len(rows))
    for k in range(len(rows)):
        squared[k] = gap(embedded[rows[k]], point)
    return squared


@njit(cache=True, fastmath={"reassoc", "contract"})
def mapped(rows, root):
    """Each row times the root: a product whose rounding does not depend on which rows come along."""
    out = np.empty((len(rows), len(root)))
    for first in range(0, len(rows), 64):  # tiles that stay in the cache
        for start in range(0, len(root), 16):
            for r in range(first, min(first + 64, len(rows))):
                for k in range(start, min(start + 16, len(root))):
                    out[r, k] = dot(rows[r], root[k])
    return out


@njit(cache=True, fastmath={"reassoc", "contract"})
def dot(a, b):
    total = 0.0
    for c in range(len(a)):
        total += a[c] * b[c]
    return total


@njit(cache=True)
def _nearest_of(coarse, rows, count):
    """The `count` of the rows with the least coarse distances, in their order."""
    values = coarse[rows]
    if len(rows) > count:
        limit = np.partition(values, count - 1)[count - 1]
        rows = rows[values <= limit]
        values = coarse[rows]
    return rows[np.argsort(values)[:count]]


@njit(cache=True)
def _candidates(coarse, error, labels, code, reach):
    """Rows of other classes that may lie within `reach`, the nearest first."""
    limit = reach * reach + error
    count = 0
    for j in range(len(coarse)):
        if coarse[j] <= limit and labels[j] != code:
            count += 1
    rows = np.empty(count, np.int64)
    count = 0
    for j in range(len(coarse)):
        if coarse[j] <= limit and labels[j] != code:
            rows[count] = j
            count += 1
    return rows[np.argsort(coarse[rows])]


@njit(cache=True)
def _grown(array):
    larger = np.empty((2 * array.shape[0], *array.shape[1:]), array.dtype)
    larger[: array.shape[0]] = array
    return larger


@njit(cache=True)
def solve(j, best, pool, own, coarse, error, embedded, images, point, root, blurs, low, high, is_boxed):
    """The shortest step after which row j is no farther than any row of `own`, unless it is longer than `best`.

    Returns the step, its proved length, whether it is feasible, the own rows at (nearly) the same distance, and the
    need and the tilt of the `plane` with the step as normal, if there is no box.
    """
    d = images.shape[1]
    plain = root.shape[0] == 0
    squared_j = gap(embedded[j], point)
    away, unit = np.sqrt(squared_j), precision(max(d, len(point)))
    floor, need, tilt = 0.0, 0.0, 0.0
    capacity = 64
    normals = np.empty((capacity, d))
    offsets, tilts, doubts = np.empty(capacity), np.empty(capacity), np.empty(capacity)
    gram = np.empty((capacity, capacity))
    held = np.empty(capacity, np.int64)
    dual = np.zeros(capacity)
    count = 0
    waiting = pool[: min(_FIRST, len(pool))].copy()
    step = np.zeros(d)
    proved = 0.0
    touching = np.empty(0, np.int64)
    for _ in range(10_000):
        for i in waiting:
            if count == capacity:
                normals, offsets, held, dual = _grown(normals), _grown(offsets), _grown(held), _grown(dual)
                tilts, doubts = _grown(tilts), _grown(doubts)
                dual[capacity:] = 0.0
                wider = np.empty((2 * capacity, 2 * capacity))
                wider[:count, :count] = gram[:count, :count]
                gram = wider
                capacity *= 2
            # Half-spaces with normals of length 1: nearly equal rows would drown among others.
            length = np.sqrt(between(images[j], images[i]))
            apart = length if plain else np.sqrt(between(embedded[j], embedded[i]))
            scale = 1.0 / length if length > 0.0 else 0.0
            for c in range(d):
                normals[count, c] = scale * (np.float64(images[j, c]) - np.float64(images[i, c]))
            offsets[count] = scale * ahead(embedded[j], embedded[i], point)
            tilts[count], doubts[count] = unit + scale * blurs[2], scale * doubt(apart, away, unit, blurs)
            held[count] = i
            for a in range(count + 1):
                gram[count, a] = dot(normals[count], normals[a])
                gram[a, count] = gram[count, a]
            # No less than the nearest plane proves by itself.
            floor = max(floor, (-offsets[count] - doubts[count]) / (1.0 + tilts[count]) * (1.0 - unit))
            count += 1
        if is_boxed:
            _, _, status = boxed(normals[:count], offsets[:count], low, high, dual[:count], 1e-12, 300)
            if status == STOPPED:  # the last solution can be a bad place to begin
                dual[:count] = 0.0
                boxed(normals[:count], offsets[:count], low, high, dual[:count], 1e-12, 300)
        else:
            active_set(
                np.ascontiguousarray(gram[:count, :count]), offsets[:count], dual[:count], 1e-13, 50 * count + 100
            )
        normal, need, tilt = plane(normals[:count], offsets[:count], tilts, doubts, dual)
        step, proved = proof(normal, need, tilt, low, high, is_boxed)
        proved = max(proved, floor)
        if proved >= best:
            return step, proved, False, touching, need, tilt
        moved = point + step if plain else point + root @ step
        target = gap(embedded[j], moved)
        length = np.sqrt(gap(moved, point))
        reach = (np.sqrt(target) + length) * (1 + 1e-9)
        shortfalls = np.empty(_GROW)
        worst = np.empty(_GROW, np.int64)
        found = 0
        # The pool first; all own rows that can be as near as row j after the step, once the pool is content.
        for whole in range(2):
            rows = own if whole else pool
            near = np.empty(len(rows), np.int64)
            close = 0
            for i in rows:
                if whole and coarse[i] > reach * reach + error:
                    continue
                slack = ahead(embedded[j], embedded[i], moved)
                if slack < 1e-7 * squared_j:
                    near[close] = i
                    close += 1
                if slack < 0.0 and slack < -_SAFE * away * np.sqrt(between(embedded[j], embedded[i])):
                    known = False
                    for a in range(count):
                        known = known or held[a] == i
                    if known:
                        continue
                    if found < _GROW:
                        place = found
                        found += 1
                    elif slack < shortfalls[found - 1]:
                        place = found - 1
                    else:
                        continue
                    while place > 0 and shortfalls[place - 1] > slack:
                        shortfalls[place], worst[place] = shortfalls[place - 1], worst[place - 1]
                        place -= 1
                    shortfalls[place], worst[place] = slack, i
            touching = near[:close].copy()
            if found:
                break
        waiting = worst[:found].copy()
        if found == 0:
            return step, proved, True, touching, need, tilt
    return step, proved, False, touching, need, tilt


@njit(cache=True)
def certify(coarse, error, labels, own, code, embedded, images, point, root, stretch, blurs, low, high, is_boxed):
    """Smallest step that changes the class of the nearest row: (step, proved length, row, touching rows).

    Subproblems go by distance and are left out where a bisector (3.16), or the distance alone, proves them longer than
    the best so far. What decides is in double precision, and what is proved is less by all that it may have rounded.
    """
    plain, unit, blur = root.shape[0] == 0, precision(max(images.shape[1], len(point))), blurs[0] + blurs[1]
    pool = _nearest_of(coarse, own, _POOL)
    first = np.inf
    squared_pool = np.empty(len(pool))
    for k in range(len(pool)):
        squared_pool[k] = gap(embedded[pool[k]], point)
        first = min(first, squared_pool[k])
    nearest_own = np.sqrt(first) * (1.0 + unit) + 2.0 * blur
    seed, least = -1, np.float32(np.inf)
    for j in range(len(coarse)):
        if coarse[j] < least and labels[j] != code:
            seed, least = j, coarse[j]
    best, lower, winner = np.inf, np.inf, -1
    best_step = np.zeros(images.shape[1])
    touching = np.empty(0, np.int64)
    rows = np.array([seed])
    for phase in range(2):
        if phase == 1:
            rows = _candidates(coarse, error, labels, code, nearest_own + 2.0 * stretch * best)
        for j in rows:
            if phase == 1 and j == seed:
                continue
            squared_j = gap(embedded[j], point)
            away = np.sqrt(squared_j)
            if away * (1.0 - unit) - nearest_own >= 2.0 * stretch * best:
                continue
            bounded = False
            for k in range(min(_BOUNDING, len(pool))):
                if squared_j > squared_pool[k]:
                    i = pool[k]
                    need = -ahead(embedded[j], embedded[i], point)
                    if need > 0.0:
                        length = np.sqrt(between(images[j], images[i]))
                        apart = length if plain else np.sqrt(between(embedded[j], embedded[i]))
                        if need - doubt(apart, away, unit, blurs) >= best * (length * (1.0 + unit) + blurs[2]):
                            bounded = True
                            break
            if bounded:
                continue
            step, proved, feasible, near, _, _ = solve(
                j, best, pool, own, coarse, error, embedded, images, point, root, blurs, low, high, is_boxed
            )
            if proved < best:
                lower = min(lower, proved)
            if feasible:
                size = max(np.sqrt(dot(step, step)), proved)
                if size < best:
                    best, winner, touching = size, j, near
                    best_step[:] = step
    return best_step, min(lower, best), winner, touching
