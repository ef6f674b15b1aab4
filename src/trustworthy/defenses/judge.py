"""How good a model is after an epoch, on held-out rows and under attack: what a defence chooses its weights by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trustworthy.attacks.attack import Attack
from trustworthy.core.predictive import Predictive, predict
from trustworthy.core.seeds import torch_generator
from trustworthy.defenses.likelihoods import Categorical, Likelihood

BATCH = 256
CLASSES = Categorical()


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A score of the mean prediction of `draws` draws, each time of the same random numbers.

    Parameters
    ----------
    score : of the `Predictive` and the targets.
    draws : answers of a stochastic model to each row, >= 1.
    attack : what is done to the rows first; None for nothing.
    likelihood : what the attack maximises the loss of.

    Cost: that of the attack, and `draws` forward passes.
    """

    score: Callable[[Predictive, Tensor], float]
    draws: int = 1
    attack: Attack | None = None
    likelihood: Likelihood = CLASSES

    def __call__(self, model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
        x, y = data
        generator = torch_generator(0, "judged", device=x.device)
        if self.attack is not None:
            goals = map(self.likelihood.goal, y.split(BATCH))
            found = [
                self.attack.seek(model, rows, goal, generator=generator)
                for rows, goal in zip(x.split(BATCH), goals, strict=True)
            ]
            x = torch.cat(found)
        return self.score(predict(model, x, draws=self.draws, batch_size=BATCH, generator=generator), y)
