"""The frame that every attack shares: check, guard, search, and judge again what is returned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from trustworthy.attacks.problem import Problem, as_batch, as_classifier, as_labels, undisturbed
from trustworthy.attacks.result import Array, AttackResult
from trustworthy.core import checks
from trustworthy.core.norms import AbstractNorm, Norm, Radius, as_norm
from trustworthy.core.protocols import AnyClassifier
from trustworthy.core.threat import Bounds, ThreatModel, as_bounds


@dataclass(frozen=True, kw_only=True)
class Attack(ABC):
    """An attack is a value: its fields are its hyper-parameters, calling it runs it.

    Parameters
    ----------
    norm : "l1", "l2", "linf" or a norm object: how the size of a perturbation is measured.
    bounds : (lowest, highest) value of an input coordinate, or None.
    eot : draws averaged per question to a stochastic model (expectation over transformation); 1 for a fixed model.
    """

    norm: Norm = "linf"
    bounds: Bounds | None = (0.0, 1.0)
    eot: int = 1

    minimises_distance: ClassVar[bool] = False
    loss_name: ClassVar[str] = "ce"

    def __post_init__(self) -> None:
        as_norm(self.norm)
        object.__setattr__(self, "bounds", as_bounds(self.bounds))
        checks.integer("eot", self.eot, at_least=1)

    @property
    def geometry(self) -> AbstractNorm:
        """The norm as an object."""
        return as_norm(self.norm)

    @abstractmethod
    def search(self, problem: Problem, generator: torch.Generator | None) -> Tensor:
        """Return the adversarial examples (batch, *shape)."""

    @final
    def __call__(
        self,
        model: AnyClassifier,
        x: Array,
        y: Array,
        *,
        target: Array | None = None,
        generator: torch.Generator | None = None,
    ) -> AttackResult:
        """Attack `model` on the batch `x`.

        Parameters
        ----------
        model : a callable from a batch to logits. A module is attacked in eval mode and left as it was.
        x : inputs (batch, *shape), floating, finite and inside `bounds`.
        y : true classes (batch,), integers.
        target : classes to provoke (batch,); None to leave the true class.
        generator : source of all randomness, the model's included; None uses torch's global stream.

        Raises
        ------
        InvalidInput, ModelContractError
            Where an argument or the model's output breaks its contract.
        """
        speaks_numpy = isinstance(x, np.ndarray)
        inputs = as_batch(x, self.bounds)
        with undisturbed(model, inputs, generator):
            labels = as_labels("y", y, inputs)
            wanted = None if target is None else as_labels("target", target, inputs)
            loss = getattr(self, "loss", self.loss_name)
            problem = Problem(as_classifier(model, speaks_numpy), inputs, labels, wanted, loss=loss, eot=self.eot)
            adversarial = self.search(problem, generator).detach()
            success = problem.is_adversarial(adversarial)
            distance = self.geometry.size(adversarial - inputs)
            if self.minimises_distance:
                failed = ~success
                adversarial = torch.where(failed.reshape(-1, *[1] * (inputs.ndim - 1)), inputs, adversarial)
                distance = distance.masked_fill(failed, torch.inf)
        found = (adversarial, success, distance, problem.queries)
        return AttackResult(*(field.cpu().numpy() for field in found) if speaks_numpy else found)


@dataclass(frozen=True, kw_only=True)
class BudgetAttack(Attack, ABC):
    """An attack that may move each input by at most `eps`.

    Parameters
    ----------
    eps : radius of the ball, in the units of the input (images: [0, 1]); a tensor (batch,) gives one per example.
    """

    eps: Radius

    def __post_init__(self) -> None:
        super().__post_init__()
        self.threat  # noqa: B018  checks eps

    @property
    def threat(self) -> ThreatModel:
        """The ball and the box that the search stays in."""
        return ThreatModel(self.norm, self.eps, self.bounds)
