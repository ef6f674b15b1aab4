"""Minimal perturbations of K nearest neighbours: all sets of K rows that vote otherwise, all half-spaces, in SciPy."""

from itertools import combinations

import numpy as np
from scipy.optimize import linprog

from reference.exhaustive_neighbors import shortest, shortest_in_box


def cell(points, rows, query, metric, ties):
    """Half-spaces after which `rows` are the K nearest, and which of them must be kept strictly.

    With `ties`, a tie falls to the lower row, so that a half-space with a lower row inside holds on its boundary too;
    without, that is so for repeated points alone, whose tie no perturbation breaks.
    """
    distance = np.einsum("ij,jk,ik->i", points - query, metric, points - query)
    pairs = [(j, i) for j in rows for i in range(len(points)) if i not in rows]
    normals = np.array([metric @ (points[j] - points[i]) for j, i in pairs])
    offsets = np.array([(distance[i] - distance[j]) / 2 for j, i in pairs])
    strict = [j > i or not (ties or (points[j] == points[i]).all()) for j, i in pairs]
    return normals, offsets, np.array(strict)


def start(normals, offsets, strict, low, high):
    """A perturbation that keeps strict half-spaces strictly, by a linear programme; None where there is none."""
    d = normals.shape[1]
    above = np.hstack([-normals, strict[:, None].astype(float)])
    box = list(zip(low, high, strict=True))
    found = linprog(np.r_[np.zeros(d), -1.0], above, offsets, bounds=[*box, (0, 1)], method="highs")
    if found.status != 0 or (strict.any() and found.x[-1] < 1e-7):
        return None
    return found.x[:-1]


def minimal(points, labels, query, code, n_neighbors, *, metric=None, bounds=None, ties=True):
    """Infimum of the sizes of the perturbations after which the K nearest rows vote for another class; inf for none.

    Without `ties`, of those alone that leave room about them, where rounding decides nothing.
    """
    d = points.shape[1]
    metric = np.eye(d) if metric is None else metric
    edges = (-np.inf, np.inf) if bounds is None else bounds
    low, high = edges[0] - query, edges[1] - query
    found = []
    for rows in combinations(range(len(points)), n_neighbors):
        if np.bincount(labels[list(rows)]).argmax() != code:
            normals, offsets, _ = cell(points, rows, query, metric, ties)
            delta = shortest(normals, offsets)
            if delta is not None:
                found.append((np.linalg.norm(delta), rows))
    best = np.inf
    for free, rows in sorted(found):
        if free >= best:
            break
        normals, offsets, strict = cell(points, rows, query, metric, ties)
        inner = start(normals, offsets, strict, low, high)
        if inner is not None:
            boxed = bounds is not None
            best = min(best, np.linalg.norm(shortest_in_box(normals, offsets, low, high, inner)) if boxed else free)
    return best
