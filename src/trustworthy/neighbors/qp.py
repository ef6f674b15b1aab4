"""The quadratic programmes of chapter 3: the nearest point of an intersection of half-spaces, and its dual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.neighbors import exact_kernels, qp_kernels


@dataclass(frozen=True)
class Solution:
    """A minimiser of 1/2 xᵀPx + qᵀx over x >= 0.

    x : (n,) the variables.
    value : the objective at x.
    iterations : steps that the solver took.
    converged : whether it stopped by its tolerance; False where the objective falls without end.
    """

    x: Float[np.ndarray, " n"]
    value: float
    iterations: int
    converged: bool


@dataclass(frozen=True)
class Projection:
    """The point of an intersection of half-spaces that lies nearest to the origin.

    delta : (d,) the point; NaN where there is none.
    dual : (k,) multipliers of the half-spaces.
    size : Euclidean length of `delta`; inf where there is none.
    lower : length that is proved by the dual, less its rounding: nothing shorter lies in the intersection.
    feasible : whether the intersection holds a point.
    """

    delta: Float[np.ndarray, " d"]
    dual: Float[np.ndarray, " k"]
    size: float
    lower: float
    feasible: bool


def greedy_coordinate_ascent(
    P: ArrayLike, q: ArrayLike, *, tolerance: float = 1e-12, max_iter: int = 20_000
) -> Solution:
    """Minimise 1/2 xᵀPx + qᵀx over x >= 0, one coordinate at a time: Algorithm 9, eqs. (3.13) and (3.14).

    P : (n, n) symmetric positive semi-definite; q : (n,).
    tolerance : the largest projected step below which it stops.
    Cost: n operations a step after O(n²) for the first gradient; quick where few variables end above 0.
    """
    matrix, vector = _as_programme(P, q)
    limit = checks.integer("max_iter", max_iter, at_least=1)
    x = np.zeros_like(vector)
    steps, status = qp_kernels.coordinate_ascent(
        matrix, vector, x, checks.real("tolerance", tolerance, at_least=0.0), limit
    )
    return _solution(matrix, vector, x, steps, status)


def active_set(P: ArrayLike, q: ArrayLike, *, tolerance: float = 1e-12, max_iter: int | None = None) -> Solution:
    """Minimise 1/2 xᵀPx + qᵀx over x >= 0 by Lawson and Hanson's active set: exact up to rounding.

    P : (n, n) symmetric positive semi-definite, of any rank; q : (n,).
    tolerance : gradient, relative to the largest |q|, that counts as zero.
    max_iter : steps at most; None for 50 n + 100.
    Cost: a Cholesky factor of the variables above 0 in each step.
    """
    matrix, vector = _as_programme(P, q)
    limit = 50 * len(vector) + 100 if max_iter is None else checks.integer("max_iter", max_iter, at_least=1)
    x = np.zeros_like(vector)
    steps, status = qp_kernels.active_set(matrix, vector, x, checks.real("tolerance", tolerance, at_least=0.0), limit)
    return _solution(matrix, vector, x, steps, status)


def screened(
    normals: Float[np.ndarray, "k d"], offsets: Float[np.ndarray, " k"], reach: float
) -> Bool[np.ndarray, " k"]:
    """Which multipliers are 0 at the optimum because no point within `reach` touches the plane: Lemma 2, (3.15)."""
    return np.linalg.norm(normals, axis=1) * reach < offsets


def project_halfspaces(
    normals: ArrayLike, offsets: ArrayLike, *, low: ArrayLike | None = None, high: ArrayLike | None = None
) -> Projection:
    """Find the shortest delta with normals @ delta + offsets >= 0 and, if given, low <= delta <= high: (3.5).

    normals : (k, d); offsets : (k,); low <= 0 <= high : (d,), numbers or infinite.
    The intersection may be empty: `feasible` says so. With a box, emptiness is found by a dual without end.
    """
    a, b = np.ascontiguousarray(normals, np.float64), np.ascontiguousarray(offsets, np.float64)
    if a.ndim != 2 or b.shape != (len(a),) or not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InvalidInput(f"normals (k, d) and offsets (k,) must be finite, got shapes {a.shape} and {b.shape}.")
    # Rows of length 1, so that each counts alike whatever its unit; one without a direction stays as it is.
    length = np.linalg.norm(a, axis=1)
    length[length == 0.0] = 1.0
    a, b, dual = a / length[:, None], b / length, np.zeros(len(b))
    bottom, top = (
        np.broadcast_to(np.asarray(edge, np.float64), a.shape[1:]).copy()
        for edge in (-np.inf if low is None else low, np.inf if high is None else high)
    )
    if (bottom > 0).any() or (top < 0).any():
        raise InvalidInput("low and high must hold the origin: low <= 0 <= high in every coordinate.")
    is_boxed = low is not None or high is not None
    if is_boxed:
        _, _, status = qp_kernels.boxed(a, b, bottom, top, dual)
    else:
        _, status = qp_kernels.active_set(a @ a.T, b, dual, 1e-13, 50 * len(b) + 100)
    unit = exact_kernels.precision(a.shape[1])
    normal, need, tilt = exact_kernels.plane(a, b, np.full(len(b), unit), unit * np.abs(b), dual)
    delta, lower = exact_kernels.proof(normal, need, tilt, bottom, top, is_boxed)
    size, dual = float(np.linalg.norm(delta)), dual / length
    if status == qp_kernels.UNBOUNDED or (a @ delta + b < -1e-6 * np.abs(b) - 1e-8 * size).any():
        return Projection(np.full(a.shape[1], np.nan), dual, np.inf, lower, False)
    return Projection(delta, dual, size, lower, True)


def _as_programme(P: ArrayLike, q: ArrayLike) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, " n"]]:
    matrix, vector = np.ascontiguousarray(P, np.float64), np.ascontiguousarray(q, np.float64)
    if vector.ndim != 1 or matrix.shape != (len(vector), len(vector)):
        raise InvalidInput(f"P must have shape (n, n) for q of shape (n,), got {matrix.shape} and {vector.shape}.")
    if not (np.isfinite(matrix).all() and np.isfinite(vector).all()):
        raise InvalidInput("P and q must be finite, got NaN or inf.")
    return matrix, vector


def _solution(matrix: np.ndarray, vector: np.ndarray, x: np.ndarray, steps: int, status: int) -> Solution:
    value = float(0.5 * x @ (matrix @ x) + vector @ x)
    return Solution(x, value, int(steps), bool(status == qp_kernels.SOLVED))
