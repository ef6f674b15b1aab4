"""What defences add to a way of training: an adversary, by whom the weights are chosen."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trustworthy.attacks.attack import Attack
from trustworthy.attacks.goal import AbstractGoal, Goal, Largest
from trustworthy.core.inputs import as_batch
from trustworthy.training import Data
from trustworthy.training.data import Arrays, as_dataset
from trustworthy.training.evaluation import Metric
from trustworthy.training.likelihoods import Likelihood, Numbers
from trustworthy.uncertainty.method import Change, Method


def goal_of(likelihood: Likelihood, y: Tensor) -> AbstractGoal:
    """What an attack is after: of classes another one, of numbers a mean that is far from the target."""
    return Largest(likelihood.squared_error, y) if isinstance(likelihood, Numbers) else Goal(y)


@dataclass(frozen=True, kw_only=True)
class Defense(Method, ABC):
    """A method that trains against an adversary, or is at least measured against one; its settings are `Method`'s."""

    @property
    def judge(self) -> Attack | None:
        """The attack that the weights are chosen by; None to choose them without one."""
        return None

    @property
    def metrics(self) -> dict[str, Metric]:
        """The score of the rows as they are, and then as the judge has changed them."""
        if self.judge is None:
            return super().metrics
        robust = self.measured(self.likelihood.score, self.under(self.judge))
        return {**super().metrics, f"robust_{self.likelihood.score_name}": robust}

    def under(self, attack: Attack) -> Change:
        """What `attack` makes of rows."""

        def change(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
            return attack.seek(model, x, goal_of(self.likelihood, y), noisy=self.draws > 1, generator=generator)

        return change

    def check(self, name: str, model: nn.Module, data: Data) -> None:
        dataset = as_dataset(name, data, model)
        if self.judge is not None and isinstance(dataset, Arrays):
            as_batch(dataset.tensors[0], self.judge.bounds, f"{name} x")
        super().check(name, model, data)
