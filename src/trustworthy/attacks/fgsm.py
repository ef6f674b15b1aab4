"""One-step attacks: FGSM (eq. 2.1) and its variants with a random first step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trustworthy.attacks.attack import BudgetAttack
from trustworthy.attacks.problem import Problem
from trustworthy.core import checks
from trustworthy.core.free import only
from trustworthy.core.norms import per_example


@dataclass(frozen=True, kw_only=True)
class FGSM(BudgetAttack):
    """Fast gradient step, x' = x + eps * steepest(gradient of the loss); in linf the sign step of eq. (2.1).

    Parameters
    ----------
    eps, norm, bounds, eot, loss : see `BudgetAttack` and `Attack`.

    Cost: `eot` gradients. Reference: Goodfellow et al. 2015.
    """

    def search(self, problem: Problem, generator: torch.Generator | None) -> Tensor:
        threat = self.threat(problem)
        gradient, _, _ = problem.ascent(problem.x)
        step = threat.geometry.steepest(threat.movable(problem.x, gradient))
        return threat.project(problem.x, problem.x + per_example(threat.eps, step) * step)


@dataclass(frozen=True, kw_only=True)
class RandFGSM(BudgetAttack):
    """A random step of size `start`, then a fast gradient step with the rest of the budget.

    Parameters
    ----------
    start : share of `eps` spent on the random step, in [0, 1]. Its direction is the steepest one for Gaussian noise:
        in linf a random sign for each coordinate.

    Cost: `eot` gradients. Reference: Tramer et al. 2018.
    """

    start: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.real("start", self.start, at_least=0.0, at_most=1.0)

    def search(self, problem: Problem, generator: torch.Generator | None) -> Tensor:
        threat, x = self.threat(problem), problem.x
        noise = threat.geometry.steepest(only(problem.free, torch.empty_like(x).normal_(generator=generator)))
        begun = threat.project(x, x + per_example(self.start * threat.eps, x) * noise)
        gradient, _, _ = problem.ascent(begun)
        step = threat.geometry.steepest(threat.movable(begun, gradient))
        return threat.project(x, begun + per_example((1.0 - self.start) * threat.eps, x) * step)


@dataclass(frozen=True, kw_only=True)
class UniformFGSM(BudgetAttack):
    """One steepest step from a uniform point of the ball, projected on the ball: that of fast adversarial training.

    Parameters
    ----------
    start : how far from the input the start may be drawn, in radii, in [0, 1].
    step : length of the step, in radii, > 0. In linf from a start in the whole ball, 1.25 takes five coordinates in
        eight to the boundary.

    Cost: `eot` gradients. Random: the start. Reference: Wong, Rice and Kolter 2020.
    """

    start: float = 1.0
    step: float = 1.25

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.real("start", self.start, at_least=0.0, at_most=1.0)
        checks.real("step", self.step, above=0.0)

    def search(self, problem: Problem, generator: torch.Generator | None) -> Tensor:
        threat, x = self.threat(problem), problem.x
        begun = replace(threat, eps=self.start * threat.eps).sample(x, generator)
        gradient, _, _ = problem.ascent(begun)
        step = threat.geometry.steepest(threat.movable(begun, gradient))
        return threat.project(x, begun + per_example(self.step * threat.eps, x) * step)
