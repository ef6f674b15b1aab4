"""The quadratic of label poisoning over a ball, problem (1.4): its exact minimum.

`PoisoningProblem` makes H (labelled, labelled) and g (labelled,) of K, labels and aim; minimisers are the changes of
real labels, the ranking of `relaxed`, and the bounds of `attack` and `sparse`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import eigh

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput

ROUNDING = float(np.finfo(np.float64).eps)
TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class BallMinimum:
    """A global minimiser of 1/2 zᵀHz + gᵀz over ||z|| <= radius.

    point : (n,) the minimiser z.
    value : the objective at z.
    multiplier : lambda >= 0 with (H + lambda I) z = -g and H + lambda I positive semi-definite, which proves that z
        is global; 0 where z lies inside. Infinite for a ball of radius 0, unless g = 0.
    hard : whether g is orthogonal to the kernel of H + lambda I, so that this is one of several minimisers.
    """

    point: Float[np.ndarray, " n"]
    value: float
    multiplier: float
    hard: bool


@dataclass(frozen=True)
class Quadratic:
    """1/2 zᵀHz + gᵀz in the eigenvectors of H; one decomposition serves every radius.

    eigenvalues : (n,) of H, rising.
    vectors : (n, n) eigenvectors of H in the columns.
    linear : (n,) g in these coordinates.
    """

    eigenvalues: Float[np.ndarray, " n"]
    vectors: Float[np.ndarray, "n n"]
    linear: Float[np.ndarray, " n"]

    @classmethod
    def of(cls, hessian: Float[np.ndarray, "n n"], gradient: Float[np.ndarray, " n"]) -> Quadratic:
        """Decompose a symmetric H. Cost: O(n³). Raises InvalidInput where H is not symmetric or not finite."""
        matrix = symmetric(hessian, gradient)
        eigenvalues, vectors = eigh(matrix, driver="evd", check_finite=False)
        return cls(eigenvalues, vectors, vectors.T @ gradient)

    def minimum(self, radius: float) -> BallMinimum:
        """Return the global minimum over ||z|| <= radius, up to rounding. Cost: O(n²).

        Where several points are optimal the choice is fixed: the shortest one if the minimum is reached inside, else
        the one that adds to the shortest the direction of the lowest eigenspace that leans most on one coordinate.
        """
        radius = checks.real("radius", radius, at_least=0.0)
        lift = max(0.0, -float(self.eigenvalues[0]))
        if radius == 0.0:
            return BallMinimum(np.zeros_like(self.linear), 0.0, math.inf if self.linear.any() else lift, False)
        gaps = self.eigenvalues + lift
        hard = self._hard(gaps, lift, radius)
        if hard is not None:
            return hard
        shift = _secular_root(gaps, self.linear, radius)
        inner = -_quotient(self.linear, gaps + shift)
        return self._found(inner, self.vectors @ inner, lift + shift, hard=False)

    def _hard(self, gaps: Float[np.ndarray, " n"], lift: float, radius: float) -> BallMinimum | None:
        """Return the minimum at lambda = lift if H + lift I is singular there and g orthogonal to its kernel, or None.

        Eigenvalues that rounding cannot tell from the lowest count as equal to it, and a small part of g in their
        eigenspace as zero, where both change the objective by rounding alone.
        """
        wide = len(gaps) * ROUNDING * float(np.abs(self.eigenvalues).max())
        for low in (gaps <= wide, gaps == 0.0):
            linear = np.where(low, 0.0, self.linear)
            inner = -_quotient(linear, gaps)
            room = 1.0 - float(np.linalg.norm(inner / radius)) ** 2
            if not low.any() or room < 0.0:
                continue
            point = self.vectors @ inner
            if lift > 0.0:
                reach = radius * math.sqrt(room) * _lowest_direction(self.vectors, low)
                inner, point = inner + self.vectors.T @ reach, point + reach
            found = self._found(inner, point, lift, hard=True)
            harm = radius * float(np.linalg.norm(self.linear[low])) + radius**2 * float(gaps[low].max())
            if harm <= 8 * len(gaps) * ROUNDING * abs(found.value):
                return found
        return None

    def _found(
        self, inner: Float[np.ndarray, " n"], point: Float[np.ndarray, " n"], multiplier: float, *, hard: bool
    ) -> BallMinimum:
        """Build the result; at a stationary point the objective is 1/2 gᵀz - lambda/2 ||z||², without cancellation."""
        value = 0.5 * float(self.linear @ inner) - 0.5 * multiplier * float(inner @ inner)
        return BallMinimum(point, value, multiplier, hard)


def minimize_in_ball(
    hessian: Float[np.ndarray, "n n"], gradient: Float[np.ndarray, " n"], radius: float
) -> BallMinimum:
    """Minimise 1/2 zᵀHz + gᵀz over ||z|| <= radius for any symmetric H: problem (1.4), solved to rounding.

    An eigen-decomposition turns the conditions of optimality into one equation for the multiplier. Cost: O(n³); for
    many radii keep `Quadratic.of(hessian, gradient)`. Raises InvalidInput where H is not symmetric, something is not
    finite, or radius < 0.
    """
    return Quadratic.of(hessian, gradient).minimum(radius)


def _secular_root(gaps: Float[np.ndarray, " n"], linear: Float[np.ndarray, " n"], radius: float) -> float:
    """Return the shift s >= 0 with ||linear / (gaps + s)|| = radius, or 0 where the norm is below radius at s = 0.

    1/||.|| is a power mean of the rising lines (gaps + s)/|linear| and so concave: Newton's iterates from the left
    rise to the root and never pass it.
    """
    if gaps[0] > 0.0 and np.linalg.norm(_quotient(linear, gaps) / radius) <= 1.0:
        return 0.0
    scaled = linear / radius
    shift = max(TINY, float((np.abs(scaled) - gaps).max()))
    for _ in range(100):
        ratio = _quotient(scaled, gaps + shift)
        norm = float(np.linalg.norm(ratio))
        further = shift + (norm - 1.0) * norm**2 / float(ratio @ _quotient(ratio, gaps + shift))
        if norm <= 1.0 + ROUNDING or further <= shift:
            break
        shift = further
    return shift


def _lowest_direction(vectors: Float[np.ndarray, "n n"], low: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return the unit vector of the lowest eigenspace nearest to a coordinate axis: no choice of basis matters."""
    basis = vectors[:, low]
    lengths = np.linalg.norm(basis, axis=1)
    axis = int(np.argmax(lengths >= lengths.max() * (1.0 - 1e-9)))
    direction = basis @ basis[axis]
    return direction / np.linalg.norm(direction)


def _quotient(above: Float[np.ndarray, " n"], below: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Divide, with 0/0 = 0."""
    return np.divide(above, below, out=np.zeros_like(above), where=above != 0.0)


def symmetric(hessian: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Check that something is there, that all is finite and that H equals its transpose up to rounding; return H."""
    if not len(gradient):
        raise InvalidInput("hessian must have shape (n, n) with n >= 1, got n = 0.")
    if not (np.isfinite(hessian).all() and np.isfinite(gradient).all()):
        raise InvalidInput("hessian and gradient must be finite, got NaN or inf.")
    apart = float(np.abs(hessian - hessian.T).max())
    if apart > 1e-10 * float(np.abs(hessian).max()):
        raise InvalidInput(
            f"hessian must be symmetric, got a matrix that differs from its transpose by up to {apart:.3g}. "
            "Pass (hessian + hessian.T) / 2 if that is what is meant."
        )
    return 0.5 * (hessian + hessian.T)
