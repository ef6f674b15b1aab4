"""The smallest perturbation that changes the nearest neighbour's class: in l2 Algorithm 5, and 8 under a metric.

In linf and l1 it is the least of the linear programmes (3.20) and (3.21).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from trustworthy.core.certificate import Certificate
from trustworthy.core.checks import Bounds
from trustworthy.neighbors import exact_kernels, linear_program
from trustworthy.neighbors.geometry import Geometry
from trustworthy.neighbors.query import Query, inside, right_ones

ORDERS = {"l2": 2, "linf": np.inf, "l1": 1}  # of `np.linalg.norm`
_EXACT = 1e-6  # relative gap between what is proved and what is found below which they are the same number


def exact_one(
    geometry: Geometry,
    queries: Float[np.ndarray, "m d"],
    codes: Int[np.ndarray, " m"],
    *,
    norm: str = "l2",
    bounds: Bounds | None = None,
) -> Certificate:
    """Minimal adversarial perturbations of the 1-nearest-neighbour rule.

    geometry : training points without duplicates.
    queries : (m, d) float64; codes : (m,) the true classes, -1 for one that training lacks.
    norm : "l2", "linf" or "l1", of the perturbation of the input, whatever the metric.
    bounds : the box that queries and perturbed queries keep, or None.

    Rows that are wrong to begin with get radius 0. `lower` is the dual's value, `upper` the size of a perturbation
    that has been checked to change the class. A row with a linear programme that could not be solved is not exact: its
    `lower` holds, its `upper` is what other programmes gave, or inf.

    Cost: one product of the queries with the points in single precision, then in l2 a few hundred distances and a
    handful of small quadratic programmes a query; in linf and l1 one bisector for every row of another class that the
    product does not rule out, and a handful of quadratic and of linear programmes.
    """
    queries = np.ascontiguousarray(queries, np.float64)
    lower, upper, rounding = np.zeros(len(queries)), np.zeros(len(queries)), np.zeros(len(queries))
    perturbation = np.zeros(queries.shape)
    sides, linf = geometry.sides(codes), norm == "linf"
    for rows, right in right_ones(geometry, queries, codes, 1, bounds):
        for row, query in zip(rows, right, strict=True):
            own, others = sides[query.code]
            if norm == "l2":
                step, lower[row], target, touching = exact_kernels.certify(query.scene, own, others)
            else:
                step, lower[row], target, touching = linear_program.certify(query, own, others, linf)
            perturbation[row] = np.nan if target < 0 else past_the_boundary(query, step, int(target), touching)
            upper[row] = np.linalg.norm(perturbation[row], ord=ORDERS[norm])
            each = rounding_of(query.x, geometry.points[target])
            rounding[row] = each * (len(query.x) if norm == "l1" else 1)
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
    away = np.linalg.norm(target - query)
    return float(5e-12 * away + 64 * np.finfo(np.float64).eps * np.abs(query).max())


def past_the_boundary(
    query: Query, step: Float[np.ndarray, " d"], target: int, touching: Int[np.ndarray, " k"]
) -> Float[np.ndarray, " d"]:
    """Move the optimum, which is a tie, towards the row `target` until that row is strictly nearer than the own ones.

    The slack of every own row is linear on the way and positive at its end, so only those that touch can fall short.
    """
    geometry = query.geometry
    onward = geometry.points[target] - query.x - step
    # As little as double precision can tell apart, relative to the step: a tiny radius deserves a tiny excess.
    least = max(1e-9 * min(1.0, np.linalg.norm(step) / max(np.linalg.norm(onward), 1e-300)), 1e-16)
    rows = np.r_[target, touching]
    for share in np.minimum(least * 4.0 ** np.arange(28), 1.0):
        moved = inside(query.x, step + share * onward, query.bounds)
        squared = exact_kernels.gaps(geometry.embedded, rows, geometry.embed((query.x + moved)[None])[0])
        if squared[0] + 8 * np.finfo(np.float64).eps * squared.max() < squared[1:].min(initial=np.inf):
            return moved
    return np.full_like(step, np.nan)
