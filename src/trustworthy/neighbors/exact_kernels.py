"""The compiled search for the smallest perturbation that changes a nearest neighbour.

`exact.exact_one` calls `certify`, and `linear_program` and `attacks.top` call `solve`, with the `Scene` of a query;
`Geometry` calls `votes`.
What all kernels share is here too: distances, what rounding may do to them, proofs by a plane, and short sorted
lists.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from trustworthy.neighbors.qp_kernels import SOLVED, STOPPED, active_set, boxed

_BOUNDING = 8  # own rows whose bisectors bound a subproblem before it is solved, n_scr of Figure 3.4
_POOL = 64  # nearest own rows that constraints are taken from before all are looked at
_FIRST = 6  # constraints that a subproblem begins with
_SAFE = 1e-12  # relative: what is taken as rounding of a slack
_GROW = 6  # violated constraints that are added at once
_CHUNK = 112  # coordinates of a distance that are added up between two looks at the limit


@njit(cache=True)
def precision(dimension):
    """By how much rounding may change an inner product at most, relative to the lengths of its vectors.

    Twice the bound of any order of summation, so that a few roundings more need no thought.
    """
    return np.finfo(np.float64).eps * (16.0 + dimension)


@njit(cache=True, fastmath={"reassoc", "contract"})
def gap(row, point):
    """Squared distance of a row to a point, which may be another row."""
    total = 0.0
    for c in range(len(point)):
        difference = row[c] - point[c]
        total += difference * difference
    return total


@njit(cache=True, fastmath={"reassoc", "contract"})
def within(row, point, limit):
    """Squared distance of a row to a point, or inf as soon as it is seen to be beyond the limit."""
    total = 0.0
    for start in range(0, len(point), _CHUNK):
        for c in range(start, min(start + _CHUNK, len(point))):
            difference = row[c] - point[c]
            total += difference * difference
        if total > limit:
            return np.inf
    return total


@njit(cache=True, fastmath={"reassoc", "contract"})
def ahead(row, other, point):
    """Half of what the squared distance of a point to `other` exceeds that to `row`; no difference of squares.

    Nor is there a sum of two places, so that rows far from the origin lose no digits. `doubt` bounds the rounding.
    """
    total = 0.0
    for c in range(len(point)):
        a, b = row[c], other[c]
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
def places(count):
    """An empty list of `count` places for `insert`: values (count,) and rows (count,), which are -1 where it ends."""
    return np.full(count, np.inf), np.full(count, -1)


@njit(cache=True)
def insert(values, rows, value, row):
    """Put a row into a list sorted by value, then by row, unless it comes after the last place."""
    place = len(values) - 1
    if value > values[place] or (value == values[place] and row > rows[place]):
        return
    while place > 0 and (values[place - 1] > value or (values[place - 1] == value and rows[place - 1] > row)):
        values[place], rows[place] = values[place - 1], rows[place - 1]
        place -= 1
    values[place], rows[place] = value, row


@njit(cache=True)
def filled(rows):
    """The rows of a list of `places`, without those at its end that nothing was put into."""
    count = len(rows)
    while count > 0 and rows[count - 1] < 0:
        count -= 1
    return rows[:count]


@njit(cache=True)
def few(coarse, rows, count):
    """The `count` of the rows with the least coarse distances, nearest first: one pass and a short sorted list."""
    values, chosen = places(min(count, len(rows)))
    for i in rows if len(chosen) else chosen:
        insert(values, chosen, np.float64(coarse[i]), i)
    return chosen


@njit(cache=True)
def holds(rows, row):
    """Whether a row is among some."""
    for other in rows:  # noqa: SIM110 - np.any of a comparison takes numba a second more for each caller
        if other == row:
            return True
    return False


@njit(cache=True)
def holds_pair(pairs, a, b):
    """Whether a pair is among some (k, 2)."""
    for pair in pairs:  # noqa: SIM110 - as above
        if pair[0] == a and pair[1] == b:
            return True
    return False


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


@njit(cache=True)
def longer(array, capacity):
    """The array with zeros at its end; entry by entry, since numba compiles messages for an assignment of slices."""
    larger = np.zeros(capacity, array.dtype)
    for a in range(len(array)):
        larger[a] = array[a]
    return larger


@njit(cache=True)
def wider(array, rows, columns):
    larger = np.zeros((rows, columns), array.dtype)
    for a in range(array.shape[0]):
        for b in range(array.shape[1]):
            larger[a, b] = array[a, b]
    return larger


@njit(cache=True)
def parted(scene, j, i):
    """How far the images of two rows are apart, and how far the rows."""
    length = np.sqrt(gap(scene.images[j], scene.images[i]))
    return length, length if len(scene.root) == 0 else np.sqrt(gap(scene.embedded[j], scene.embedded[i]))


@njit(cache=True)
def carried(scene, step):
    """The embedded place (rank,) of the query after a step (d,)."""
    return scene.point + step if len(scene.root) == 0 else scene.point + scene.root @ step


@njit(cache=True)
def farthest(embedded, rows, point):
    """The row that is farthest from a point, the first of equal ones, and its squared distance."""
    last, squared = rows[0], gap(embedded[rows[0]], point)
    for j in rows[1:]:
        here = gap(embedded[j], point)
        if here > squared:
            last, squared = j, here
    return last, squared


@njit(cache=True)
def solve(scene, inner, best, pool, rows, margin):
    """The shortest step after which no row of `inner` is farther than any of `rows`, unless it is longer than `best`.

    pool : rows that are looked at before `rows`, and count as well. margin : by how much the squared distances of the
    rows of `inner` must be less.

    Returns the step, its proved length, whether it is feasible, the rows at (nearly) the same distance, and the need
    and the tilt of the `plane` with the step as normal, if there is no box.
    """
    coarse, error, _, embedded, images, point, _, _, blurs, low, high, is_boxed = scene
    d = images.shape[1]
    last, scale = farthest(embedded, inner, point)
    unit = precision(max(d, len(point)))
    floor, need, tilt = 0.0, 0.0, 0.0
    capacity = 64
    normals = np.empty((capacity, d))
    offsets, tilts, doubts = np.empty(capacity), np.empty(capacity), np.empty(capacity)
    gram = np.empty((capacity, capacity))
    held = np.empty((capacity, 2), np.int64)
    dual = np.zeros(capacity)
    count = 0
    waiting = pool[: min(_FIRST, len(pool))].copy()
    step = np.zeros(d)
    proved = 0.0
    touching = np.empty(0, np.int64)
    for _ in range(10_000):
        away = np.sqrt(gap(embedded[last], point))
        for i in waiting:
            if count == capacity:
                capacity *= 2
                normals, gram, held = (
                    wider(normals, capacity, d),
                    wider(gram, capacity, capacity),
                    wider(held, capacity, 2),
                )
                offsets, tilts, doubts = longer(offsets, capacity), longer(tilts, capacity), longer(doubts, capacity)
                dual = longer(dual, capacity)
            # Half-spaces with normals of length 1: nearly equal rows would drown among others.
            length, apart = parted(scene, last, i)
            share = 1.0 / length if length > 0.0 else 0.0
            for c in range(d):
                normals[count, c] = share * (images[last, c] - images[i, c])
            offsets[count] = share * (ahead(embedded[last], embedded[i], point) - 0.5 * margin)
            tilts[count], doubts[count] = unit + share * blurs[2], share * doubt(apart, away, unit, blurs)
            held[count, 0], held[count, 1] = last, i
            for a in range(count + 1):
                gram[count, a] = dot(normals[count], normals[a])
                gram[a, count] = gram[count, a]
            # No less than the nearest plane proves by itself.
            floor = max(floor, (-offsets[count] - doubts[count]) / (1.0 + tilts[count]) * (1.0 - unit))
            count += 1
        if is_boxed:
            _, _, status = boxed(normals[:count], offsets[:count], low, high, dual[:count])
            if status == STOPPED:  # the last solution can be a bad place to begin
                dual[:count] = 0.0
                boxed(normals[:count], offsets[:count], low, high, dual[:count])
        else:
            _, status = active_set(
                np.ascontiguousarray(gram[:count, :count]), offsets[:count], dual[:count], 1e-13, 50 * count + 100
            )
            if status != SOLVED and len(inner) > 1:  # one row can always be reached, whatever the solver says
                return step, proved, False, touching, need, tilt
        normal, need, tilt = plane(normals[:count], offsets[:count], tilts, doubts, dual)
        step, proved = proof(normal, need, tilt, low, high, is_boxed)
        proved = max(proved, floor)
        if proved >= best:
            return step, proved, False, touching, need, tilt
        moved = carried(scene, step)
        last, target = farthest(embedded, inner, moved)
        away = np.sqrt(gap(embedded[last], point))
        length = np.sqrt(gap(moved, point))
        reach = (np.sqrt(target) + length) * (1 + 1e-9)
        close_by = 1e-7 * scale  # beside `last`, in half squared distances
        limit = target * (1 + 1e-9) + 2.0 * close_by
        shortfalls, worst = places(_GROW)
        # The pool first; all rows that can be as near as the last one after the step, once the pool is content.
        for whole in range(2):
            candidates = rows if whole else pool
            near = np.empty(len(candidates), np.int64)
            close = 0
            for i in candidates:
                if whole and coarse[i] > reach * reach + error:
                    continue
                if margin > 0.0 and within(embedded[i], moved, limit) == np.inf:
                    continue  # quicker than `ahead` where most rows are far: of whole clusters, but not of one row
                slack = ahead(embedded[last], embedded[i], moved)
                if slack < close_by:
                    near[close] = i
                    close += 1
                misses = slack < 0.25 * margin and (
                    slack < 0.25 * margin - _SAFE * away * np.sqrt(gap(embedded[last], embedded[i]))
                )
                if misses and not holds_pair(held[:count], last, i):
                    insert(shortfalls, worst, slack, i)
            touching = near[:close].copy()
            if worst[0] >= 0:
                break
        waiting = filled(worst)
        if len(waiting) == 0:
            return step, proved, True, touching, need, tilt
    return step, proved, False, touching, need, tilt


@njit(cache=True)
def certify(scene, own, others):
    """Smallest step that changes the class of the nearest row: (step, proved length, row or -1, touching rows).

    Subproblems go by distance and are left out where a bisector (3.16), or the distance alone, proves them longer than
    the best so far. What decides is in double precision, and what is proved is less by all that it may have rounded.
    """
    coarse, error, _, embedded, images, point, _, stretch, blurs, _, _, _ = scene
    unit, blur = precision(max(images.shape[1], len(point))), blurs[0] + blurs[1]
    pool = few(coarse, own, _POOL)
    squared_pool = gaps(embedded, pool, point)
    nearest_own = np.sqrt(squared_pool.min()) * (1.0 + unit) + 2.0 * blur
    best, lower, winner = np.inf, np.inf, -1
    best_step = np.zeros(images.shape[1])
    touching = np.empty(0, np.int64)
    seed = few(coarse, others, 1)  # empty where nothing can change
    rows = seed
    for phase in range(2):
        if phase == 1:
            # Rows of other classes that may lie within reach, the nearest first.
            rows = others[coarse[others] <= (nearest_own + 2.0 * stretch * best) ** 2 + error]
            rows = rows[np.argsort(coarse[rows].astype(np.float64))]
        for row in range(len(rows)):
            j = rows[row]
            if phase == 1 and j == seed[0]:
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
                        length, apart = parted(scene, j, i)
                        if need - doubt(apart, away, unit, blurs) >= best * (length * (1.0 + unit) + blurs[2]):
                            bounded = True
                            break
            if bounded:
                continue
            step, proved, feasible, near, _, _ = solve(scene, rows[row : row + 1], best, pool, own, 0.0)
            if proved < best:
                lower = min(lower, proved)
            if feasible:
                size = max(np.sqrt(dot(step, step)), proved)
                if size < best:
                    best, winner, touching, best_step = size, j, near, step
    return best_step, min(lower, best), winner, touching
