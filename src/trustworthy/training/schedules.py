"""Learning rates over a run, as factors on the optimizer's own rate.

A schedule is a pure function of the step, so a resumed run needs nothing of it but the step.
"""

from __future__ import annotations

import bisect
import itertools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput


class AbstractSchedule(ABC):
    """Factor on the learning rate at each step of a run."""

    @abstractmethod
    def factor(self, step: int, steps: int) -> float:
        """Factor at `step`, 0 to steps - 1."""

    def phase(self, step: int, steps: int) -> int:
        """Number of the phase that `step` belongs to; each phase begins with a fresh optimizer."""
        return 0


@dataclass(frozen=True)
class Constant(AbstractSchedule):
    """The optimizer's own rate throughout."""

    def factor(self, step: int, steps: int) -> float:
        return 1.0


@dataclass(frozen=True, kw_only=True)
class _WarmThenDecay(AbstractSchedule):
    """Linear rise to 1 over the share `warmup` of the run, then a fall to `final`.

    Parameters
    ----------
    warmup : share of the steps in [0, 1] that the rate rises.
    final : factor in [0, 1] that the fall ends at, after the last step.
    """

    warmup: float = 0.0
    final: float = 0.0

    def __post_init__(self) -> None:
        checks.real("warmup", self.warmup, at_least=0.0, at_most=1.0)
        checks.real("final", self.final, at_least=0.0, at_most=1.0)

    def factor(self, step: int, steps: int) -> float:
        rising = round(self.warmup * steps)
        if step < rising:
            return (step + 1) / rising
        return self.final + (1.0 - self.final) * self._fall((step - rising) / (steps - rising))

    @abstractmethod
    def _fall(self, progress: float) -> float:
        """From 1 at `progress` 0 to 0 at `progress` 1."""


@dataclass(frozen=True, kw_only=True)
class Linear(_WarmThenDecay):
    """Linear rise to 1 over the share `warmup` of the steps, then a straight fall to the factor `final`."""

    def _fall(self, progress: float) -> float:
        return 1.0 - progress


@dataclass(frozen=True, kw_only=True)
class Cosine(_WarmThenDecay):
    """Linear rise to 1 over the share `warmup` of the steps, then half a cosine down to the factor `final`."""

    def _fall(self, progress: float) -> float:
        return 0.5 * (1.0 + math.cos(math.pi * progress))


@dataclass(frozen=True, kw_only=True)
class CyclicCosine(AbstractSchedule):
    """Half a cosine from 1 down to 0, again and again: the rate jumps up where a cycle begins.

    Parameters
    ----------
    cycles : >= 1, as long as each other, as far as they end with a part.
    parts : of which the run has so many, equally long (its epochs), >= cycles; None where cycles may end at any step.

    Reference: Huang et al. 2017, Snapshot ensembles.
    """

    cycles: int
    parts: int | None = None

    def __post_init__(self) -> None:
        checks.integer("cycles", self.cycles, at_least=1)
        if self.parts is not None:
            checks.integer("parts", self.parts, at_least=1)
            if self.cycles > self.parts:
                raise InvalidInput(
                    f"cycles must be at most as many as the parts (epochs) of the run, {self.parts}, got "
                    f"{self.cycles}: a cycle takes one at least. Train for more epochs, or with fewer cycles."
                )

    def ends(self, whole: int) -> list[int]:
        """Where the cycles end in a run of length `whole`: that of its steps, or of its parts."""
        parts = self.parts or whole
        return [(cycle * parts // self.cycles) * whole // parts for cycle in range(1, self.cycles + 1)]

    def factor(self, step: int, steps: int) -> float:
        ends = [0, *self.ends(steps)]
        cycle = bisect.bisect_right(ends, step)
        start, end = ends[cycle - 1], ends[cycle]
        return 0.5 * (1.0 + math.cos(math.pi * (step - start) / (end - start)))


@dataclass(frozen=True, kw_only=True)
class Phases(AbstractSchedule):
    """Phases of constant rate, each `divisor` times lower than the one before and with a fresh optimizer (chapter 2).

    Parameters
    ----------
    lengths : relative length of each phase, whole numbers >= 1. The default is the dissertation's 80, 60, 40 and 20
        epochs: exactly these in a run of 200 epochs, in proportion in another.
    divisor : > 0, what the rate is divided by from one phase to the next.
    """

    lengths: tuple[int, ...] = (80, 60, 40, 20)
    divisor: float = 10.0

    def __post_init__(self) -> None:
        if not self.lengths:
            raise InvalidInput("lengths must name at least one phase, got none.")
        for length in self.lengths:
            checks.integer("lengths", length, at_least=1)
        checks.real("divisor", self.divisor, above=0.0)

    def phase(self, step: int, steps: int) -> int:
        ends = list(itertools.accumulate(self.lengths))
        return sum(step * ends[-1] >= end * steps for end in ends)

    def factor(self, step: int, steps: int) -> float:
        return self.divisor ** -self.phase(step, steps)
