"""Minimal perturbations of nearest neighbours by looking at every subproblem with every constraint, in SciPy."""

import numpy as np
from scipy.optimize import LinearConstraint, linprog, minimize, nnls


def shortest(normals, offsets):
    """min |d| with normals d + offsets >= 0, by the non-negative least squares of its dual; None where empty."""
    if (offsets >= 0).all():
        return np.zeros(normals.shape[1])
    scale = np.abs(offsets).max()
    stacked = np.vstack([normals.T, -offsets[None] / scale])
    aim = np.zeros(len(stacked))
    aim[-1] = 1.0
    residual = stacked @ nnls(stacked, aim, maxiter=10_000)[0] - aim
    return None if residual[-1] > -1e-12 else -residual[:-1] / residual[-1] * scale


def shortest_in_box(normals, offsets, low, high, start):
    """The same within low <= d <= high, by a general solver from a feasible start."""
    found = minimize(
        lambda d: d @ d / 2, start, jac=lambda d: d, method="SLSQP", bounds=list(zip(low, high, strict=True)),
        constraints=LinearConstraint(normals, -offsets, np.inf), options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    return found.x


def halfspaces(points, j, others, query, metric):
    """Eq. (3.4) under a metric, literally."""
    distance = [(query - x) @ metric @ (query - x) for x in points]
    normals = np.array([metric @ (points[j] - points[i]) for i in others])
    return normals, np.array([(distance[i] - distance[j]) / 2 for i in others])


def minimal(points, labels, query, code, *, metric=None, bounds=None, norm="l2"):
    """Size of the smallest perturbation after which a row of another class is no farther than all own ones."""
    metric = np.eye(points.shape[1]) if metric is None else metric
    own = np.flatnonzero(labels == code)
    sizes = []
    for j in np.flatnonzero(labels != code):
        normals, offsets = halfspaces(points, j, own, query, metric)
        if norm != "l2":
            sizes.append(linear_programme(normals, offsets, query, norm, bounds))
        elif bounds is None:
            sizes.append(np.linalg.norm(shortest(normals, offsets)))
        else:
            low, high = bounds[0] - query, bounds[1] - query
            sizes.append(np.linalg.norm(shortest_in_box(normals, offsets, low, high, points[j] - query)))
    return min(sizes)


def linear_programme(normals, offsets, query, norm, bounds):
    """Eqs. (3.20) and (3.21) with all constraints: variables d and v."""
    d = normals.shape[1]
    width = 1 if norm == "linf" else d
    spread = np.ones((d, 1)) if norm == "linf" else np.eye(d)
    above = np.vstack([
        np.hstack([-normals, np.zeros((len(normals), width))]),
        np.hstack([np.eye(d), -spread]),
        np.hstack([-np.eye(d), -spread]),
    ])  # fmt: skip
    low, high = (-np.inf, np.inf) if bounds is None else bounds
    limits = [(low - z, high - z) for z in query] + [(0, None)] * width
    cost = np.r_[np.zeros(d), np.ones(width)]
    return linprog(cost, above, np.r_[offsets, np.zeros(2 * d)], bounds=limits, method="highs").fun


def bisectors(points, query, metric=None):
    """Eq. (3.44): entry (i, j) is how far the query is from the plane after which j is nearer than i."""
    metric = np.eye(points.shape[1]) if metric is None else metric
    squared = np.array([(query - x) @ metric @ (query - x) for x in points])
    lengths = np.linalg.norm((points[:, None] - points[None, :]) @ metric.T, axis=-1)
    ahead = np.maximum(squared[None, :] - squared[:, None], 0.0)
    return np.divide(ahead, 2 * lengths, out=np.zeros_like(lengths), where=lengths > 0)
