"""The values that coordinates may take: inside a range, by whole steps from the value that each example has.

Whoever poses an attack gives it a `Grid`; the attack places on it what it found, (batch, *shape) in and out.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from trustworthy.core.errors import InvalidInput
from trustworthy.core.free import Examples

FLOATING = 2.0**-36
"""Share of a coordinate, beside 16 units of its last digit, by which a point may miss a step and still be on it."""


def rounding(x: Tensor) -> float:
    """Share of a coordinate of the type of `x` that tells no two values apart."""
    return 16 * torch.finfo(x.dtype).eps + FLOATING


@dataclass(frozen=True, eq=False, kw_only=True)
class Grid:
    """Range and step of each coordinate, the same for all examples, in the units of the attacked inputs.

    low, high : the range (*shape); an infinity for no limit. An example that lies outside may move into it, and no
        further out.
    step : >= 0, of the shape of `low`; 0 for a coordinate that moves continuously. Steps count from the value that the
        example has.
    """

    low: Tensor
    high: Tensor
    step: Tensor

    def __post_init__(self) -> None:
        if not self.low.shape == self.high.shape == self.step.shape:
            shapes = ", ".join(str(tuple(getattr(self, field.name).shape)) for field in fields(self))
            raise InvalidInput(f"low, high and step of a grid must have one shape, that of an example, got {shapes}.")
        if not bool((self.low <= self.high).all()):
            raise InvalidInput("low of a grid must be <= high everywhere; swap them, or use infinities for no limit.")
        if not bool(((self.step >= 0) & self.step.isfinite()).all()):
            raise InvalidInput("step of a grid must be finite and >= 0; use 0 where a coordinate moves continuously.")

    def fitted(self, x: Examples) -> Grid:
        """Check that this is a grid for the batch `x`, and bring it to its type and device."""
        if self.low.shape != x.shape[1:]:
            raise InvalidInput(
                f"grid must have the shape of an example, {tuple(x.shape[1:])}, got {tuple(self.low.shape)}."
            )
        return Grid(low=self.low.to(x), high=self.high.to(x), step=self.step.to(x))

    def box(self, origin: Examples) -> tuple[Examples, Examples]:
        """Lowest and highest values that each example may take."""
        return torch.minimum(self.low, origin), torch.maximum(self.high, origin)

    def placed(self, x: Examples, origin: Examples) -> Examples:
        """`x` inside the range and on whole steps from `origin`, rounded towards it, and so never further from it.

        What is on a step but for rounding stays as it is.
        """
        inside = x.clamp(*self.box(origin))
        moved = inside - origin
        slack = rounding(x) * torch.maximum(inside.abs(), origin.abs())
        whole = origin + (self.step * ((moved.abs() + slack) / self.step).floor()).copysign(moved)
        return torch.where((self.step > 0) & ((inside - whole).abs() > slack), whole, inside)
