"""Solvers with a fixed step, as values: one step of each from its formula."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from trustworthy.core.errors import InvalidInput
from trustworthy.integrate.runge_kutta import EULER, HEUN, RUNGE_KUTTA_4, Tableau
from trustworthy.integrate.terms import Terms


class Solver:
    """A method to go from one time to the next; `tableau` is what is left of it without noise."""

    tableau: ClassVar[Tableau]
    takes: ClassVar[tuple[str, ...]] = ()
    """What else than a drift: "diffusion" (diagonal), "mixed" ones, "jumps"."""

    def check(self, terms: Terms) -> None:
        """Refuse terms that this solver has no rule for."""
        name = type(self).__name__
        if terms.has_diffusion and "diffusion" not in self.takes:
            raise InvalidInput(f"{name} solves equations without diffusion, got one; take Euler(), or Milstein().")
        if terms.brownian_motions is not None and "mixed" not in self.takes:
            raise InvalidInput(
                f"{name} takes a diagonal diffusion, got one that mixes {terms.brownian_motions} Brownian motions; "
                "take Euler() or Heun()."
            )
        if terms.has_jumps and "jumps" not in self.takes:
            raise InvalidInput(f"{name} solves equations without jumps, got some; take Euler() or Heun().")


class FixedStep(Solver):
    """A solver that takes as many equal steps as it is told."""


class Noisy(FixedStep, ABC):
    """One that takes noise."""

    @abstractmethod
    def step(self, terms: Terms, t: float, h: float, y: Tensor, dw: Tensor | None, dz: Tensor | None) -> Tensor:
        """State at t + h, from the state y at t.

        dw, dz : increments of the Brownian motion and sums of marks over the step; None for terms without.
        """


@dataclass(frozen=True)
class Euler(Noisy):
    """Euler-Maruyama: y + f h + g dB + J dZ.

    Strong order 1/2 (1 where g does not depend on y); order 1 without noise. One evaluation a step. All jumps of a
    step start from the state where it begins.
    """

    tableau = EULER
    takes = ("diffusion", "mixed", "jumps")

    def step(self, terms: Terms, t: float, h: float, y: Tensor, dw: Tensor | None, dz: Tensor | None) -> Tensor:
        return _euler(terms, terms.values(t, y), h, y, dw, dz)


@dataclass(frozen=True)
class Heun(Noisy):
    """Predictor and corrector of the drift: y + (f(t, y) + f(t + h, predicted)) h / 2 + g dB + J dZ.

    The diffusion is taken where the step begins, so that this is an Ito integral as eq. (2.30) (what is called
    stochastic Heun corrects the diffusion as well, and solves a Stratonovich equation). Strong order 1/2; order 2
    without noise. Two evaluations of the drift a step. Kloeden and Platen 1992, section 15.5, theta = 1/2, eta = 0.
    """

    tableau = HEUN
    takes = ("diffusion", "mixed", "jumps")

    def step(self, terms: Terms, t: float, h: float, y: Tensor, dw: Tensor | None, dz: Tensor | None) -> Tensor:
        values = terms.values(t, y)
        predicted = _euler(terms, values, h, y, dw, dz)
        return predicted.add(terms.drift_at(t + h, predicted) - values[0], alpha=h / 2)


@dataclass(frozen=True)
class Milstein(Noisy):
    """y + f h + g dB + (g(y + g sqrt(h)) - g) (dB^2 - h) / (2 sqrt(h)): the derivative of g by a difference.

    The difference is exact where g is linear. Strong order 1 where each number of g depends on the same number of the
    state alone; where g is diagonal but mixes the state, as a multiple of a network's drift does, only 1/2 (the areas
    that would be needed are not drawn). Two evaluations of g a step. Kloeden and Platen 1992, section 11.1.
    """

    tableau = EULER
    takes = ("diffusion",)

    def step(self, terms: Terms, t: float, h: float, y: Tensor, dw: Tensor | None, dz: Tensor | None) -> Tensor:
        assert dw is not None  # without noise the tableau is gone through
        values, root = terms.values(t, y), math.sqrt(h)
        change = terms.diffusion_at(t, y + root * values[1]) - values[1]
        return _euler(terms, values, h, y, dw, dz) + change * (dw.square() - h) / (2 * root)


@dataclass(frozen=True)
class RK4(FixedStep):
    """The classical Runge-Kutta method of order 4, for equations without noise. Four evaluations a step."""

    tableau = RUNGE_KUTTA_4


def _euler(
    terms: Terms, values: tuple[Any, Any, Any], h: float, y: Tensor, dw: Tensor | None, dz: Tensor | None
) -> Tensor:
    f, g, j = values
    y = y.add(f, alpha=h)
    if dw is not None:
        y = terms.diffused(y, g, dw)
    return y if dz is None else y.addcmul(j, dz)
