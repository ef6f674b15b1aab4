"""Dormand-Prince 5(4): steps as long as the tolerance allows, for equations without noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NoReturn

import torch
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import IntegrationFailed
from trustworthy.integrate.runge_kutta import DORMAND_PRINCE, Slope, State, Tableau, combined, stages
from trustworthy.integrate.solvers import Solver

_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 10.0
_NORMED = 2
_REMEDIES = "take RK4() with a fixed number of steps, larger rtol and atol, or float64"


@dataclass(frozen=True, kw_only=True)
class DormandPrince(Solver):
    """Order 5, with an embedded one of order 4 whose difference is the error of a step.

    A step is taken where the error of every row of the batch, the root mean square of error / (atol + rtol |y|) over
    the row, is at most 1: a row is as exact in a batch as alone, and all rows share the steps. Steps end at the saved
    times. Six evaluations a step, and six for one that is not taken.

    Parameters
    ----------
    rtol, atol : relative and absolute tolerance of a step, > 0.
    max_steps : steps tried, >= 1, until IntegrationFailed is raised.
    """

    rtol: float = 1e-5
    atol: float = 1e-6
    max_steps: int = 10_000
    tableau: ClassVar[Tableau] = DORMAND_PRINCE

    def __post_init__(self) -> None:
        checks.real("rtol", self.rtol, above=0.0)
        checks.real("atol", self.atol, above=0.0)
        checks.integer("max_steps", self.max_steps, at_least=1)

    def solve(self, slope: Slope, times: Sequence[float], state: State) -> tuple[list[State], int]:
        """The states at times[1:], which lie in one direction from times[0], and the number of steps taken.

        The first two parts of the state count in the error; the gradients of parameters behind them stay out of it.

        Raises
        ------
        IntegrationFailed
            Where a step has to be too small to move the time, or `max_steps` are not enough.
        """
        t, *stops = times
        start, end = t, stops[-1]
        first = slope(t, state)
        h = self._first_step(t, end, state, first)
        found: list[State] = []
        taken = tried = 0
        for stop in stops:
            while t != stop:
                if tried >= self.max_steps:
                    _fail(f"{self.max_steps} steps (max_steps) do not reach {end:.6g}", t, h, first)
                tried += 1
                length, reaches = (stop - t, True) if abs(h) >= abs(stop - t) else (h, False)
                slopes = stages(self.tableau, slope, t, length, state, first)
                later = combined(state, length, self.tableau.weights, slopes)
                error = self._error(state, later, length, slopes)
                if error <= 1:
                    t, state, first = (stop if reaches else t + length), later, slopes[-1]
                    taken += 1
                if not reaches or error > 1:  # a step that was cut says nothing of how long the next may be
                    h = length * _factor(error)
                if abs(h) <= 16 * math.ulp(max(abs(t), abs(end - start))):
                    _fail("the step became too small to move the time", t, h, first)
            found.append(state)
        return found, taken

    def _error(self, state: State, later: State, h: float, slopes: list[State]) -> float:
        worst = 0.0
        with torch.no_grad():
            for index in range(min(_NORMED, len(state))):
                before, after = state[index], later[index]
                wrong = combined((torch.zeros_like(after),), h, self.tableau.error, [(k[index],) for k in slopes])[0]
                size = _largest_row(wrong / self._scale(torch.maximum(before.abs(), after.abs())))
                worst = size if not worst >= size else worst  # NaN goes through
        return worst

    def _first_step(self, t: float, end: float, state: State, first: State) -> float:
        """One that changes the state by a hundredth of itself: h_0 of Hairer, Norsett and Wanner 1993, section II.4."""
        size, steep = (
            max(
                _largest_row(part / self._scale(like.abs())) for part, like in zip(parts[:_NORMED], state, strict=False)
            )
            for parts in (state, first)
        )
        if not math.isfinite(steep + size):
            _fail("the state or its slope is not finite", t, 0.0, first)
        h = 1e-6 if min(size, steep) < 1e-5 else 0.01 * size / steep
        return math.copysign(min(h, abs(end - t)), end - t)

    def _scale(self, magnitude: Tensor) -> Tensor:
        return self.atol + self.rtol * magnitude.detach()


def _factor(error: float) -> float:
    """By which the next step is longer."""
    if not math.isfinite(error):
        return _SHRINK
    return min(_GROW, max(_SHRINK, _SAFETY * max(error, 1e-10) ** -0.2))


def _fail(why: str, t: float, h: float, slopes: State) -> NoReturn:
    steepest = max(part.detach().abs().max().item() for part in slopes[:_NORMED])
    raise IntegrationFailed(
        f"{why}: at t = {t:.6g} the step is {abs(h):.3g} and the largest |f| is {steepest:.3g}. The equation may "
        f"be stiff there, or blow up; {_REMEDIES}, or end the interval before."
    )


def _largest_row(x: Tensor) -> float:
    """Largest over the rows of the root mean square of a row."""
    if x.numel() == 0:
        return 0.0
    return float(x.detach().reshape(len(x), -1).square().mean(1).sqrt().max())
