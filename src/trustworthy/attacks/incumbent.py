"""The worst point that a search has seen so far for each example."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool
from torch import Tensor

from trustworthy.attacks.problem import Problem
from trustworthy.core.threat import ThreatModel


def where(rows: Bool[Tensor, " batch"], x: Tensor, otherwise: Tensor) -> Tensor:
    """The examples of `x` where `rows` is true, those of `otherwise` elsewhere."""
    return torch.where(rows.reshape(-1, *[1] * (x.ndim - 1)), x, otherwise)


class Incumbent:
    """The worst point seen so far for each example: an adversarial one if there is any, then the highest loss."""

    def __init__(self, x: Tensor) -> None:
        self.x = x.clone()
        self.loss = x.new_full((len(x),), -torch.inf)
        self.success = torch.zeros(len(x), dtype=torch.bool, device=x.device)

    def update(self, x: Tensor, loss: Tensor, success: Tensor) -> None:
        """Take over the examples of `x` that are worse for the model."""
        better = (success & ~self.success) | ((success == self.success) & (loss > self.loss))
        torch.where(better.reshape(-1, *[1] * (x.ndim - 1)), x, self.x, out=self.x)
        self.loss = torch.where(better, loss, self.loss)
        self.success = self.success | success

    def subset(self, chosen: Tensor) -> Incumbent:
        """What is known of some of the examples."""
        part = Incumbent(self.x[chosen])
        part.loss, part.success = self.loss[chosen], self.success[chosen]
        return part

    def merge(self, rows: Tensor, other: Incumbent) -> None:
        """Take over from `other`, which speaks of the examples `rows` alone, what is worse for the model."""
        mine = self.subset(rows)
        mine.update(other.x, other.loss, other.success)
        self.x[rows], self.loss[rows], self.success[rows] = mine.x, mine.loss, mine.success


def best_of_restarts(
    problem: Problem,
    threat: ThreatModel,
    ascend: Callable[[Problem, ThreatModel, torch.Generator | None], Incumbent],
    restarts: int,
    generator: torch.Generator | None,
    *,
    from_input: bool,
) -> Incumbent:
    """The worst point of up to `restarts` searches; examples that one of them broke are not tried again.

    The input is in the ball too: where no search begins at it (`from_input` False), it is judged beside them.
    """
    best = ascend(problem, threat, generator)
    if not from_input:
        best.update(problem.x, *problem.appraise(problem.x))
    for _ in range(restarts - 1):
        unbroken = (~best.success).nonzero().squeeze(1)
        if len(unbroken) == 0:
            break
        best.merge(unbroken, ascend(problem.subset(unbroken), threat.subset(unbroken), generator))
    return best
