"""Algorithm 1: the quadratic of label poisoning over a ball, problem (1.4), by gradients alone.

`RegressionLabelAttack(solver="algorithm-1")` calls it with H and g of `PoisoningProblem.terms`, and takes the point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from trustworthy.core import checks
from trustworthy.graphs.poisoning.trust_region import TINY, symmetric

# Line search of phase II: share of the slope that a step must earn (sigma), factor between trials (beta), and the
# longest first trial in units of 1 / ||H||.
SUFFICIENT, SHRINK, LONGEST = 0.25, 0.5, 100.0


@dataclass(frozen=True)
class GradientPath:
    """The run of Algorithm 1.

    point : (n,) the last iterate, in the ball of the given radius.
    value : the objective there.
    inside : steps of phase I.
    on_sphere : steps of phase II.
    values : (inside + on_sphere + 1,) the objective at the start and after every step.
    step : step size eta of phase I, in units of the unit ball.
    converged : whether the gradient, on the sphere its tangent part, fell below the tolerance. It is then stationary.
    """

    point: Float[np.ndarray, " n"]
    value: float
    inside: int
    on_sphere: int
    values: Float[np.ndarray, " steps"]
    step: float
    converged: bool


def algorithm_1(
    hessian: Float[np.ndarray, "n n"],
    gradient: Float[np.ndarray, " n"],
    radius: float,
    *,
    max_iter: int = 20_000,
    tol: float = 1e-10,
) -> GradientPath:
    """Minimise 1/2 zᵀHz + gᵀz over ||z|| <= radius by gradients alone: Algorithm 1, with Theorem 1's step and start.

    The problem is scaled to the unit ball: H becomes radius² H, g becomes radius g, and z/radius is iterated. There
    z0 = -alpha g/||g|| with alpha half of min(1, ||g||³ / |gᵀHg|), and eta = 0.99 / max(b, ||g||), where b is the
    smaller of the Frobenius norm and the largest absolute row sum of H and so at least ||H||.
    Phase II starts from the first iterate outside, put back on the sphere. Its line search is Armijo's: the first
    trial is 1 / (mu + min_i H_ii) with mu = -zᵀ(Hz + g), at most 100 / b; a trial that earns less than 1/4 of its
    slope is halved. A step no longer than this first trial cannot change the sign of z along the lowest eigenvector,
    which is what keeps the run away from the local minimum that is not global.

    max_iter : steps of both phases together.
    tol : it stops where the gradient is at most tol ||g|| long, or on the sphere its tangent part tol (b + ||g||). The
        first must not be longer: a short g points out of the saddle at 0, and there it is all the slope there is.

    The printed loop of phase I never ends where the minimum lies inside; here the same test ends it. In the hard case
    (g orthogonal to the lowest eigenvector) every iterate stays orthogonal to that vector, so the run ends in the
    minimum of the rest, which is stationary but not global. With g = 0 there is no start and the origin is returned.
    Cost: two products with H in a step. Raises InvalidInput as `minimize_in_ball`.
    """
    radius = checks.real("radius", radius, at_least=0.0)
    limit = checks.integer("max_iter", max_iter, at_least=1)
    tol = checks.real("tol", tol, at_least=0.0)
    H, g = radius**2 * symmetric(hessian, gradient), radius * gradient
    size = float(np.linalg.norm(g))
    if size == 0.0:
        return GradientPath(np.zeros_like(g), 0.0, 0, 0, np.zeros(1), 0.0, True)
    bound = min(float(np.abs(H).sum(axis=1).max()), float(np.linalg.norm(H)))
    step, small = 0.99 / max(bound, size), tol * (bound + size)
    curvature = abs(float(g @ H @ g)) / size**2
    start = -0.5 * min(1.0, size / max(curvature, TINY)) * g / size
    z, values, inside = _phase_one(H, g, start, step, tol * size, limit)
    outside = float(np.linalg.norm(z)) >= 1.0
    if outside:
        z /= np.linalg.norm(z)
        values[-1] = _objective(H, g, z)
        longest = LONGEST / max(bound, TINY)
        z = _phase_two(H, g, z, longest, small, limit - inside, values)
    slope = H @ z + g
    rest = slope - (z @ slope) * z if outside else slope
    return GradientPath(
        radius * z,
        values[-1],
        inside,
        len(values) - 1 - inside,
        np.array(values),
        step,
        bool(np.linalg.norm(rest) <= (small if outside else tol * size)),
    )


def _phase_one(
    H: np.ndarray, g: np.ndarray, z: np.ndarray, step: float, small: float, limit: int
) -> tuple[np.ndarray, list[float], int]:
    """Lines 5 to 7: gradient steps until one leaves the unit ball, or until the gradient is small."""
    values = [_objective(H, g, z)]
    for taken in range(limit):
        slope = H @ z + g
        if np.linalg.norm(slope) <= small:
            return z, values, taken
        z = z - step * slope
        values.append(_objective(H, g, z))
        if np.linalg.norm(z) >= 1.0:
            return z, values, taken + 1
    return z, values, limit


def _phase_two(
    H: np.ndarray, g: np.ndarray, z: np.ndarray, longest: float, small: float, limit: int, values: list[float]
) -> np.ndarray:
    """Lines 9 to 13: projected gradient steps on the unit sphere; appends the objective after each to `values`."""
    floor = float(np.diag(H).min())  # at least the lowest eigenvalue
    for _ in range(limit):
        slope = H @ z + g
        pull = -float(z @ slope)
        tangent = slope + pull * z
        if np.linalg.norm(tangent) <= small:
            break
        first = longest if pull + floor <= 1.0 / longest else 1.0 / (pull + floor)
        z = z - _armijo(H, g, z, tangent, first) * tangent
        z /= np.linalg.norm(z)
        values.append(_objective(H, g, z))
    return z


def _armijo(H: np.ndarray, g: np.ndarray, z: np.ndarray, tangent: np.ndarray, step: float) -> float:
    """Shrink `step` until moving along -tangent and back to the sphere earns its share of the slope."""
    squared = float(tangent @ tangent)
    bend = float(tangent @ (H @ tangent)) - squared * float(z @ (H @ z))
    along_z, along_tangent = float(g @ z), float(g @ tangent)
    while step > TINY:
        # f after the step minus f before it, arranged so that every term is small with the tangent
        length = math.sqrt(1.0 + step**2 * squared)
        change = (
            (0.5 * step**2 * bend - step * squared) / length**2
            - along_z * step**2 * squared / (length * (1.0 + length))
            - along_tangent * step**3 * squared / (length**2 * (1.0 + length))
        )
        if change <= -SUFFICIENT * step * squared:
            break
        step *= SHRINK
    return step


def _objective(H: np.ndarray, g: np.ndarray, z: np.ndarray) -> float:
    return float(0.5 * z @ (H @ z) + g @ z)
