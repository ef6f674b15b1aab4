"""Compiled solvers of min 1/2 x'Px + q'x over x >= 0, the dual of projecting on half-spaces.

Called by the searches in `exact_kernels` and `branch_kernels`, and by `qp`, its public
door. The multipliers come in as `x`, from which the solver goes on, and go out in the same array; what they prove is
up to the caller.
"""

from __future__ import annotations

import numpy as np
from numba import njit

SOLVED, UNBOUNDED, STOPPED = 0, 1, 2
_TOLERANCE, _NEWTON = 1e-12, 300  # slack, relative to the largest offset, and steps at which `boxed` ends
_ENDLESS = 1e11  # variable, in units of the largest |q| over the least curvature, that no bounded problem reaches


@njit(cache=True)
def coordinate_ascent(p, q, x, tolerance, max_iter):
    """Algorithm 9 from x on: always the coordinate whose projected step is the largest. Returns iterations, status."""
    n = len(q)
    gradient = p @ x + q
    top = 0.0
    for i in range(n):
        top = max(top, p[i, i])
    least = max(1e-12 * top, 1e-300)
    for iteration in range(max_iter):
        best, step = -1, tolerance
        move = 0.0
        for i in range(n):
            y = max(x[i] - gradient[i] / max(p[i, i], least), 0.0) - x[i]
            if abs(y) > step:
                best, step, move = i, abs(y), y
        if best < 0:
            return iteration, SOLVED
        x[best] += move
        gradient += move * p[best]
    return max_iter, STOPPED


@njit(cache=True)
def _factor(p, chosen, count, lower):
    """Cholesky factor of p on the chosen indices; returns the first one that depends on those before it, or -1."""
    for a in range(count):
        i = chosen[a]
        for b in range(a + 1):
            total = p[i, chosen[b]]
            for c in range(b):
                total -= lower[a, c] * lower[b, c]
            if a > b:
                lower[a, b] = total / lower[b, b]
            elif total <= 1e-13 * p[i, i] or total <= 0.0:
                return a
            else:
                lower[a, a] = np.sqrt(total)
    return -1


@njit(cache=True)
def _solve(lower, count, right, out):
    for a in range(count):
        total = right[a]
        for c in range(a):
            total -= lower[a, c] * out[c]
        out[a] = total / lower[a, a]
    for a in range(count - 1, -1, -1):
        total = out[a]
        for c in range(a + 1, count):
            total -= lower[c, a] * out[c]
        out[a] = total / lower[a, a]


@njit(cache=True)
def active_set(p, q, x, tolerance, max_iter):
    """Lawson and Hanson's method from x >= 0 on, for semidefinite p. Returns iterations, status.

    A chosen index that depends on others gives a direction without curvature: along it the objective falls for ever
    (UNBOUNDED) or until some chosen variable reaches 0 and is let go.
    """
    n = len(q)
    chosen = np.empty(n, np.int64)
    inside = np.zeros(n, np.bool_)
    count = 0
    for i in range(n):
        if x[i] > 0.0:
            chosen[count] = i
            inside[i] = True
            count += 1
        else:
            x[i] = 0.0
    lower = np.empty((n, n))
    target = np.empty(n)
    right = np.empty(n)
    largest, least = 0.0, np.inf
    for i in range(n):
        largest = max(largest, abs(q[i]))
        if p[i, i] > 0.0:
            least = min(least, p[i, i])
    fresh = count == 0
    refused = np.zeros(n, np.bool_)  # let go at 0 since x last moved: taken again, they would be let go for ever
    for iteration in range(max_iter):
        if fresh:
            best, most = -1, tolerance * largest
            for i in range(n):
                if not inside[i] and not refused[i]:
                    gradient = q[i]
                    for a in range(count):
                        gradient += p[i, chosen[a]] * x[chosen[a]]
                    if -gradient > most:
                        best, most = i, -gradient
            if best < 0:
                return iteration, SOLVED
            chosen[count] = best
            inside[best] = True
            count += 1
        dependent = _factor(p, chosen, count, lower)
        if dependent >= 0:
            # x moves along the null direction in which it depends on the ones before it.
            i = chosen[dependent]
            for a in range(dependent):
                right[a] = -p[chosen[a], i]
            _solve(lower, dependent, right, target)
            slope = q[i]
            for a in range(count):
                slope += p[i, chosen[a]] * x[chosen[a]]
            for b in range(dependent):
                j = chosen[b]
                gradient = q[j]
                for a in range(count):
                    gradient += p[j, chosen[a]] * x[chosen[a]]
                slope += gradient * target[b]
            sign = -1.0 if slope > 0.0 else 1.0
            stop, reach = -1, np.inf
            for b in range(dependent):
                if sign * target[b] < 0.0:
                    t = -x[chosen[b]] / (sign * target[b])
                    if t < reach:
                        stop, reach = b, t
            if sign < 0.0 and x[i] < reach:
                stop, reach = dependent, x[i]
            if stop < 0:
                if abs(slope) > tolerance * largest:
                    return iteration, UNBOUNDED
                stop, reach = dependent, 0.0
            for b in range(dependent):
                x[chosen[b]] = max(x[chosen[b]] + reach * sign * target[b], 0.0)
            x[i] = max(x[i] + reach * sign, 0.0)
            if reach > 0.0:
                refused[:] = False
            x[chosen[stop]] = 0.0
            inside[chosen[stop]] = False
            refused[chosen[stop]] = reach <= 0.0
            for a in range(stop, count - 1):
                chosen[a] = chosen[a + 1]
            count -= 1
            fresh = False
            continue
        for a in range(count):
            right[a] = -q[chosen[a]]
        _solve(lower, count, right, target)
        reach, stop = 1.0, -1
        for a in range(count):
            if target[a] <= 0.0:
                here = x[chosen[a]]
                t = here / (here - target[a]) if here > target[a] else 0.0
                if t < reach:
                    reach, stop = t, a
        moved, size = 0.0, 0.0
        for a in range(count):
            step = reach * (target[a] - x[chosen[a]])
            x[chosen[a]] += step
            moved, size = max(moved, abs(step)), max(size, abs(x[chosen[a]]))
        if moved > 1e-11 * size:
            refused[:] = False
        if stop < 0:
            if size * least > _ENDLESS * largest:
                return iteration, UNBOUNDED  # rounding has bent a direction without curvature
            fresh = True
            continue
        x[chosen[stop]] = 0.0
        kept = 0
        for a in range(count):
            i = chosen[a]
            if a == stop or (x[i] <= 0.0 and target[a] <= 0.0):  # one that was just taken is at 0 and on its way up
                x[i] = 0.0
                inside[i] = False
                refused[i] = reach <= 0.0
            else:
                chosen[kept] = i
                kept += 1
        count = kept
        fresh = False
        if count == 0:
            fresh = True
    return max_iter, STOPPED


