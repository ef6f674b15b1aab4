"""Kinds of noise of section 2.3.1, as values: each makes the terms of eq. (2.30) of a drift."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.integrate import Signs, Terms
from trustworthy.nn.jump_sde.drift import Drift

Slope = Callable[[float, Tensor], Tensor]


class Noise(ABC):
    """What the drift of a network is joined by."""

    @abstractmethod
    def terms(self, drift: Slope, learned: nn.Module | None) -> Terms:
        """The terms of eq. (2.30)."""

    def mean(self, drift: Slope) -> Terms:
        """The equation with its noise replaced by the noise's mean."""
        return Terms(drift=drift)

    def learned(self, channels: int) -> nn.Module | None:
        """Weights that the noise has of its own."""
        return None


@dataclass(frozen=True)
class NoNoise(Noise):
    """A neural ordinary differential equation, eq. (2.28)."""

    def terms(self, drift: Slope, learned: nn.Module | None) -> Terms:
        return Terms(drift=drift)


@dataclass(frozen=True, kw_only=True)
class _Scaled(Noise):
    sigma: float = 0.1

    def __post_init__(self) -> None:
        checks.real("sigma", self.sigma, at_least=0.0)


@dataclass(frozen=True, kw_only=True)
class Additive(_Scaled):
    """G = sigma, eqs. (2.35) and (2.37). sigma >= 0."""

    def terms(self, drift: Slope, learned: nn.Module | None) -> Terms:
        return Terms(drift=drift, diffusion=lambda t, h: self.sigma)


@dataclass(frozen=True, kw_only=True)
class Multiplicative(_Scaled):
    """G = sigma h, eq. (2.37). sigma >= 0.

    shared : one Brownian motion for all numbers of a row, as Corollary 2.1 has it, where False gives each its own, as
        the experiments do.
    """

    shared: bool = False

    def terms(self, drift: Slope, learned: nn.Module | None) -> Terms:
        if self.shared:
            return Terms(drift=drift, diffusion=lambda t, h: (self.sigma * h).unsqueeze(-1), brownian_motions=1)
        return Terms(drift=drift, diffusion=lambda t, h: self.sigma * h)


@dataclass(frozen=True, kw_only=True)
class DriftMultiplicative(_Scaled):
    """G = sigma f(h), eq. (2.36), of one evaluation of f. sigma >= 0."""

    def terms(self, drift: Slope, learned: nn.Module | None) -> Terms:
        return Terms(fg=_of_one(drift, lambda f: (f, self.sigma * f)))


@dataclass(frozen=True, kw_only=True)
class GaussianDropout(Noise):
    """G = sqrt(p / (1 - p)) f(h), eq. (2.34), of one evaluation of f. p in [0, 1) is the drop rate."""

    p: float = 0.1

    def __post_init__(self) -> None:
        if not checks.real("p", self.p, at_least=0.0) < 1:
            raise InvalidInput(f"p must be < 1, got {self.p!r}; at 1 nothing would be left to scale.")

    def terms(self, drift: Slope, learned: nn.Module | None) -> Terms:
        factor = math.sqrt(self.p / (1 - self.p))
        return Terms(fg=_of_one(drift, lambda f: (f, factor * f)))


@dataclass(frozen=True, kw_only=True)
class BernoulliDropout(Noise):
    """Drift f / 2 and jumps 2 f * Z, eq. (2.31), of one evaluation of f; Z is -1 with probability p, +1 otherwise.

    The continuous equation is taken as it is printed, with Z = +-1 and jumps of 2 f. The line before it has
    (gamma - 1/2) / 2 = +-1/4 in the place of Z, so a jump is four times what one dropout layer changes.

    Parameters
    ----------
    p : drop rate, in [0, 1].
    rate : jumps of a row per unit of time, >= 0.
    """

    p: float = 0.5
    rate: float = 1.0
    shared: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checks.real("p", self.p, at_least=0.0, at_most=1.0)
        checks.real("rate", self.rate, at_least=0.0)

    def terms(self, drift: Slope, learned: nn.Module | None) -> Terms:
        marks = Signs(p=1 - self.p, shared=self.shared)
        return Terms(fj=_of_one(drift, lambda f: (f / 2, 2 * f)), rate=self.rate, marks=marks)

    def mean(self, drift: Slope) -> Terms:
        share = 0.5 + 2 * self.rate * (1 - 2 * self.p)
        return Terms(drift=lambda t, h: share * drift(t, h))


@dataclass(frozen=True, kw_only=True)
class StochasticDepth(BernoulliDropout):
    """`BernoulliDropout` with one Z for all numbers of a row, eq. (2.32). Parameters of `BernoulliDropout`."""

    shared: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class Learned(_Scaled):
    """G(h, t; v) is a network of its own, of the kind of the drift, times sigma >= 0."""

    def terms(self, drift: Slope, learned: nn.Module | None) -> Terms:
        assert learned is not None
        return Terms(drift=drift, diffusion=lambda t, h: self.sigma * learned(t, h))

    def learned(self, channels: int) -> nn.Module:
        return Drift(channels)


NOISES: dict[str, type[Noise]] = {
    "none": NoNoise,
    "additive": Additive,
    "multiplicative": Multiplicative,
    "drift-multiplicative": DriftMultiplicative,
    "gaussian-dropout": GaussianDropout,
    "bernoulli-dropout": BernoulliDropout,
    "stochastic-depth": StochasticDepth,
    "learned": Learned,
}


def _of_one(drift: Slope, pair: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Callable[..., tuple[Tensor, Tensor]]:
    """Two terms from one evaluation of the drift."""
    return lambda t, h: pair(drift(t, h))
