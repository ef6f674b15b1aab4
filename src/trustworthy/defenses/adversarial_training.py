"""Adversarial training: by FGSM of a random radius (I), by PGD (II), TRADES, and fast, with one step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.attacks.adversarial_loss import AdversarialCrossEntropy
from trustworthy.attacks.attack import Attack, BudgetAttack
from trustworthy.attacks.fgsm import FGSM, UniformFGSM
from trustworthy.attacks.goal import Largest
from trustworthy.attacks.pgd import PGD
from trustworthy.core import checks
from trustworthy.core.checks import Bounds
from trustworthy.core.errors import InvalidInput
from trustworthy.core.norms import Norm
from trustworthy.core.predictive import predict
from trustworthy.defenses.defense import Defense
from trustworthy.defenses.watch import Watch
from trustworthy.training import Batch, Loss, Moment, cross_entropy
from trustworthy.training.losses import labelled
from trustworthy.uncertainty.method import Lesson, Trained


@dataclass(frozen=True, kw_only=True)
class CleanOrAdversarial:
    """Mean cross entropy of a batch as it is or, with `probability`, of what `attack` of a random radius makes of it.

    Parameters
    ----------
    attack : its radius is drawn from U(low, attack.eps) for each batch.
    low : >= 0, at most the radius of the attack.
    probability : that a batch is replaced, in [0, 1].

    Reference: Table 2.1, adversarial training (I).
    """

    attack: BudgetAttack
    low: float
    probability: float = 0.5

    def __post_init__(self) -> None:
        if isinstance(self.attack.eps, Tensor):
            raise InvalidInput("attack must have one radius, the largest, got one per example; give a number.")
        checks.real("low", self.low, at_least=0.0, at_most=self.attack.eps)
        checks.real("probability", self.probability, at_least=0.0, at_most=1.0)

    def __call__(self, model: nn.Module, batch: Batch, moment: Moment) -> Float[Tensor, ""]:
        x, y = labelled(batch)
        stream = moment.generator
        replaces, where = torch.rand(2, generator=stream, device=stream.device).tolist()
        if replaces < self.probability:
            attack = replace(self.attack, eps=self.low + where * (self.attack.eps - self.low))  # type: ignore[operator]
            x = attack.perturb(model, x, y, generator=stream)
        return cross_entropy(model, (x, y), moment)


@dataclass(frozen=True, kw_only=True)
class Trades:
    """Cross entropy at the inputs + beta * KL(p(x) || p(x')), means over the batch, x' where the KL is largest.

    Parameters
    ----------
    attack : how x' is sought: on the model in evaluation mode, from a random start, as the KL has no slope at x.
    beta : weight of the KL >= 0, the 1/lambda of the paper; 6 there for CIFAR-10.

    Cost: that of the attack, and two forward and backward passes. Reference: Zhang et al. 2019.
    """

    attack: BudgetAttack
    beta: float = 6.0

    def __post_init__(self) -> None:
        checks.real("beta", self.beta, at_least=0.0)

    def __call__(self, model: nn.Module, batch: Batch, moment: Moment) -> Float[Tensor, ""]:
        x, y = labelled(batch)
        stream = moment.generator
        asked = predict(model, x, draws=self.attack.eot, batch_size=len(x), generator=stream)
        moved = self.attack.seek(model, x, Largest(divergence, asked.probabilities), generator=stream)
        logits = model(x)
        clean, worst = logits.log_softmax(1), model(moved).log_softmax(1)
        return F.cross_entropy(logits, y) + self.beta * F.kl_div(worst, clean, log_target=True, reduction="batchmean")


def divergence(
    logits: Float[Tensor, "batch classes"], probabilities: Float[Tensor, "batch classes"]
) -> Float[Tensor, " batch"]:
    """KL(probabilities || softmax(logits)) in nats."""
    return F.kl_div(logits.log_softmax(1), probabilities, reduction="none").sum(1)


@dataclass(frozen=True, kw_only=True)
class AdversarialTraining(Defense):
    """Training on what an attack makes of each batch; `fgsm`, `pgd`, `trades` and `fast` are the usual forms.

    The attack sees the model in evaluation mode, and batch normalisation takes its statistics from the training pass
    alone.

    Parameters
    ----------
    loss : what is minimised, which attacks the model first.
    examined_by : the attack by which the epoch is chosen on the validation rows.
    watch : for a single-step attack, what is done about catastrophic overfitting; None for nothing.

    Cost: each step that of the attack beside its forward and backward pass; each epoch `examined_by` on the validation
    rows.
    """

    loss: Loss
    examined_by: BudgetAttack
    watch: Watch | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.watch is not None and not isinstance(getattr(self.loss, "attack", None), UniformFGSM):
            raise InvalidInput(
                "watch is for a loss whose attack is UniformFGSM, the step of which it shortens; use "
                "AdversarialTraining.fast(...), or watch=None."
            )

    @classmethod
    def fgsm(
        cls, *, low: float, high: float, probability: float = 0.5, norm: Norm = "linf",
        bounds: Bounds | None = (0.0, 1.0), **settings: Any,
    ) -> Self:  # fmt: skip
        """Adversarial training (I): batches replaced with `probability`, by FGSM of a radius from U(low, high).

        It goes on from a trained model. Table 2.1 has low 0.1 and high 0.3.
        """
        loss = CleanOrAdversarial(attack=FGSM(eps=high, norm=norm, bounds=bounds), low=low, probability=probability)
        return cls(loss=loss, examined_by=PGD(eps=high, norm=norm, bounds=bounds, steps=10), **settings)

    @classmethod
    def pgd(
        cls, *, eps: float, steps: int = 10, eot: int = 1, norm: Norm = "linf", bounds: Bounds | None = (0.0, 1.0),
        **settings: Any,
    ) -> Self:  # fmt: skip
        """Adversarial training (II), Madry et al. 2018; `eot` draws per step for a stochastic model."""
        attack = PGD(eps=eps, norm=norm, bounds=bounds, steps=steps, eot=eot)
        return cls(loss=AdversarialCrossEntropy(attack=attack), examined_by=attack, **settings)

    @classmethod
    def trades(
        cls, *, eps: float, beta: float = 6.0, steps: int = 10, eot: int = 1, norm: Norm = "linf",
        bounds: Bounds | None = (0.0, 1.0), **settings: Any,
    ) -> Self:  # fmt: skip
        """TRADES, see `Trades`."""
        attack = PGD(eps=eps, norm=norm, bounds=bounds, steps=steps, eot=eot)
        return cls(loss=Trades(attack=attack, beta=beta), examined_by=attack, **settings)

    @classmethod
    def fast(
        cls, *, eps: float, step: float = 1.25, watch: Watch | None = Watch(), norm: Norm = "linf",  # noqa: B008
        bounds: Bounds | None = (0.0, 1.0), **settings: Any,
    ) -> Self:  # fmt: skip
        """One step of `step` radii from a random start (Wong, Rice and Kolter 2020), with the watch that it needs."""
        loss = AdversarialCrossEntropy(attack=UniformFGSM(eps=eps, norm=norm, bounds=bounds, step=step))
        judge = PGD(eps=eps, norm=norm, bounds=bounds, steps=10)
        return cls(loss=loss, examined_by=judge, watch=watch, **settings)

    @property
    def objective(self) -> Loss:
        return self.loss

    @property
    def judge(self) -> Attack:
        return self.examined_by

    def train(self, model: nn.Module, lesson: Lesson) -> Trained:
        if self.watch is None:
            return super().train(model, lesson)
        return self.watch.train(self, model, lesson)
