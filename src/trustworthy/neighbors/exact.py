"""The smallest l2 perturbation that changes the nearest neighbour's class: Algorithm 5, and 8 under a metric."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from trustworthy.core.certificate import Certificate
from trustworthy.neighbors import exact_kernels
from trustworthy.neighbors.geometry import Geometry

_EXACT = 1e-6  # relative gap between what is proved and what is found below which they are the same number


def exact_l2(
    geometry: Geometry,
    queries: Float[np.ndarray, "m d"],
    codes: Int[np.ndarray, " m"],
    *,
    bounds: tuple[float, float] | None = None,
) -> Certificate:
    """Minimal adversarial perturbations of the 1-nearest-neighbour rule in l2.

    geometry : training points without duplicates.
    queries : (m, d) float64; codes : (m,) the true classes, -1 for one that training lacks.
    bounds : the box that queries and perturbed queries keep, or None.

    Rows that are wrong to begin with get radius 0. `lower` is the dual's value, `upper` the size of a perturbation
    that has been checked to change the class. Cost: one product of the queries with the points in single precision,
    then a few hundred distances and a handful of small quadratic programmes a query.
    """
    queries = np.ascontiguousarray(queries, np.float64)
    lower, upper = np.zeros(len(queries)), np.zeros(len(queries))
    perturbation = np.zeros(queries.shape)
    owned = {code: np.flatnonzero(geometry.labels == code) for code in np.unique(codes) if code >= 0}
    root = np.empty((0, 0)) if geometry.root is None else geometry.root
    low, high = (-np.inf, np.inf) if bounds is None else bounds
    for block in geometry.blocks(len(queries)):
        coarse, error = geometry.coarse_distances(queries[block])
        for k, row in enumerate(range(block.start, block.stop)):
            query, code = queries[row], codes[row]
            point = geometry.embed(query[None])[0]
            nearest = exact_kernels.closest(coarse[k], error[k], geometry.embedded, point)
            if geometry.labels[nearest] != code:
                continue
            step, lower[row], target, touching = exact_kernels.certify(
                coarse[k], error[k], geometry.labels, owned[code], code, geometry.embedded, geometry.images,
                point, root, geometry.stretch, low - query, high - query, bounds is not None,
            )  # fmt: skip
            perturbation[row] = past_the_boundary(geometry, query, step, target, touching, bounds)
            upper[row] = np.linalg.norm(perturbation[row])
    upper[np.isnan(upper)] = np.inf
    return Certificate(lower, upper, agree(lower, upper, queries), perturbation)


def agree(
    lower: Float[np.ndarray, " m"], upper: Float[np.ndarray, " m"], queries: Float[np.ndarray, "m d"]
) -> Bool[np.ndarray, " m"]:
    """Whether bounds are one number: to a relative 1e-6, or to the rounding of the queries, as on the boundary."""
    rounding = 1e-12 * np.abs(queries).max(axis=1, initial=1.0)
    return np.isfinite(upper) & (upper <= lower * (1 + _EXACT) + rounding)


def past_the_boundary(
    geometry: Geometry,
    query: Float[np.ndarray, " d"],
    step: Float[np.ndarray, " d"],
    target: int,
    touching: Int[np.ndarray, " k"],
    bounds: tuple[float, float] | None,
) -> Float[np.ndarray, " d"]:
    """Move the optimum, which is a tie, towards the row `target` until that row is strictly nearer than the own ones.

    The slack of every own row is linear on the way and positive at its end, so only those that touch can fall short.
    """
    onward = np.asarray(geometry.points[target], np.float64) - query - step
    # As little as double precision can tell apart, relative to the step: a tiny radius deserves a tiny excess.
    least = 1e-9 * min(1.0, np.linalg.norm(step) / np.linalg.norm(onward))
    for share in max(least, 1e-16) * 10.0 ** np.arange(16):
        moved = inside(query, step + min(share, 0.1) * onward, bounds)
        if geometry.fine_distances(query + moved, np.array([target]))[0] < geometry.fine_distances(
            query + moved, touching
        ).min(initial=np.inf):
            return moved
    return np.full_like(step, np.nan)


def inside(
    query: Float[np.ndarray, " d"], step: Float[np.ndarray, " d"], bounds: tuple[float, float] | None
) -> Float[np.ndarray, " d"]:
    """The step, cut so that query + step keeps the bounds to the last bit."""
    if bounds is None:
        return step
    low, high = bounds
    cut = np.clip(query + step, low, high) - query
    outside = (query + cut < low) | (query + cut > high)
    return np.where(outside, np.nextafter(cut, 0.0), cut)
