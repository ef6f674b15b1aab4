"""Exactly N steps on an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput

Interval = tuple[float, float]


@dataclass(frozen=True)
class Grid:
    """`steps` equal steps from `start` to `end`; the last time is `end` itself."""

    start: float
    end: float
    steps: int

    @classmethod
    def of(cls, interval: Interval, steps: int) -> Grid:
        """Check both; refuses an interval that does not go forward."""
        if not isinstance(interval, tuple | list) or len(interval) != 2:
            raise InvalidInput(f"interval must be a pair (first, last) of times, got {interval!r}.")
        start, end = (checks.real("interval", time) for time in interval)
        if not start < end:
            raise InvalidInput(f"interval must have first < last, got {interval!r}; swap them, or give T > 0.")
        return cls(start, end, checks.integer("steps", steps, at_least=1))

    @cached_property
    def step(self) -> float:
        return (self.end - self.start) / self.steps

    def time(self, index: int) -> float:
        return self.end if index == self.steps else self.start + index * self.step

    @property
    def times(self) -> list[float]:
        """All steps + 1 of them."""
        return [self.time(index) for index in range(self.steps + 1)]

    def index(self, time: float) -> int:
        """Number of the grid time that `time` is; refuses a time between two."""
        place = (checks.real("at", time) - self.start) / self.step
        nearest = min(max(round(place), 0), self.steps)
        if abs(place - nearest) > 1e-6:
            raise InvalidInput(
                f"at must have times of the grid of {self.steps} steps from {self.start:g} to {self.end:g}, got "
                f"{time!r}, and the nearest is {self.time(nearest):.12g}; give that, or choose steps so that it is one."
            )
        return nearest


def steps_of(interval: Interval, step_size: float) -> int:
    """The number of steps of the length `step_size` in the interval: 3 of 0.1 in (0, 0.3).

    Raises
    ------
    InvalidInput
        Where it is not a whole number (to 1e-6 of a step).
    """
    whole = Grid.of(interval, 1)
    ratio = whole.step / checks.real("step_size", step_size, above=0.0)
    steps = max(1, round(ratio))
    if abs(ratio - steps) > 1e-6:
        raise InvalidInput(
            f"step_size must divide the interval of length {whole.step:g}, got {step_size!r}; the nearest that does is "
            f"{whole.step / steps:.12g}, or give steps."
        )
    return steps


def ascending(at: Sequence[float], interval: Interval) -> list[float]:
    """Check times to save: at least one, in order, inside of the interval."""
    start, end = interval
    times = [checks.real("at", time) for time in at]
    if not times or any(later <= earlier for earlier, later in pairwise(times)):
        raise InvalidInput(f"at must have one time or more, each later than the one before, got {list(at)!r}.")
    slack = 1e-9 * (end - start)
    if times[0] < start - slack or times[-1] > end + slack:
        raise InvalidInput(
            f"at must have times from {start:g} to {end:g}, the interval, got {list(at)!r}; leave out the others."
        )
    return times
