"""The smallest linf or l1 perturbation that changes the nearest neighbour's class: eqs. (3.20) and (3.21)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from trustworthy.neighbors import exact_kernels, linear_program_kernels
from trustworthy.neighbors.dual_simplex import NotSolved, ShortestVector
from trustworthy.neighbors.exact_kernels import few
from trustworthy.neighbors.query import Query

_BOUNDING = 8  # own rows whose bisectors bound a subproblem before anything is solved
_POOL = 64  # nearest own rows that constraints are taken from before all are looked at
_FIRST = 16  # constraints that a programme begins with
_GROW = 16  # violated constraints that are added at once
_ROUNDS = 1000  # programmes of a subproblem, each with constraints that the last one violated
_GAP = 1e-7  # relative gap of the dual and the primal value beyond which a programme counts as not solved
_ROUNDED = 2.0  # over what the norms allow: the ratio of a size to what is proved of it that rounding accounts for
_TIE = 1e-10  # relative to a squared distance: what is as good as a tie


@dataclass(frozen=True, eq=False)
class _Task:
    """What the subproblems of one query share."""

    query: Query
    own: Int[np.ndarray, " own"]
    pool: Int[np.ndarray, " pool"]
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


def certify(query: Query, own: Int[np.ndarray, " own"], others: Int[np.ndarray, " others"], linf: bool) -> tuple:
    """As `exact_kernels.certify`, in linf or l1: (step, proved size, row that gets nearer or -1, touching own rows).

    Subproblems go by their bisector bounds, and the rest is left out where these reach the best size so far.
    """
    asked = _Task(query, own, few(query.coarse, own, _POOL), linf)
    scene = asked.query.scene
    best, size, proved, winner = _Found(np.inf), np.inf, np.inf, -1
    seed = few(scene.coarse, others, 1)
    for rows in (seed, None):
        if rows is None:
            reach = scene.stretch * size * (np.sqrt(len(scene.low)) if asked.linf else 1.0)
            rows, bisectors = linear_program_kernels.candidates(
                scene, np.setdiff1d(others, seed), asked.pool[:_BOUNDING], reach, size, asked.linf
            )
            order = np.argsort(bisectors, kind="stable")
            rows, bisectors = rows[order], bisectors[order]
        else:
            bisectors = np.zeros(len(rows))
        for j, bound in zip(rows, bisectors, strict=True):
            if bound >= size:
                break
            found = _subproblem(asked, int(j), size)
            if found.step is not None or found.failed:
                proved = min(proved, found.proved)
            if found.step is not None and (now := asked.size(found.step)) < size:
                best, size, winner = found, now, int(j)
    return best.step, min(proved, size), winner, best.touching


def _subproblem(asked: _Task, j: int, best: float) -> _Found:
    """The smallest step after which row j is no farther than any own row, given up once it is proved >= best.

    The shortest such step in l2 comes first: its multipliers bound the size in any norm, and the rows that it touches
    are the constraints to begin with. Others are added as they are violated.
    """
    scene, halfspaces, query = asked.query.scene, asked.query.geometry.halfspaces, asked.query.x
    low, high = scene.low, scene.high
    shortest, _, feasible, touching, need, tilt = exact_kernels.solve(
        scene._replace(is_boxed=False), np.array([j]), np.inf, asked.pool, asked.own, 0.0
    )
    # The multipliers times the constraints: every solution d has shortest . d >= need.
    unit = exact_kernels.precision(len(query))
    proved = linear_program_kernels.least(shortest, need, low, high, asked.linf, tilt) * (1.0 - unit)
    if proved >= best or not np.isfinite(proved):
        return _Found(proved)
    if asked.size(shortest) >= _ROUNDED * np.sqrt(len(query)) * proved:
        # Rounding is as large as what it rounds: no programme could tell more.
        return _Found(proved, shortest if feasible else None, touching, failed=not feasible)
    program = ShortestVector(asked.linf, shortest, proved, low, high)
    program.add(shortest[None], np.array([-need]), tilt)
    held = np.union1d(touching, asked.pool[:_FIRST])
    program.add(*halfspaces(query, j, held))
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
        program.add(*halfspaces(query, j, violated))
    return _Found(proved, failed=True)


def _nearer(asked: _Task, j: int, step: Float[np.ndarray, " d"]) -> tuple[np.ndarray, np.ndarray]:
    """Own rows that are nearer than row j after the step, and those at nearly the same distance."""
    query, scene = asked.query, asked.query.scene
    moved, row = query.geometry.embed((query.x + step)[None])[0], scene.embedded[j]
    target, length = exact_kernels.gap(row, moved), np.sqrt(exact_kernels.gap(scene.point, moved))
    tolerance = _TIE * exact_kernels.gap(row, scene.point)
    for rows in (asked.pool, asked.own):
        violated, touching = linear_program_kernels.nearer(scene, rows, moved, target, length, tolerance, _GROW)
        if len(violated):
            break
    return violated, touching
