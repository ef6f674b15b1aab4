"""Geometry of the l_p balls that every threat model uses.

A norm works on a batch: the first axis is the batch, the rest is one example. A radius is a float, or a tensor of
shape (batch,) with one radius per example. Every operation is differentiable code on the device of its input.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.free import Examples, Free, dimension, only

Radius = float | Tensor


def per_example(values: Radius, like: Tensor) -> Radius:
    """Reshape one value per example so that it broadcasts over the examples of `like`; a float passes through.

    Floating values take the precision of `like`, which a radius in float64 would otherwise raise.
    """
    if not isinstance(values, Tensor):
        return values
    cast = values.to(like.dtype) if values.is_floating_point() else values
    return cast.reshape(-1, *[1] * (like.ndim - 1))


def _tiny(values: Tensor) -> float:
    return torch.finfo(values.dtype).tiny


class AbstractSize(ABC):
    """How large each perturbation of a batch is."""

    name: ClassVar[str]
    """Name at public doors."""

    @abstractmethod
    def size(self, d: Examples) -> Float[Tensor, " batch"]:
        """Size of each perturbation."""


@dataclass(frozen=True)
class L0(AbstractSize):
    """Number of coordinates that change.

    It is no norm, since half of a change counts as much as all of it. Its ball is neither bounded nor convex: no point
    of it is drawn uniformly, no step in it is steepest, it has no dual, and so no threat model takes it.
    """

    name = "l0"

    def size(self, d: Examples) -> Float[Tensor, " batch"]:
        return (d != 0).flatten(1).sum(1).to(d.dtype)


class AbstractNorm(AbstractSize):
    """Norm of a batch of perturbations."""

    dual_name: ClassVar[str]

    @abstractmethod
    def project(self, d: Examples, eps: Radius) -> Examples:
        """Nearest point, in Euclidean distance, of the ball of radius `eps` around zero."""

    @abstractmethod
    def steepest(self, grad: Examples) -> Examples:
        """Step of norm at most one that maximises <grad, step>; zero where the gradient is zero."""

    @abstractmethod
    def sample(
        self, like: Examples, eps: Radius, generator: torch.Generator | None = None, free: Free = None
    ) -> Examples:
        """Independent perturbations of the shape of `like`, uniform in the ball of radius `eps`.

        With `free` they are uniform in the ball of the free coordinates, and zero elsewhere.
        """

    @property
    def dual(self) -> AbstractNorm:
        """The dual norm: max <grad, d> over the unit ball is `dual.size(grad)`."""
        return NORMS[self.dual_name]


@dataclass(frozen=True)
class Linf(AbstractNorm):
    """Largest absolute coordinate."""

    name = "linf"
    dual_name = "l1"

    def size(self, d: Examples) -> Float[Tensor, " batch"]:
        return d.flatten(1).abs().amax(1)

    def project(self, d: Examples, eps: Radius) -> Examples:
        radius = per_example(eps, d)
        return (
            torch.minimum(torch.maximum(d, -radius), radius) if isinstance(radius, Tensor) else d.clamp(-radius, radius)
        )

    def steepest(self, grad: Examples) -> Examples:
        return grad.sign()

    def sample(
        self, like: Examples, eps: Radius, generator: torch.Generator | None = None, free: Free = None
    ) -> Examples:
        return only(free, torch.empty_like(like).uniform_(-1.0, 1.0, generator=generator)) * per_example(eps, like)


@dataclass(frozen=True)
class L2(AbstractNorm):
    """Euclidean length."""

    name = "l2"
    dual_name = "l2"

    def size(self, d: Examples) -> Float[Tensor, " batch"]:
        return d.flatten(1).norm(dim=1)

    def project(self, d: Examples, eps: Radius) -> Examples:
        size = self.size(d)
        shrink = (per_example(eps, size) / size.clamp_min(_tiny(d))).clamp_max(1.0)
        return d * per_example(shrink, d)

    def steepest(self, grad: Examples) -> Examples:
        length = self.size(grad)
        safe = _tiny(grad) ** 0.5 * 1e4  # below, squares of coordinates underflow; beyond its inverse they overflow
        # The short way divides once and needs lengths in the safe range. Only the CPU looks whether they are: a GPU
        # would have to finish its queue to answer, which costs more than the two passes that the short way saves.
        if grad.device.type == "cpu" and bool(((length > safe) & (length < 1 / safe)).all()):
            return grad / per_example(length, grad)
        # The largest coordinate is divided out first.
        scaled = grad / per_example(Linf().size(grad).clamp_min(_tiny(grad)), grad)
        return scaled / per_example(self.size(scaled).clamp_min(_tiny(grad)), grad)

    def sample(
        self, like: Examples, eps: Radius, generator: torch.Generator | None = None, free: Free = None
    ) -> Examples:
        direction = self.steepest(only(free, torch.empty_like(like).normal_(generator=generator)))
        radius = like.new_empty(len(like)).uniform_(generator=generator) ** (1.0 / dimension(free, like))
        return direction * per_example(radius * eps, like)


@dataclass(frozen=True)
class L1(AbstractNorm):
    """Sum of the absolute coordinates."""

    name = "l1"
    dual_name = "linf"

    def size(self, d: Examples) -> Float[Tensor, " batch"]:
        return d.flatten(1).abs().sum(1)

    def project(self, d: Examples, eps: Radius) -> Examples:
        """Soft-threshold at the level where the sizes add up to `eps` (sort-based, O(d log d))."""
        flat = d.flatten(1)
        magnitude, radius = flat.abs(), per_example(eps, flat)
        # Measured from the largest coordinate, whatever stays is at most `eps` away: no digit is lost far outside.
        below = magnitude - magnitude.detach().amax(1, keepdim=True)
        ordered = below.sort(dim=1, descending=True).values
        excess = ordered.cumsum(1) - radius
        rank = torch.arange(1, flat.shape[1] + 1, device=d.device, dtype=d.dtype)
        kept = (ordered * rank > excess).sum(1, keepdim=True).clamp_min(1)
        level = excess.gather(1, kept - 1) / kept
        inside = magnitude.sum(1, keepdim=True) <= radius
        shrunk = flat.sign() * (below - level).clamp_min(0.0)
        return torch.where(inside, flat, shrunk).reshape(d.shape)

    def steepest(self, grad: Examples) -> Examples:
        flat = grad.flatten(1)
        where = flat.abs().argmax(1, keepdim=True)
        step = torch.zeros_like(flat).scatter_(1, where, flat.gather(1, where).sign())
        return step.reshape(grad.shape)

    def sample(
        self, like: Examples, eps: Radius, generator: torch.Generator | None = None, free: Free = None
    ) -> Examples:
        flat = like.flatten(1)
        magnitude = only(free, torch.empty_like(like).exponential_(generator=generator)).flatten(1)
        slack = flat.new_empty(len(flat), 1).exponential_(generator=generator)
        sign = torch.empty_like(flat).uniform_(-1.0, 1.0, generator=generator).sign()
        inside = sign * magnitude / (magnitude.sum(1, keepdim=True) + slack)
        return inside.reshape(like.shape) * per_example(eps, like)


NORMS: dict[str, AbstractNorm] = {"l1": L1(), "l2": L2(), "linf": Linf()}
Norm = str | AbstractSize


def as_norm(norm: Norm) -> AbstractNorm:
    """Turn a name ("l1", "l2", "linf") into its norm; a norm passes through."""
    if isinstance(norm, AbstractNorm):
        return norm
    if not isinstance(norm, str):
        raise InvalidInput(f"norm must be a name or a norm object, got {norm!r}. Known: {', '.join(NORMS)}.")
    return checks.choice("norm", norm, NORMS)


def as_size(norm: Norm) -> AbstractSize:
    """As `as_norm`, for who measures perturbations and does no more: "l0" is known too."""
    return L0() if norm == "l0" or isinstance(norm, L0) else as_norm(norm)
