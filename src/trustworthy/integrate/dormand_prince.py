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
    first_step : length of the first step, > 0; None estimates it (one evaluation).
    max_steps : steps tried, >= 1, until IntegrationFailed is raised.
    """

    rtol: float = 1e-5
    atol: float = 1e-6
    first_step: float | None = None
    max_steps: int = 10_000
    tableau: ClassVar[Tableau] = DORMAND_PRINCE

    def __post_init__(self) -> None:
        checks.real("rtol", self.rtol, above=0.0)
        checks.real("atol", self.atol, above=0.0)
        checks.integer("max_steps", self.max_steps, at_least=1)
        if self.first_step is not None:
            checks.real("first_step", self.first_step, above=0.0)

    def solve(
        self, slope: Slope, start: float, stops: Sequence[float], state: State, *, normed: int
    ) -> tuple[list[State], int]:
        """The states at `stops`, which lie in one direction from `start`, and the number of steps taken.

        normed : the first so many parts of the state count in the error; the others are carried along.

        Raises
        ------
        IntegrationFailed
            Where a step has to be too small to move the time, or `max_steps` are not enough.
        """
        t, end = start, stops[-1]
        first = slope(t, state)
        h = self._first_step(slope, t, end, state, first, normed)
        found: list[State] = []
        taken = tried = 0
        for stop in stops:
            while t != stop:
                tried += 1
                length, reaches = (stop - t, True) if abs(h) >= abs(stop - t) else (h, False)
                slopes = stages(self.tableau, slope, t, length, state, first)
                later = combined(state, length, self.tableau.weights, slopes)
                error = self._error(state, later, length, slopes, normed)
                if error <= 1:
                    t, state, first = (stop if reaches else t + length), later, slopes[-1]
                    taken += 1
                if not reaches or error > 1:  # a step that was cut says nothing of how long the next may be
                    h = length * self._factor(error)
                if tried >= self.max_steps and not (reaches and error <= 1 and stop == end):
                    self._fail(f"{self.max_steps} steps (max_steps) do not reach {end:.6g}", t, h, first[:normed])
                if abs(h) <= 16 * math.ulp(max(abs(t), abs(end - start))):
                    self._fail("the step became too small to move the time", t, h, first[:normed])
            found.append(state)
        return found, taken

    def _factor(self, error: float) -> float:
        if not math.isfinite(error):
            return _SHRINK
        return min(_GROW, max(_SHRINK, _SAFETY * max(error, 1e-10) ** -0.2))

    def _error(self, state: State, later: State, h: float, slopes: list[State], normed: int) -> float:
        worst = 0.0
        with torch.no_grad():
            for index in range(normed):
                before, after = state[index], later[index]
                wrong = combined((torch.zeros_like(after),), h, self.tableau.error, [(k[index],) for k in slopes])[0]
                scale = self.atol + self.rtol * torch.maximum(before.abs(), after.abs())
                size = _largest_row(wrong / scale)
                worst = size if not worst >= size else worst  # NaN goes through
        return worst

    def _first_step(self, slope: Slope, t: float, end: float, state: State, first: State, normed: int) -> float:
        """Hairer, Norsett and Wanner 1993, section II.4."""
        if self.first_step is not None:
            return math.copysign(self.first_step, end - t)
        with torch.no_grad():
            scales = [self.atol + self.rtol * part.abs() for part in state[:normed]]
            size = max(_largest_row(part / scale) for part, scale in zip(state, scales, strict=False))
            steep = max(_largest_row(part / scale) for part, scale in zip(first, scales, strict=False))
            if not math.isfinite(steep + size):
                self._fail("the state or its slope is not finite", t, 0.0, first[:normed])
            h = math.copysign(1e-6 if min(size, steep) < 1e-5 else 0.01 * size / steep, end - t)
            h = math.copysign(min(abs(h), abs(end - t)), h)
            second = slope(t + h, combined(state, h, (1.0,), [first]))
            bent = max(_largest_row((b - a) / s) for a, b, s in zip(first, second, scales, strict=False)) / abs(h)
        most = max(steep, bent)
        ideal = max(1e-6, abs(h) * 1e-3) if not most > 1e-15 else (0.01 / most) ** 0.2
        return math.copysign(min(100 * abs(h), ideal, abs(end - t)), end - t)

    def _fail(self, why: str, t: float, h: float, slopes: State) -> NoReturn:
        steepest = max(part.detach().abs().max().item() for part in slopes)
        raise IntegrationFailed(
            f"{why}: at t = {t:.6g} the step is {abs(h):.3g} and the largest |f| is {steepest:.3g}. The equation may "
            f"be stiff there, or blow up; {_REMEDIES}, or end the interval before."
        )


def _largest_row(x: Tensor) -> float:
    """Largest over the rows of the root mean square of a row."""
    if x.numel() == 0:
        return 0.0
    return float(x.detach().reshape(len(x), -1).square().mean(1).sqrt().max())
