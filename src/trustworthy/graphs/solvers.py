"""Harmonic solutions (D_uu - S_uu)⁻¹ S_ul Y of eq. (1.1): Cholesky, conjugate gradients, iteration, elimination."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy import linalg, sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee
from sklearn.exceptions import ConvergenceWarning

from trustworthy.core import checks
from trustworthy.core.errors import warn
from trustworthy.graphs.affinity import Graph, check_fits, row_sums
from trustworthy.graphs.solver_kernels import descend, eliminate

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
    shares, low, spread = _shares(values)
    solve = checks.choice("solver", solver, SOLVERS)
    found = _solved(graph, lambda part: np.asarray(part.across @ shares), shares[0].sum(), solve)
    return low + spread * found[:, : values.shape[1]]


def rough_left_out(
    weights: Any,
    component: Int[np.ndarray, " n"],
    known: Int[np.ndarray, " labelled"],
    values: Float[np.ndarray, "labelled k"],
    fold: Int[np.ndarray, " labelled"],
) -> Float[np.ndarray, "labelled k"]:
    """Values of known rows of a fold to two digits or so, from the others; NaN where they are joined to none.

    By conjugate gradients for all folds at a time, that warn where few steps do not suffice.

    weights, component : (n, n) sparse affinities of all rows, and (n,) numbers of the parts that hang together.
    fold : (labelled,) from 0, and below 0 where a label is never hidden, whose values are NaN; none holds all labels.
    """
    shares, low, spread = _shares(values)
    told = fold[:, None] != np.arange(fold.max() + 1)  # (labelled, folds)
    held = np.zeros((weights.shape[0], *told.shape[1:], *shares.shape[1:]))
    held[known] = told[:, :, None] * shares[:, None]
    pull = np.asarray(weights @ held.reshape(len(held), -1))
    pull[known] *= ~np.repeat(told, shares.shape[1], axis=1)
    of_row = np.full(len(held), -1)
    of_row[known] = np.where(fold < 0, told.shape[1], fold)
    of = np.repeat(np.arange(told.shape[1]), shares.shape[1])
    found = _descend(weights, row_sums(weights), pull, 1e-5, 500, of_row, of).reshape(held.shape)
    predicted = np.full_like(values, np.nan)
    for part, sure in enumerate(told.T):
        reached = np.isin(component, component[known[sure]])
        reached[known[sure]] = False
        _say_apart(found[reached, part], shares[0].sum(), _ROUGH)
        found[~reached, part] = np.nan
        predicted[~sure] = low + spread * found[known[~sure], part, : values.shape[1]]
    return predicted


def _shares(
    values: Float[np.ndarray, "labelled k"],
) -> tuple[Float[np.ndarray, "labelled m"], Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Labels brought to [0, 1], with a column more where they have no fixed sum but 0; and how they were brought."""
    low, spread = values.min(axis=0), np.ptp(values, axis=0)
    shares = (values - low) / np.where(spread > 0.0, spread, 1.0)
    sums = shares.sum(axis=1)
    if np.ptp(sums) > 0.0 or sums[0] == 0.0:
        shares = np.column_stack([shares, shares.shape[1] - sums])
    return shares, low, spread


def harmonic_operator(graph: Graph, solver: str = "auto") -> Float[np.ndarray, "unlabelled labelled"]:
    """The matrix K = (D_uu - S_uu)⁻¹ S_ul that labels are multiplied by; its rows are averages. NaN as `harmonic`."""
    unlabelled, labelled = graph.across.shape
    check_fits(unlabelled + labelled, 2 * unlabelled * labelled)
    return _solved(graph, lambda part: _dense(part.across), 1.0, checks.choice("solver", solver, SOLVERS))


def _solved(
    graph: Graph, pull: Callable[[Graph], np.ndarray], total: float, solve: Solve
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
        _say_apart(whole, total, _SURE)
    return found


def _say_apart(whole: Float[np.ndarray, "unlabelled k"], total: float, near: float) -> None:
    """Warn of rows that do not have the sum that they should have."""
    off = np.flatnonzero(~(np.abs(whole.sum(axis=1) - total) <= near))
    if len(off):
        warn(
            f"the graph all but falls apart: the values of {len(off)} unlabelled rows (the first is unlabelled row "
            f'{off[0]}) are not to be relied on. Lower gamma, raise n_neighbors, or use solver="elimination".'
        )


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


def _descend(
    weights: Any,
    degree: Float[np.ndarray, " n"],
    pull: Float[np.ndarray, "n k"],
    tolerance: float,
    steps: int,
    fold: Int[np.ndarray, " n"] | None = None,
    of: Int[np.ndarray, " k"] | None = None,
) -> Float[np.ndarray, "n k"]:
    """Conjugate gradients preconditioned by the degrees, all columns in step: no factor is stored.

    A row with a fold of at least 0 is 0 but in the columns of that fold; `pull` must be so too. Sparse rows are put in
    an order in which neighbours are near one another: products wait for the memory.
    """
    order = np.arange(len(degree))
    if sparse.issparse(weights):
        order = reverse_cuthill_mckee(weights, symmetric_mode=True)
        weights = weights[order][:, order]
    degree = np.where(degree > 0.0, degree, 1.0)[order]  # where it is 0, so is the residual
    fold = np.full(len(order), -1) if fold is None else fold[order]
    left = np.arange(pull.shape[1])
    of = np.zeros_like(left) if of is None else of
    answer = np.empty_like(pull)
    residual = pull[order]
    direction, found = residual / degree[:, None], np.zeros_like(residual)
    size = np.einsum("ij,ij->j", residual, direction)
    goal = tolerance * np.sqrt(size)
    for _ in range(steps + 1):
        going = ~(np.sqrt(size) <= goal)
        if not going.all():
            answer[np.ix_(order, left[~going])] = found[:, ~going]
            left, of, size, goal = left[going], of[going], size[going], goal[going]
            direction, found, residual = (np.compress(going, part, axis=1) for part in (direction, found, residual))
        if not len(left):
            return answer
        size = descend(degree, fold, of, np.asarray(weights @ direction), direction, found, residual, size)
    answer[np.ix_(order, left)] = found
    _say_unfinished("cg", tolerance, steps)
    return answer


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
    "cg": lambda graph, pull: _descend(graph.within, graph.degree, pull, _TOLERANCE, _STEPS),
    "iteration": _iteration,
    "elimination": _elimination,
}
