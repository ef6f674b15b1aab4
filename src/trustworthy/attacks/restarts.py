"""Gradient ascents that may begin at random points, several times."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor

from trustworthy.attacks.attack import BudgetAttack
from trustworthy.attacks.incumbent import Incumbent
from trustworthy.attacks.problem import Problem
from trustworthy.core import checks
from trustworthy.core.threat import ThreatModel


class RestartedAttack(BudgetAttack, ABC):
    """The worst point of up to `restarts` ascents; the fields are its children's, who say in which order they print.

    Parameters
    ----------
    steps : gradient steps per start.
    random_start : begin at a uniform point of the ball instead of at the input.
    restarts : independent starts; examples that an earlier start broke are not tried again. Of a noisy model all are.
    """

    steps: int
    random_start: bool
    restarts: int

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.integer("steps", self.steps, at_least=1)
        checks.integer("restarts", self.restarts, at_least=1)

    @abstractmethod
    def ascend(self, problem: Problem, threat: ThreatModel, start: Tensor) -> Incumbent:
        """One ascent."""

    @final
    def search(self, problem: Problem, generator: torch.Generator | None) -> Tensor:
        def searched(part: Problem, threat: ThreatModel) -> Incumbent:
            return self.ascend(part, threat, threat.sample(part.x, generator) if self.random_start else part.x)

        threat = self.threat(problem)
        best = searched(problem, threat)
        if self.random_start:  # the input is in the ball too, and no ascent has begun at it
            best.update(problem.x, *problem.appraise(problem.x))
        for _ in range(self.restarts - 1):
            unbroken = (~best.success).nonzero().squeeze(1)
            if len(unbroken) == 0:
                break
            best.merge(unbroken, searched(problem.subset(unbroken), threat.subset(unbroken)))
        return best.x
