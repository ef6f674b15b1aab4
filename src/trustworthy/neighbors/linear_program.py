"""The smallest linf or l1 perturbation that changes the nearest neighbour's class: eqs. (3.20) and (3.21)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from trustworthy.core.certificate import Certificate
from trustworthy.core.checks import Bounds
from trustworthy.neighbors import exact_kernels, linear_program_kernels
from trustworthy.neighbors.bounds_kernels import few
from trustworthy.neighbors.dual_simplex import NotSolved, ShortestVector
from trustworthy.neighbors.exact import agree, past_the_boundary, room, rounding_of
from trustworthy.neighbors.geometry import Geometry

_BOUNDING = 8  # own rows whose bisectors bound a subproblem before anything is solved
_POOL = 64  # nearest own rows that constraints are taken from before all are looked at
_FIRST = 16  # constraints that a programme begins with
_GROW = 16  # violated constraints that are added at once
_ROUNDS = 1000  # programmes of a subproblem, each with constraints that the last one violated
_GAP = 1e-7  # relative gap of the dual and the primal value beyond which a programme counts as not solved
_ROUNDED = 2.0  # over what the norms allow: the ratio of a size to what is proved of it that rounding accounts for
_TIE = 1e-10  # relative to a squared distance: what is as good as a tie


@dataclass(frozen=True, eq=False)
class _Query:
    """What the subproblems of one query share."""

    geometry: Geometry
    query: Float[np.ndarray, " d"]
    point: Float[np.ndarray, " rank"]
    coarse: Float[np.ndarray, " n"]
    error: float
    own: Int[np.ndarray, " own"]
    pool: Int[np.ndarray, " pool"]
    blurs: Float[np.ndarray, " 3"]
    low: Float[np.ndarray, " d"]
    high: Float[np.ndarray, " d"]
    linf: bool

    def size(self, step: Float[np.ndarray, " d"]) -> float:
        return float(np.abs(step).max() if self.linf else np.abs(step).sum())


@dataclass(frozen=True, eq=False)
class _Found:
    """Where a subproblem ended: a step, or None where it was given up, and the size that is proved for it."""

    proved: float
    step: Float[np.ndarray, " d"] | None = None
    touching: Int[np.ndarray, " k"] = field(default_factory=lambda: np.empty(0, np.int64))
    failed: bool = False


def exact_lp(
    geometry: Geometry,
    queries: Float[np.ndarray, "m d"],
    codes: Int[np.ndarray, " m"],
    *,
    norm: str,
    bounds: Bounds | None = None,
) -> Certificate:
    """Minimal adversarial perturbations of the 1-nearest-neighbour rule in linf or l1.

    geometry : training points without duplicates.
    queries : (m, d) float64; codes : (m,) the true classes, -1 for one that training lacks.
    norm : "linf" or "l1", of the perturbation of the input, whatever the metric.
    bounds : the box that queries and perturbed queries keep, or None.

    Rows that are wrong to begin with get radius 0. `lower` is the dual's value, `upper` the size of a perturbation
    that has been checked to change the class. A row with a programme that could not be solved is not exact: its `lower`
    holds, its `upper` is what other programmes gave, or inf.

    Cost: one product of the queries with the points in single precision, one bisector for every row of another class
    that this does not rule out, then a handful of quadratic and of linear programmes a query.
    """
    queries = np.ascontiguousarray(queries, np.float64)
    lower, upper = np.zeros(len(queries)), np.zeros(len(queries))
    perturbation, rounding = np.zeros(queries.shape), np.zeros(len(queries))
    parted = {c: (np.flatnonzero(geometry.labels == c), np.flatnonzero(geometry.labels != c)) for c in np.unique(codes)}
    for block in geometry.blocks(len(queries)):
        coarse, error = geometry.coarse_distances(queries[block])
        points, blurs = geometry.embed(queries[block]), geometry.blurs(queries[block])
        voted = geometry.votes(coarse, error, points, 1)
        for k, row in enumerate(range(block.start, block.stop)):
            query, point = queries[row], points[k]
            if voted[k] != codes[row]:
                continue
            own, others = parted[codes[row]]
            asked = _Query(
                geometry, query, point, coarse[k], error[k], own, few(coarse[k], own, _POOL),
                blurs[k], *room(query, bounds), norm == "linf",
            )  # fmt: skip
            target, best = _certify(asked, others)
            lower[row] = best.proved
            perturbation[row] = np.nan
            if best.step is not None:
                perturbation[row] = past_the_boundary(geometry, query, best.step, target, best.touching, bounds)
                rounding[row] = asked.size(np.full(len(query), rounding_of(query, geometry.points[target])))
            upper[row] = asked.size(perturbation[row])
    upper[np.isnan(upper)] = np.inf
    lower = np.minimum(lower, upper)  # which a rounded perturbation may undercut
    return Certificate(lower, upper, agree(lower, upper, rounding), perturbation)


def _certify(asked: _Query, others: Int[np.ndarray, " k"]) -> tuple[int, _Found]:
    """The row that wins, and its step with what is proved for all rows.

    Subproblems go by their bisector bounds, and the rest is left out where these reach the best size so far.
    """
    geometry = asked.geometry
    best, size, proved, winner = _Found(np.inf), np.inf, np.inf, -1
    seed = few(asked.coarse, others, 1)
    for rows in (seed, None):
        if rows is None:
            reach = geometry.stretch * size * (np.sqrt(len(asked.query)) if asked.linf else 1.0)
            rows, bisectors = linear_program_kernels.candidates(
                asked.coarse, asked.error, others[others != seed[0]], geometry.embedded, geometry.images, asked.point,
                asked.blurs, asked.pool[:_BOUNDING], reach, size, asked.linf,
            )  # fmt: skip
        else:
            bisectors = np.zeros(1)
        for j, bound in zip(rows, bisectors, strict=True):
            if bound >= size:
                break
            found = _subproblem(asked, int(j), size)
            if found.step is not None or found.failed:
                proved = min(proved, found.proved)
            if found.step is not None and (now := asked.size(found.step)) < size:
                best, size, winner = found, now, int(j)
    return winner, _Found(min(proved, size), best.step, best.touching)


def _subproblem(asked: _Query, j: int, best: float) -> _Found:
    """The smallest step after which row j is no farther than any own row, given up once it is proved >= best.

    The shortest such step in l2 comes first: its multipliers bound the size in any norm, and the rows that it touches
    are the constraints to begin with. Others are added as they are violated.
    """
    geometry, query = asked.geometry, asked.query
    unbounded = np.full_like(query, np.inf)
    root = np.empty((0, 0)) if geometry.root is None else geometry.root
    shortest, _, feasible, touching, need, tilt = exact_kernels.solve(
        j, np.inf, asked.pool, asked.own, asked.coarse, asked.error, geometry.embedded, geometry.images, asked.point,
        root, asked.blurs, -unbounded, unbounded, False,
    )  # fmt: skip
    # The multipliers times the constraints: every solution d has shortest . d >= need.
    unit = exact_kernels.precision(len(query))
    proved = linear_program_kernels.least(shortest, need, asked.low, asked.high, asked.linf, tilt) * (1.0 - unit)
    if proved >= best or not np.isfinite(proved):
        return _Found(proved)
    if asked.size(shortest) >= _ROUNDED * np.sqrt(len(query)) * proved:
        # Rounding is as large as what it rounds: no programme could tell more.
        return _Found(proved, shortest if feasible else None, touching, failed=not feasible)
    program = ShortestVector(asked.linf, shortest, proved, asked.low, asked.high)
    program.add(shortest[None], np.array([-need]), tilt)
    held = np.union1d(touching, asked.pool[:_FIRST])
    program.add(*geometry.halfspaces(query, j, held), *geometry.rounding(query, j, held))
    for _ in range(_ROUNDS):
        try:
            step, least = program.solve()
        except NotSolved:
            return _Found(proved, failed=True)
        proved = max(proved, least)
        if proved >= best:
            return _Found(proved)
        violated, touching = _nearer(asked, j, step)
        violated = np.setdiff1d(violated, held)
        if len(violated) == 0:
            return _Found(proved, step, touching, failed=proved < asked.size(step) * (1 - _GAP))
        held = np.union1d(held, violated)
        program.add(*geometry.halfspaces(query, j, violated), *geometry.rounding(query, j, violated))
    return _Found(proved, failed=True)


def _nearer(asked: _Query, j: int, step: Float[np.ndarray, " d"]) -> tuple[np.ndarray, np.ndarray]:
    """Own rows that are nearer than row j after the step, and those at nearly the same distance."""
    geometry = asked.geometry
    moved = geometry.embed((asked.query + step)[None])[0]
    target = exact_kernels.gap(geometry.embedded[j], moved)
    length = np.sqrt(exact_kernels.gap(asked.point, moved))
    tolerance = _TIE * exact_kernels.gap(geometry.embedded[j], asked.point)
    for rows in (asked.pool, asked.own):
        violated, touching = linear_program_kernels.nearer(
            asked.coarse, asked.error, rows, geometry.embedded, moved, target, length, tolerance, _GROW
        )
        if len(violated):
            break
    return violated, touching
