"""What an adversary may do to an input: stay within `eps` of it in a norm, and within the bounds of valid inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.norms import AbstractNorm, Linf, Norm, Radius, as_norm, per_example

Bounds = tuple[float, float]


def as_bounds(bounds: Bounds | None) -> Bounds | None:
    """Check a pair (lowest, highest) of valid input values; None means unbounded."""
    if bounds is None:
        return None
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise InvalidInput(f"bounds must be a pair (lowest, highest) or None, got {bounds!r}.")
    low, high = (checks.real("bounds", edge) for edge in bounds)
    if not low < high:
        raise InvalidInput(f"bounds must have lowest < highest, got {bounds!r}.")
    return low, high


@dataclass(frozen=True)
class ThreatModel:
    """The ball of radius `eps` in `norm` around each input, cut with the box `bounds`.

    Parameters
    ----------
    norm : "l1", "l2", "linf" or a norm object.
    eps : radius >= 0 in the units of the input, or a tensor (batch,) with one radius per example.
    bounds : (lowest, highest) value of a valid input coordinate, or None for no box.
    """

    norm: Norm
    eps: Radius
    bounds: Bounds | None = (0.0, 1.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "norm", as_norm(self.norm))
        object.__setattr__(self, "bounds", as_bounds(self.bounds))
        if not isinstance(self.eps, Tensor):
            object.__setattr__(self, "eps", checks.real("eps", self.eps, at_least=0.0))
        elif self.eps.ndim != 1 or not bool(((self.eps >= 0) & self.eps.isfinite()).all()):
            raise InvalidInput(f"eps must be one finite radius >= 0 or a tensor (batch,) of them, got {self.eps!r}.")

    @property
    def geometry(self) -> AbstractNorm:
        """The norm as an object."""
        return as_norm(self.norm)

    def subset(self, rows: Tensor) -> ThreatModel:
        """The same threat to the examples `rows` alone."""
        return replace(self, eps=self.eps[rows]) if isinstance(self.eps, Tensor) else self

    def clip(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Move every coordinate into the bounds."""
        return x if self.bounds is None else x.clamp(*self.bounds)

    def project(
        self, center: Float[Tensor, "batch *shape"], x: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, "batch *shape"]:
        """Bring `x` into the ball around `center`, then into the bounds.

        The centre lies in the box, so the second step only shortens coordinates of x - center and cannot leave the
        ball. For linf the result is the exact projection on the intersection; for l1 and l2 it is a point of it.
        """
        # In place from here: a fresh page for every pass would cost more than the pass.
        moved = self.geometry.project(x - center, self.eps).add_(center)
        return moved if self.bounds is None else moved.clamp_(*self.bounds)

    def movable(
        self, x: Float[Tensor, "batch *shape"], grad: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, "batch *shape"]:
        """Zero the coordinates of an ascent direction that would leave the box, so that no step is spent on them."""
        if self.bounds is None:
            return grad
        low, high = self.bounds
        # The signs are 0 at the bounds and 1 inside; comparisons, which change the type, take three times as long.
        upward = (high - x).sign_().mul_(grad.clamp_min(0))
        return upward.add_((x - low).sign_().mul_(grad.clamp_max(0)))

    def sample(
        self, center: Float[Tensor, "batch *shape"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch *shape"]:
        """Uniform points of the ball around `center`, clipped to the bounds."""
        return self.clip(center + self.geometry.sample(center, self.eps, generator))

    def violation(
        self, center: Float[Tensor, "batch *shape"], x: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, " batch"]:
        """How far each example lies outside the ball or the box (0 inside), in the units of the input."""
        size = self.geometry.size(x - center)
        outside = (size - per_example(self.eps, size)).clamp_min(0.0)
        return torch.maximum(outside, Linf().size(x - self.clip(x)))
