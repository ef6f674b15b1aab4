"""Adv-BNN (Algorithm 3): variational inference of a Bayesian network on adversarial examples."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from trustworthy.attacks.attack import Attack
from trustworthy.attacks.pgd import PGD
from trustworthy.core.checks import Bounds
from trustworthy.core.norms import Norm
from trustworthy.defenses.defense import Defense, goal_of
from trustworthy.training import Likelihood
from trustworthy.uncertainty.variational import SVI, EvidenceLoss


@dataclass(frozen=True, kw_only=True)
class Attacked:
    """What `attack` makes of the rows of a batch for the posterior as it is; a `Change`."""

    attack: Attack
    likelihood: Likelihood

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        return self.attack.seek(model, x, goal_of(self.likelihood, y), noisy=True, generator=generator)


@dataclass(frozen=True, kw_only=True)
class AdversarialBayes(SVI, Defense):
    """Adv-BNN, Algorithm 3: the evidence bound (2.17) of examples that PGD makes for the posterior as it is.

    At eps 0 it is `SVI`. For numbers the attack maximises the squared error of the mean.

    Parameters
    ----------
    eps : radius of the adversary in `norm`, >= 0, in the units of the inputs.
    steps : gradient steps of the attack, >= 1.
    eot : draws averaged in each step, >= 1; 1 as in Algorithm 3, where each step meets other weights.
    norm, bounds : see `PGD`.

    Cost: each step steps * eot gradients more than `SVI`, and 2 * eot forward passes of the attack.
    """

    eps: float
    steps: int = 10
    eot: int = 1
    norm: Norm = "linf"
    bounds: Bounds | None = (0.0, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._pgd()  # checks what is its own

    @property
    def objective(self) -> EvidenceLoss:
        if self.judge is None:
            return super().objective
        return replace(super().objective, change=Attacked(attack=self.judge, likelihood=self.loss))

    @property
    def judge(self) -> Attack | None:
        """What makes the examples of training, and judges the epochs."""
        return self._pgd() if self.eps > 0 else None

    def _pgd(self) -> Attack:
        return PGD(eps=self.eps, steps=self.steps, eot=self.eot, norm=self.norm, bounds=self.bounds)
