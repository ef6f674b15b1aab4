"""What an adversary may do to an input: stay within `eps` of it in a norm, and within the bounds of valid inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.checks import Bounds, as_bounds
from trustworthy.core.errors import InvalidInput
from trustworthy.core.free import Examples, Free, only, put_back
from trustworthy.core.norms import AbstractNorm, AbstractSize, Linf, Norm, Radius, as_norm, per_example

SLACK = 2.0**-40
"""Share of a radius that the sums of a norm in float64 may be wrong by."""


def rounded_inwards(x: Examples, center: Examples) -> Examples:
    """`x` in the type of `center`, every coordinate rounded towards that of `center`, and so never further from it."""
    rounded, origin = x.to(center.dtype), center.to(x.dtype)
    beyond = torch.where(x >= origin, rounded.to(x.dtype) > x, rounded.to(x.dtype) < x)
    return torch.where(beyond, rounded.nextafter(center), rounded)


def settled(x: Examples, center: Examples, norm: AbstractSize, eps: Radius | None, bounds: Bounds | None) -> Examples:
    """`x`, which rounding may have put outside, inside the ball around `center` and the box to the last digit.

    Inside is what float64 measures at the numbers that are returned, of the type of `center`; `eps` None is no ball.
    """
    wide = torch.float32 if x.device.type == "mps" else torch.float64  # that device has nothing wider
    origin, there = center.to(wide), x.to(wide)
    if bounds is not None:
        there = there.clamp(*bounds)
    if eps is not None:
        radius = torch.as_tensor(eps, dtype=wide, device=x.device).expand(len(x))
        moved, inner = there - origin, radius * (1 - SLACK)
        size = norm.size(moved)
        if isinstance(norm, Linf):  # a maximum is exact
            outside, shorter = size > radius, norm.project(moved, inner)
        else:
            outside, shorter = size > inner, moved * per_example(inner / size, moved)
        there = torch.where(outside.reshape(-1, *[1] * (x.ndim - 1)), origin + shorter, there)
    return rounded_inwards(there, center)


@dataclass(frozen=True)
class ThreatModel:
    """The ball of radius `eps` in `norm` around each input, cut with the box `bounds`.

    Parameters
    ----------
    norm : "l1", "l2", "linf" or a norm object.
    eps : radius >= 0 in the units of the input, or a tensor (batch,) with one radius per example.
    bounds : (lowest, highest) value of a valid input coordinate, each a number or a tensor (batch, *shape) that leaves
        the inputs inside, or None for no box.
    free : which coordinates may change, or None for all: the ball is then one of the free coordinates alone.
    """

    norm: Norm
    eps: Radius
    bounds: Any = (0.0, 1.0)  # no overload of torch.clamp takes a union of numbers and tensors
    free: Free = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "norm", as_norm(self.norm))
        if not self._has_own_bounds:
            object.__setattr__(self, "bounds", as_bounds(self.bounds))
        if self.free is not None and self.free.dtype != torch.bool:
            raise InvalidInput(f"free must be boolean (batch, *shape), got {self.free.dtype}; pass mask != 0.")
        if not isinstance(self.eps, Tensor):
            object.__setattr__(self, "eps", checks.real("eps", self.eps, at_least=0.0))
        elif self.eps.ndim != 1 or not bool(((self.eps >= 0) & self.eps.isfinite()).all()):
            raise InvalidInput(f"eps must be one finite radius >= 0 or a tensor (batch,) of them, got {self.eps!r}.")

    @property
    def geometry(self) -> AbstractNorm:
        """The norm as an object."""
        return as_norm(self.norm)

    @property
    def _has_own_bounds(self) -> bool:
        """Whether every coordinate has bounds of its own."""
        return isinstance(self.bounds, tuple) and isinstance(self.bounds[0], Tensor)

    def subset(self, rows: Tensor) -> ThreatModel:
        """The same threat to the examples `rows` alone."""
        parts: dict[str, Any] = {name: value[rows] for name, value in vars(self).items() if isinstance(value, Tensor)}
        if self._has_own_bounds:
            parts["bounds"] = tuple(end[rows] for end in self.bounds)
        return replace(self, **parts) if parts else self

    def clip(self, x: Examples) -> Examples:
        """Move every coordinate into the bounds."""
        return x if self.bounds is None else x.clamp(*self.bounds)

    def project(self, center: Examples, x: Examples) -> Examples:
        """Bring `x` into the ball around `center`, then into the bounds; what is not free is put back.

        The centre lies in the box, so the second step only shortens coordinates of x - center and cannot leave the
        ball. For linf the result is the exact projection on the intersection; for l1 and l2 it is a point of it.
        """
        # In place from here: `project` returned a tensor that nobody else holds, and allocating another for each of
        # the two operations takes longer than the operation itself.
        moved = self.geometry.project(only(self.free, x - center), self.eps).add_(center)
        return put_back(self.free, moved if self.bounds is None else moved.clamp_(*self.bounds), center)

    def movable(self, x: Examples, grad: Examples) -> Examples:
        """Zero what is not free or would leave the box in an ascent direction, so that no step is spent on it."""
        grad = only(self.free, grad)
        if self.bounds is None:
            return grad
        low, high = self.bounds
        # The signs are 0 at the bounds and 1 inside, so that the products keep upward moves below `high` and downward
        # ones above `low`. A comparison would say the same in a boolean mask, and its conversion takes three times as
        # long as the sign.
        upward = (high - x).sign_().mul_(grad.clamp_min(0))
        return upward.add_((x - low).sign_().mul_(grad.clamp_max(0)))

    def sample(self, center: Examples, generator: torch.Generator | None = None) -> Examples:
        """Uniform points of the ball around `center`, clipped to the bounds."""
        return self.clip(center + self.geometry.sample(center, self.eps, generator, self.free))

    def violation(self, center: Examples, x: Examples) -> Float[Tensor, " batch"]:
        """How far each example lies outside the ball, the box or what is free (0 inside), in the units of the input."""
        size = self.geometry.size(x - center)
        outside = (size - per_example(self.eps, size)).clamp_min(0.0)
        outside = torch.maximum(outside, Linf().size(x - self.clip(x)))
        return outside if self.free is None else torch.maximum(outside, Linf().size(only(~self.free, x - center)))
