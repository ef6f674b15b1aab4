"""The smallest l2 perturbation that changes the nearest neighbour's class: Algorithm 5, and 8 under a metric."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from trustworthy.core.certificate import Certificate
from trustworthy.core.checks import Bounds
from trustworthy.neighbors import exact_kernels
from trustworthy.neighbors.geometry import Geometry

_EXACT = 1e-6  # relative gap between what is proved and what is found below which they are the same number


def exact_l2(
    geometry: Geometry,
    queries: Float[np.ndarray, "m d"],
    codes: Int[np.ndarray, " m"],
    *,
    bounds: Bounds | None = None,
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
    perturbation, rounding = np.zeros(queries.shape), np.zeros(len(queries))
    owned = {code: np.flatnonzero(geometry.labels == code) for code in np.unique(codes) if code >= 0}
    root = np.empty((0, 0)) if geometry.root is None else geometry.root
    for block in geometry.blocks(len(queries)):
        coarse, error = geometry.coarse_distances(queries[block])
        points, blurs = geometry.embed(queries[block]), geometry.blurs(queries[block])
        voted = geometry.votes(coarse, error, points, 1)
        for k, row in enumerate(range(block.start, block.stop)):
            query, code, point = queries[row], codes[row], points[k]
            if voted[k] != code:
                continue
            step, lower[row], target, touching = exact_kernels.certify(
                coarse[k], error[k], geometry.labels, owned[code], code, geometry.embedded, geometry.images,
                point, root, geometry.stretch, blurs[k], *room(query, bounds), bounds is not None,
            )  # fmt: skip
            perturbation[row] = past_the_boundary(geometry, query, step, target, touching, bounds)
            rounding[row] = rounding_of(query, geometry.points[target])
            upper[row] = np.linalg.norm(perturbation[row])
    upper[np.isnan(upper)] = np.inf
    lower = np.minimum(lower, upper)  # which a rounded perturbation may undercut
    return Certificate(lower, upper, agree(lower, upper, rounding), perturbation)


def agree(
    lower: Float[np.ndarray, " m"], upper: Float[np.ndarray, " m"], rounding: Float[np.ndarray, " m"]
) -> Bool[np.ndarray, " m"]:
    """Whether bounds are one number: to a relative 1e-6, or to what adding a perturbation to its query rounds."""
    one = (upper <= lower * (1 + _EXACT) + rounding) & (lower <= upper * (1 + _EXACT) + rounding)
    return one & np.isfinite(upper)


def rounding_of(query: Float[np.ndarray, " d"], target: Float[np.ndarray, " d"]) -> float:
    """What the search cannot tell apart for a query that moves towards a row: a share of the way, and units of both."""
    away = np.linalg.norm(np.asarray(target, np.float64) - query)
    return float(5e-12 * away + 64 * np.finfo(np.float64).eps * np.abs(query).max())


def past_the_boundary(
    geometry: Geometry,
    query: Float[np.ndarray, " d"],
    step: Float[np.ndarray, " d"],
    target: int,
    touching: Int[np.ndarray, " k"],
    bounds: Bounds | None,
) -> Float[np.ndarray, " d"]:
    """Move the optimum, which is a tie, towards the row `target` until that row is strictly nearer than the own ones.

    The slack of every own row is linear on the way and positive at its end, so only those that touch can fall short.
    """
    onward = np.asarray(geometry.points[target], np.float64) - query - step
    # As little as double precision can tell apart, relative to the step: a tiny radius deserves a tiny excess.
    least = max(1e-9 * min(1.0, np.linalg.norm(step) / max(np.linalg.norm(onward), 1e-300)), 1e-16)
    rows = np.r_[target, touching]
    for share in np.minimum(least * 4.0 ** np.arange(28), 1.0):
        moved = inside(query, step + share * onward, bounds)
        squared = exact_kernels.gaps(geometry.embedded, rows, geometry.embed((query + moved)[None])[0])
        if squared[0] + 8 * np.finfo(np.float64).eps * squared.max() < squared[1:].min(initial=np.inf):
            return moved
    return np.full_like(step, np.nan)


def room(
    query: Float[np.ndarray, " d"], bounds: Bounds | None
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]]:
    """How far each coordinate of a query may go down (d,) and up (d,): rounded away from 0, so that no step is lost."""
    low, high = (-np.inf, np.inf) if bounds is None else bounds
    wider = 1.0 + 2.0 * np.finfo(np.float64).eps
    return np.minimum(low - query, 0.0) * wider, np.maximum(high - query, 0.0) * wider


def inside(
    query: Float[np.ndarray, " d"], step: Float[np.ndarray, " d"], bounds: Bounds | None
) -> Float[np.ndarray, " d"]:
    """The step, cut so that query + step keeps the bounds to the last bit."""
    if bounds is None:
        return step
    low, high = bounds
    cut = np.where((query + step < low) | (query + step > high), np.clip(query + step, low, high) - query, step)
    return np.where((query + cut < low) | (query + cut > high), np.nextafter(cut, 0.0), cut)
