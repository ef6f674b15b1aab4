"""Sets of inputs, one for each example, over which a linear functional has a least value in closed form.

`least` takes functionals (some, rows, *shape), where `some` is the batch, or 1 for functionals that all examples share.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from trustworthy.core.free import Free, only
from trustworthy.core.norms import AbstractNorm, Linf, per_example
from trustworthy.core.threat import ThreatModel


@dataclass(frozen=True)
class Box:
    """Inputs between `lower` and `upper`, coordinate by coordinate."""

    lower: Float[Tensor, "batch *shape"]
    upper: Float[Tensor, "batch *shape"]

    def least(self, a: Float[Tensor, "some rows *shape"]) -> Float[Tensor, "batch rows"]:
        """Least values of the functionals: at a corner."""
        center, radius = (self.upper + self.lower) / 2, (self.upper - self.lower) / 2
        return _applied(a, center) - _applied(a.abs(), radius)


@dataclass(frozen=True)
class Ball:
    """Inputs within `eps` of `center` in `norm` that differ where they are `free`.

    A functional loses eps times the dual norm of its free part.
    """

    center: Float[Tensor, "batch *shape"]
    eps: Float[Tensor, " batch"]
    norm: AbstractNorm
    free: Free = None

    def least(self, a: Float[Tensor, "some rows *shape"]) -> Float[Tensor, "batch rows"]:
        """Least values of the functionals."""
        movable = free_part(self.free, a)
        dual = self.norm.dual.size(movable.flatten(0, 1)).reshape(movable.shape[:2])
        return _applied(a, self.center) - per_example(self.eps, dual) * dual


Region = Box | Ball


def region_of(threat: ThreatModel, x: Float[Tensor, "batch *shape"], eps: Float[Tensor, " batch"]) -> Region:
    """The ball of `threat`'s norm in what is free around `x`; in linf cut with its bounds, which others leave out."""
    if not isinstance(threat.geometry, Linf):
        return Ball(x, eps, threat.geometry, threat.free)
    radius = only(threat.free, torch.zeros_like(x) + per_example(eps, x))
    return Box(threat.clip(x - radius), threat.clip(x + radius))


def free_part(free: Free, a: Float[Tensor, "some rows *shape"]) -> Float[Tensor, "_ rows *shape"]:
    """Functionals of what may change alone."""
    return a if free is None else torch.where(free[:, None], a, 0.0)


def _applied(a: Float[Tensor, "some rows *shape"], x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch rows"]:
    return torch.einsum("brd,bd->br", a.flatten(2), x.flatten(1))
