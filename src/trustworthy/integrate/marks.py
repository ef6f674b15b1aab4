"""Marks Z of the jumps of eq. (2.30): what the size of a jump is multiplied by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from trustworthy.core import checks

Shape = tuple[int, ...]


class Marks(ABC):
    """Distribution of the marks; both ways to draw them give the same distribution."""

    @abstractmethod
    def draw(self, shape: Shape, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
        """Marks of shape[0] jumps: a tensor that broadcasts to `shape` = (jumps, *state), on the generator's device."""

    @abstractmethod
    def total(self, counts: Tensor, shape: Shape, generator: torch.Generator | None) -> Tensor:
        """Sum of `counts` marks for every row, drawn at once where the counts are; broadcasts to `shape`.

        counts : (batch, 1, ...), as many dimensions as `shape` = (batch, *state).
        generator : None for torch's global stream.
        """


@dataclass(frozen=True)
class Ones(Marks):
    """Z = 1: the jumps are J dN."""

    def draw(self, shape: Shape, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
        return torch.ones(_row(shape), dtype=dtype, device=generator.device)

    def total(self, counts: Tensor, shape: Shape, generator: torch.Generator | None) -> Tensor:
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

    def draw(self, shape: Shape, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
        drawn = _row(shape) if self.shared else shape
        positive = torch.rand(drawn, dtype=torch.float64, generator=generator, device=generator.device) < self.p
        return positive.to(dtype).mul_(2).sub_(1)

    def total(self, counts: Tensor, shape: Shape, generator: torch.Generator | None) -> Tensor:
        each = counts if self.shared else counts.expand(shape)
        return 2 * torch.binomial(each, torch.full_like(each, self.p), generator=generator) - counts


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

    def draw(self, shape: Shape, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
        normal = torch.randn(shape, dtype=dtype, generator=generator, device=generator.device)
        return normal.mul_(self.std).add_(self.mean)

    def total(self, counts: Tensor, shape: Shape, generator: torch.Generator | None) -> Tensor:
        normal = torch.randn(shape, generator=generator, dtype=counts.dtype, device=counts.device)
        return self.mean * counts + self.std * counts.sqrt() * normal


def _row(shape: Shape) -> Shape:
    """One number for each jump."""
    return (shape[0], *[1] * (len(shape) - 1))
