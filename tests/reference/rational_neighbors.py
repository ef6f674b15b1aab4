"""Minimal perturbations of nearest neighbours in whole numbers: nothing is rounded, and every vertex is looked at.

Data are doubles, which are whole multiples of one power of two. Under a metric the truth is that of M = rootᵀ root with
the root as it is given, in doubles.
"""

from fractions import Fraction
from itertools import combinations

import numpy as np


def whole(*arrays):
    """Nested lists of whole numbers in proportion to the arrays."""
    flat = [[Fraction(float(v)) for v in np.ravel(a)] for a in arrays]
    unit = max((v.denominator for part in flat for v in part), default=1)
    lists = [np.array([int(v * unit) for v in part], object) for part in flat]
    return [part.reshape(np.shape(a)).tolist() for part, a in zip(lists, arrays, strict=True)], unit


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def det(rows):
    if len(rows) == 1:
        return rows[0][0]
    minors = ([row[:c] + row[c + 1 :] for row in rows[1:]] for c in range(len(rows)))
    return sum((-1) ** c * rows[0][c] * det(minor) for c, minor in enumerate(minors))


def solved(rows, right):
    """Numerators and the positive denominator of the solution of a square system, or None."""
    below = det(rows)
    if below == 0:
        return None
    sign = 1 if below > 0 else -1
    above = [
        sign * det([[*row[:c], r, *row[c + 1 :]] for row, r in zip(rows, right, strict=True)]) for c in range(len(rows))
    ]
    return above, sign * below


def vertices(planes, d, norm):
    """Points (numerators, denominator), among which is a shortest one of {n . x + b >= 0} in the norm."""
    if norm == "l2":  # the projection on some planes
        for k in range(1, d + 1):
            for some in combinations(planes, k):
                found = solved([[dot(a, c) for c, _ in some] for a, _ in some], [-b for _, b in some])
                if found is not None:
                    yield [sum(w * n[c] for w, (n, _) in zip(found[0], some, strict=True)) for c in range(d)], found[1]
        return
    unit = [[int(a == c) for a in range(d)] for c in range(d)]
    # Between these planes the size is linear, and so it is least at a crossing of d planes.
    kinks = [(row, 0) for row in unit]
    if norm == "linf":
        pairs = list(combinations(unit, 2))
        kinks = [([a + s * b for a, b in zip(*pair, strict=True)], 0) for pair in pairs for s in (1, -1)]
    for some in combinations([*planes, *kinks], d):
        if any(b for _, b in some):
            found = solved([n for n, _ in some], [-b for _, b in some])
            if found is not None:
                yield found


def shortest(planes, d, norm, best=None):
    """Least size (for l2 its square), a Fraction, of a point of {n . x + b >= 0}; None where none is below `best`."""
    if all(b >= 0 for _, b in planes):
        return Fraction(0)
    measure = {"l2": lambda v: dot(v, v), "linf": lambda v: max(map(abs, v)), "l1": lambda v: sum(map(abs, v))}[norm]
    for above, below in vertices(planes, d, norm):
        size = Fraction(measure(above), below**2 if norm == "l2" else below)
        if (best is None or size < best) and all(dot(n, above) + b * below >= 0 for n, b in planes):
            best = size
    return best


def radius(geometry, query, code, *, norm="l2", n_neighbors=1, bounds=None):
    """Least size (for l2 its square) of a perturbation after which ties, at least, allow another vote; None for none.

    Rows that the geometry maps to one place count as repeated ones: a tie of theirs, the lower row wins everywhere.
    """
    (points, place, box), unit = whole(geometry.points, query, () if bounds is None else bounds)
    d, labels = len(place), geometry.labels
    (root,), _ = whole(np.eye(d) if geometry.root is None else geometry.root)
    matrix = [[sum(row[a] * row[b] for row in root) for b in range(d)] for a in range(d)]
    twins = np.unique(geometry.embedded, axis=0, return_inverse=True)[1].reshape(-1)

    def plane(j, i):
        gap = [a - b for a, b in zip(points[j], points[i], strict=True)]
        normal = [2 * dot(row, gap) for row in matrix]
        return normal, sum(
            n * (2 * q - a - b) for n, q, a, b in zip(normal, place, points[j], points[i], strict=True)
        ) // 2

    unit_rows = [[int(a == c) for a in range(d)] for c in range(d)]
    sides = [(row, q - box[0]) for row, q in zip(unit_rows, place, strict=True)] if box else []
    sides += [([-a for a in row], box[1] - q) for row, q in zip(unit_rows, place, strict=True)] if box else []
    planes = {(j, i): plane(j, i) for j in range(len(points)) for i in range(len(points)) if twins[i] != twins[j]}
    best = None
    for rows in combinations(range(len(points)), n_neighbors):
        if np.bincount(labels[list(rows)]).argmax() == code:
            continue
        rest = [i for i in range(len(points)) if i not in rows]
        if n_neighbors == 1:
            rest = [i for i in rest if labels[i] == code]
        if not any(twins[i] == twins[j] and i < j for j in rows for i in rest):
            cell = [planes[j, i] for j in rows for i in rest if twins[i] != twins[j]]
            best = shortest([*cell, *sides], d, norm, best)
    return None if best is None else best / unit ** (2 if norm == "l2" else 1)


def winner(geometry, moved, n_neighbors=1):
    """The exact vote at a place given in Fractions."""
    root = np.eye(len(moved)) if geometry.root is None else geometry.root
    exact = lambda rows: [[Fraction(float(v)) for v in row] for row in np.atleast_2d(rows)]  # noqa: E731
    squared = []
    for row in exact(geometry.points):
        image = [dot(r, [a - b for a, b in zip(row, moved, strict=True)]) for r in exact(root)]
        squared.append(dot(image, image))
    order = sorted(range(len(squared)), key=lambda i: (squared[i], i))
    return int(np.bincount(geometry.labels[order[:n_neighbors]]).argmax())