@njit(cache=True)
def boxed(normals, offsets, lowest, highest, dual):
    """Maximise the dual of min 1/2 |d|^2 s.t. normals d + offsets >= 0, lowest <= d <= highest (0 inside), from `dual`.

    A semismooth Newton method: d = clip(normals' dual), and between two clippings the dual is quadratic. It works in
    units in which rows have length 1 and offsets are at most 1. Returns d, the dual's value (a lower bound of the
    minimum whatever the status) and the status; `dual` is changed in place.
    """
    k = len(offsets)
    lengths = np.ones(k)
    unit = 0.0
    for i in range(k):
        length = np.sqrt((normals[i] * normals[i]).sum())
        if length > 0.0:
            lengths[i] = length
        unit = max(unit, abs(offsets[i]) / lengths[i])
    if unit == 0.0:
        unit = 1.0
    a, b, x = normals / lengths.reshape(-1, 1), offsets / lengths / unit, dual * lengths / unit
    low, high = lowest / unit, highest / unit
    scale = 0.0
    for i in range(k):
        scale = max(scale, abs(b[i]))
    d = np.minimum(np.maximum(x @ a, low), high)
    slack = a @ d + b
    value = 0.5 * (d @ d) - x @ slack
    status = STOPPED
    for _ in range(_NEWTON):
        worst = 0.0
        for i in range(k):
            worst = max(worst, abs(slack[i]) if x[i] > 0.0 else -slack[i])
        if worst <= _TOLERANCE * scale:
            status = SOLVED
            break
        free = a.copy()
        raw = x @ a
        for c in range(len(raw)):
            if raw[c] < low[c] or raw[c] > high[c]:
                free[:, c] = 0.0
        p = free @ free.T
        top = 0.0
        for i in range(k):
            top = max(top, p[i, i])
        ridge = 1e-10 * top
        for i in range(k):
            p[i, i] += ridge
        target = x.copy()
        active_set(p, slack - p @ x, target, 1e-13, 50 * k + 100)
        direction = target - x
        gain = -(slack @ direction)
        step, moved = 1.0, False
        while step > 1e-12:
            trial = x + step * direction
            d_trial = np.minimum(np.maximum(trial @ a, low), high)
            slack_trial = a @ d_trial + b
            value_trial = 0.5 * (d_trial @ d_trial) - trial @ slack_trial
            if value_trial >= value + 1e-4 * step * gain and value_trial > value:
                x, d, slack, value, moved = trial, d_trial, slack_trial, value_trial, True
                break
            step *= 0.5
        if not moved:
            break
    for i in range(k):
        dual[i] = x[i] * unit / lengths[i]
    return np.minimum(np.maximum(d * unit, lowest), highest), value * unit * unit, status
