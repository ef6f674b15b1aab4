"""Harmonic solutions (D_uu - S_uu)⁻¹ S_ul Y of eq. (1.1): Cholesky, conjugate gradients, iteration, elimination."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, cg
from sklearn.exceptions import ConvergenceWarning

from trustworthy.core import checks
from trustworthy.core.errors import warn
from trustworthy.graphs.affinity import Graph, check_fits, row_sums
from trustworthy.graphs.elimination_kernels import eliminate

_NEAR = 1e-8  # how far the answer to labels that are all 1 may be from 1 before it is not believed
_TOLERANCE = 1e-10  # relative residual of conjugate gradients, and change of an iteration, at which they stop
_STEPS = 10_000  # and how often they may try
_SURE, _ROUGH = 100 * _NEAR, 1e-2  # how far sums of values may be from what they should be
SMALL = 4000  # rows of a sparse graph up to which a dense factor is quicker at every width
_BLOCK = 128  # rows eliminated at a time
_ROWS = 8 * _BLOCK  # rows changed at a time, which bounds the memory; whole blocks

Solve = Callable[[Graph, np.ndarray], np.ndarray]
"""(D_uu - S_uu)⁻¹ of a graph all of whose rows are reached, times right sides (unlabelled, k)."""


def harmonic(
    graph: Graph, values: Float[np.ndarray, "labelled k"], solver: str = "auto"
) -> Float[np.ndarray, "unlabelled k"]:
    """Values of the unlabelled rows, each the mean of its neighbours by affinity; NaN where no label is reached.

    solver : "cholesky"; "cg", preconditioned by the degrees; "iteration", f <- D⁻¹ (S_uu f + S_ul y); "elimination",
        exact to rounding at any gamma and slower than Cholesky, which falls back on it; or "auto", conjugate gradients
        for sparse graphs of more than 4,000 unlabelled rows and Cholesky for others.

    What the labels, brought to [0, 1], lack of a fixed sum is solved for as well: where the answers have another sum,
    the graph all but falls apart, and the solvers that cannot bear it say so.
    """
    return _in_shares(graph, values, checks.choice("solver", solver, SOLVERS), _SURE)


def rough_harmonic(graph: Graph, values: Float[np.ndarray, "labelled k"]) -> Float[np.ndarray, "unlabelled k"]:
    """`harmonic` to two digits or so, by conjugate gradients that warn where few steps do not suffice for them."""
    return _in_shares(graph, values, partial(_descend, tolerance=1e-5, steps=500), _ROUGH)


def _in_shares(
    graph: Graph, values: Float[np.ndarray, "labelled k"], solve: Solve, near: float
) -> Float[np.ndarray, "unlabelled k"]:
    low, spread = values.min(axis=0), np.ptp(values, axis=0)
    shares = (values - low) / np.where(spread > 0.0, spread, 1.0)
    shares = np.column_stack([shares, shares.shape[1] - shares.sum(axis=1)])  # (labelled, k + 1)
    found = _solved(graph, lambda part: np.asarray(part.across @ shares), values.shape[1], solve, near)
    return low + spread * found[:, :-1]


def harmonic_operator(graph: Graph, solver: str = "auto") -> Float[np.ndarray, "unlabelled labelled"]:
    """The matrix K = (D_uu - S_uu)⁻¹ S_ul that labels are multiplied by; its rows are averages. NaN as `harmonic`."""
    unlabelled, labelled = graph.across.shape
    check_fits(unlabelled + labelled, 2 * unlabelled * labelled)
    return _solved(graph, lambda part: _dense(part.across), 1, checks.choice("solver", solver, SOLVERS), _SURE)


def _solved(
    graph: Graph, pull: Callable[[Graph], np.ndarray], total: int, solve: Solve, near: float
) -> Float[np.ndarray, "unlabelled k"]:
    """Solutions for right sides that labels with rows of sum `total` have: the values of each row have it too.

    Each of them is in the sum. A column of ones would tell of a direct solver, but conjugate gradients run anew for
    each column, and may fail at one alone.
    """
    reached = graph.reached
    part = graph.part(reached)
    right = pull(part)
    found = np.full((len(reached), right.shape[1]), np.nan)
    if reached.any():
        found[reached] = whole = solve(part, right)
        off = np.flatnonzero(~(np.abs(whole.sum(axis=1) - total) <= near))
        if len(off):
            warn(
                f"the graph all but falls apart: the values of {len(off)} unlabelled rows (the first is unlabelled row "
                f'{off[0]}) are not to be relied on. Lower gamma, raise n_neighbors, or use solver="elimination".'
            )
    return found


def factored(graph: Graph) -> Callable[[Float[np.ndarray, "n k"]], Float[np.ndarray, "n k"]]:
    """The solution f of (D_uu - S_uu) f = b as a function of b, for a graph all of whose rows are reached.

    By a Cholesky factor of I - D^-½ S_uu D^-½; where that does not give 1 to labels of 1, as rows hang together by
    affinities too small beside others, by elimination.
    """
    root = 1.0 / np.sqrt(graph.degree)[:, None]
    system = _dense(graph.within)
    system *= -root
    system *= root[:, 0]
    np.fill_diagonal(system, 1.0)
    try:
        factor = linalg.cho_factor(system.T, lower=True, overwrite_a=True, check_finite=False)
    except linalg.LinAlgError:
        return partial(_elimination, graph)

    def solve(right: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
        return linalg.cho_solve(factor, right * root, check_finite=False) * root

    ones = solve(row_sums(graph.across)[:, None])
    return solve if (np.abs(ones - 1.0) <= _NEAR).all() else partial(_elimination, graph)


def _auto(graph: Graph, pull: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    many = sparse.issparse(graph.within) and len(pull) > SMALL
    return SOLVERS["cg" if many else "cholesky"](graph, pull)


def _elimination(graph: Graph, pull: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    """Take out blocks of rows, the last ones first, and join those that they were joined to: only sums of products.

    Where nothing is subtracted, nothing is lost, however far apart the affinities are (Grassmann, Taksar and Heyman,
    1985). Row sums replace the diagonal. What remains is symmetric: of it the lower triangle alone is kept up to date,
    some rows at a time. `within[block, :start]` then holds the weights by which the values of the rows before the
    block make up its own.
    """
    within, pull = _dense(graph.within), pull.copy()
    attached = row_sums(graph.across)
    starts = range(0, len(pull), _BLOCK)
    for start in reversed(starts):
        block = slice(start, start + _BLOCK)
        outside = np.column_stack([within[block, :start], pull[block], attached[block]])
        leave = within[block, :start].sum(axis=1) + attached[block]
        eliminate(np.ascontiguousarray(within[block, block]), outside, leave)
        joined = within[block, :start].T.copy()
        attached[:start] += joined @ outside[:, -1]
        pull[:start] += joined @ outside[:, start:-1]
        for first in range(0, start, _ROWS):
            last = min(first + _ROWS, start)
            within[first:last, :last] += joined[first:last] @ outside[:, :last]
        within[block, :start], pull[block] = outside[:, :start], outside[:, start:-1]
    for start in starts:
        block = slice(start, start + _BLOCK)
        pull[block] += within[block, :start] @ pull[:start]
    return pull


def _descend(graph: Graph, pull: Float[np.ndarray, "n k"], tolerance: float, steps: int) -> Float[np.ndarray, "n k"]:
    """One run a column, with products S_uu v alone: no factor is stored.

    On I - D^-½ S_uu D^-½, in which the residual of a row with a small degree counts as much as the others'.
    """
    root, shape = 1.0 / np.sqrt(graph.degree), (len(graph.degree),) * 2
    system: Any = LinearOperator(shape, matvec=lambda v: v.ravel() - root * (graph.within @ (root * v.ravel())))  # pyright: ignore[reportCallIssue]
    found = np.empty_like(pull)
    for k, column in enumerate((pull * root[:, None]).T):
        with np.errstate(divide="ignore", invalid="ignore"):  # where it breaks down, the sum of the values tells
            found[:, k], status = cg(system, column, rtol=tolerance, atol=0.0, maxiter=steps)
        if status:
            _say_unfinished("cg", tolerance, steps)
    return found * root[:, None]


def _iteration(graph: Graph, pull: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    degree = graph.degree[:, None]
    found, start = np.zeros_like(pull), pull / degree
    scale = max(float(np.abs(start).max()), np.finfo(float).tiny)
    for _ in range(_STEPS):
        before, found = found, start + (graph.within @ found) / degree
        if np.abs(found - before).max() <= _TOLERANCE * scale:
            return found
    _say_unfinished("iteration", _TOLERANCE, _STEPS)
    return found


def _say_unfinished(what: str, tolerance: float, steps: int) -> None:
    warn(
        f"solver={what!r} stopped after {steps} steps before it reached a relative {tolerance:g}: the values are "
        'only near. Use solver="cholesky".',
        ConvergenceWarning,
    )


def _dense(weights: Any) -> np.ndarray:
    """A dense copy."""
    if not sparse.issparse(weights):
        return weights.copy()
    check_fits(weights.shape[0], weights.shape[0] * weights.shape[1])
    return weights.toarray()


def say_unreached(reached: np.ndarray, rows: np.ndarray, gamma: float) -> None:
    """Warn of unlabelled rows (given by their numbers in X) that no label reaches."""
    lost = rows[~reached]
    if len(lost):
        named = ", ".join(map(str, lost[:10])) + (", ..." if len(lost) > 10 else "")
        warn(
            f"{len(lost)} unlabelled rows of X are joined to no label, even through others (rows {named}): their "
            f"values are NaN. The graph falls apart at gamma={gamma:g}: lower it, raise n_neighbors, or label more."
        )


SOLVERS: dict[str, Solve] = {
    "auto": _auto,
    "cholesky": lambda graph, pull: factored(graph)(pull),
    "cg": lambda graph, pull: _descend(graph, pull, _TOLERANCE, _STEPS),
    "iteration": _iteration,
    "elimination": _elimination,
}
