"""Marks Z of the jumps of eq. (2.30): what the size of a jump is multiplied by."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from trustworthy.core import checks


class Marks(ABC):
    """Distribution of the marks; both ways to draw them give the same distribution."""

    @abstractmethod
    def draw(self, shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
        """Marks of shape[0] jumps: a tensor that broadcasts to `shape` = (jumps, *state), on the generator's device."""

    @abstractmethod
    def total(
        self, counts: Float[Tensor, "batch *ones"], y: Float[Tensor, "batch *state"], generator: torch.Generator | None
    ) -> Tensor:
        """Sum of `counts` marks for every row, drawn at once; broadcasts against `y`. None: torch's global stream."""


@dataclass(frozen=True)
class Ones(Marks):
    """Z = 1: the jumps are J dN."""

    def draw(self, shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
        return torch.ones((shape[0], *[1] * (len(shape) - 1)), dtype=dtype, device=generator.device)

    def total(
        self, counts: Float[Tensor, "batch *ones"], y: Float[Tensor, "batch *state"], generator: torch.Generator | None
    ) -> Tensor:
        return counts


@dataclass(frozen=True, kw_only=True)
class Signs(Marks):
    """Z is +1 with probability p and -1 otherwise, drawn for every number of the state, or once for a row.

    Parameters
    ----------
    p : probability of +1, in [0, 1].
    shared : one mark for all numbers of a row, as in eq. (2.32), where False draws one for each, as in eq. (2.31).
    """

    p: float = 0.5
    shared: bool = False

    def __post_init__(self) -> None:
        checks.real("p", self.p, at_least=0.0, at_most=1.0)

    def draw(self, shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
        drawn = (shape[0], *[1] * (len(shape) - 1)) if self.shared else shape
        positive = torch.rand(drawn, dtype=torch.float64, generator=generator, device=generator.device) < self.p
        return positive.to(dtype).mul_(2).sub_(1)

    def total(
        self, counts: Float[Tensor, "batch *ones"], y: Float[Tensor, "batch *state"], generator: torch.Generator | None
    ) -> Tensor:
        each = counts if self.shared else counts + torch.zeros_like(y)
        if generator is not None:
            each = each.to(generator.device)
        positive = torch.binomial(each, torch.full_like(each, self.p), generator=generator)
        return 2 * positive.to(y.device) - counts


@dataclass(frozen=True, kw_only=True)
class GaussianMarks(Marks):
    """Z is normal, drawn for every number of the state (the jumps of Merton's model).

    Parameters
    ----------
    mean, std : of a mark; std >= 0.
    """

    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        checks.real("mean", self.mean)
        checks.real("std", self.std, at_least=0.0)

    def draw(self, shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
        normal = torch.randn(shape, dtype=dtype, generator=generator, device=generator.device)
        return normal.mul_(self.std).add_(self.mean)

    def total(
        self, counts: Float[Tensor, "batch *ones"], y: Float[Tensor, "batch *state"], generator: torch.Generator | None
    ) -> Tensor:
        return self.mean * counts + self.std * counts.sqrt() * standard_normal(y, generator)


def standard_normal(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """N(0, 1) of the shape and on the device of `like`; drawn where the generator lives, None: the global stream."""
    if generator is None:
        return torch.randn_like(like)
    drawn = torch.randn(like.shape, dtype=like.dtype, generator=generator, device=generator.device)
    return drawn.to(like.device)


def poisson(mean: Tensor, generator: torch.Generator | None) -> Tensor:
    """Poisson counts, on the device of `mean`; drawn where the generator lives, None: the global stream."""
    if generator is None:
        return torch.poisson(mean)
    return torch.poisson(mean.to(generator.device), generator=generator).to(mean.device)


def overflows(mean: float) -> bool:
    """Is a mean number of jumps near to what float32 no longer counts one by one?"""
    return not math.isfinite(mean) or mean > 2**23
