"""What an attack is after: which answers of the model count as success, and what it maximises on the way there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from trustworthy.attacks.losses import Classes, Logits, LossFunction, PerExample, cross_entropy
from trustworthy.core.errors import ModelContractError
from trustworthy.core.inputs import check_logits


class AbstractGoal(ABC):
    """All that a search asks of a goal: one about numbers instead of classes needs no other search."""

    @abstractmethod
    def check(self, answer: object) -> Tensor:
        """The model's first answer; raises InvalidInput where it cannot be held against this goal."""

    @abstractmethod
    def losses(self, logits: Tensor) -> PerExample:
        """What the attack maximises."""

    def reached(self, logits: Tensor) -> Bool[Tensor, " batch"]:
        """Whether the attack succeeds, and nothing worse is sought for such an example: nowhere, for most goals."""
        return torch.zeros(len(logits), dtype=torch.bool, device=logits.device)

    @abstractmethod
    def subset(self, chosen: Bool[Tensor, " batch"] | Int[Tensor, " some"]) -> Self:
        """The same goal for some of the examples."""


@dataclass(frozen=True, eq=False)
class Goal(AbstractGoal):
    """To lead predictions away from the true classes, or to classes of the attacker's choice.

    y : true classes.
    target : classes to provoke; None to leave the true ones.
    loss : what the attack maximises, see `losses`.
    """

    y: Classes
    target: Classes | None = None
    loss: LossFunction = cross_entropy

    def check(self, answer: object) -> Logits:
        return check_logits(answer, len(self.y), self.y, self.target)

    def losses(self, logits: Logits) -> PerExample:
        return self.loss(logits, self.y, self.target)

    def reached(self, logits: Logits) -> Bool[Tensor, " batch"]:
        """Whether the prediction is wrong, or the target's."""
        predicted = logits.argmax(1)
        return predicted != self.y if self.target is None else predicted == self.target

    @property
    def sought(self) -> Classes:
        """The class on which success depends: the target, or the true one where there is none."""
        return self.y if self.target is None else self.target

    def subset(self, chosen: Bool[Tensor, " batch"] | Int[Tensor, " some"]) -> Self:
        return replace(self, y=self.y[chosen], target=None if self.target is None else self.target[chosen])


@dataclass(frozen=True, eq=False)
class Largest(AbstractGoal):
    """To make `loss(outputs, target)` as large as it gets; nothing counts as success.

    loss : of outputs (batch, *outputs) and targets, to one number per example.
    target : one row per example.
    """

    loss: Callable[[Tensor, Tensor], PerExample]
    target: Tensor

    def check(self, answer: object) -> Tensor:
        if not isinstance(answer, Tensor) or answer.ndim == 0 or len(answer) != len(self.target):
            got = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
            raise ModelContractError(
                f"the model must return a tensor with one row for each of {len(self.target)} inputs, got {got}."
            )
        return answer

    def losses(self, logits: Tensor) -> PerExample:
        return self.loss(logits, self.target)

    def subset(self, chosen: Bool[Tensor, " batch"] | Int[Tensor, " some"]) -> Largest:
        return Largest(self.loss, self.target[chosen])
