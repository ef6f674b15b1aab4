"""What a model's outputs say about the targets: the data term of a Bayesian objective, in nats."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from trustworthy.attacks.goal import AbstractGoal, Goal, Largest
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.inputs import as_labels, check_logits
from trustworthy.core.predictive import Predictive

Outputs = Float[Tensor, "batch outputs"]
PerExample = Float[Tensor, " batch"]


class Likelihood(ABC):
    """Distribution of the targets given the outputs of a model."""

    score_name: str

    @abstractmethod
    def check(self, outputs: Tensor, x: Tensor, y: Tensor) -> None:
        """Refuse outputs for one row that do not fit the targets of all rows."""

    @abstractmethod
    def nats(self, outputs: Outputs, y: Tensor) -> PerExample:
        """Minus the log density of each target."""

    @abstractmethod
    def goal(self, y: Tensor) -> AbstractGoal:
        """What an attack on the outputs is after."""

    @abstractmethod
    def score(self, predictive: Predictive, y: Tensor) -> float:
        """How good the mean prediction is; larger is better."""

    @abstractmethod
    def guess(self, y: Tensor) -> float:
        """Mean nats of the best answer that does not look at the input."""

    def data_term(self, predictive: Predictive, y: Tensor) -> float:
        """Mean nats of a row and a draw, the first term of (2.16)."""
        return float(torch.stack([self.nats(outputs, y).mean() for outputs in predictive.members]).mean())


@dataclass(frozen=True, kw_only=True)
class Categorical(Likelihood):
    """Classes: the outputs are logits."""

    score_name = "accuracy"

    def check(self, outputs: Tensor, x: Tensor, y: Tensor) -> None:
        if y.is_floating_point():
            raise InvalidInput(
                f"y must hold classes 0, 1, ... for this defence, which trains by the cross entropy of classes, got "
                f"{y.dtype}; for numbers use VariationalBayes or AdversarialBayes with likelihood=Gaussian()."
            )
        check_logits(outputs, len(outputs), as_labels("y", y, x))

    def nats(self, outputs: Outputs, y: Int[Tensor, " batch"]) -> PerExample:
        return F.cross_entropy(outputs, y, reduction="none")

    def goal(self, y: Int[Tensor, " batch"]) -> Goal:
        return Goal(y)

    def score(self, predictive: Predictive, y: Tensor) -> float:
        """Share of rows that the mean of the probabilities classifies rightly."""
        return float((predictive.logits.argmax(1) == y).double().mean())

    def guess(self, y: Tensor) -> float:
        """Entropy of the classes of `y`."""
        share = y.unique(return_counts=True)[1].double() / len(y)
        return float(-(share * share.log()).sum())


@dataclass(frozen=True, kw_only=True)
class Gaussian(Likelihood):
    """Numbers with independent normal residuals.

    Parameters
    ----------
    std : of the residuals, in the units of the targets, > 0. None where the model learns it for each row: it then gives
        twice as many outputs as there are targets, first the means and then the logs of the standard deviations.
    """

    std: float | None = 1.0

    score_name = "log_likelihood"

    def __post_init__(self) -> None:
        if self.std is not None:
            checks.real("std", self.std, above=0.0)

    def check(self, outputs: Tensor, x: Tensor, y: Tensor) -> None:
        if not y.is_floating_point():
            raise InvalidInput(
                f"y must hold real numbers for likelihood=Gaussian(), got {y.dtype}; make them floating, or use "
                "Categorical() for classes."
            )
        self._mean_and_log_std(outputs, y[:1])

    def nats(self, outputs: Outputs, y: Tensor) -> PerExample:
        mean, log_std = self._mean_and_log_std(outputs, y)
        scaled = (_columns(y) - mean) * (-log_std).exp()
        return (0.5 * scaled.square() + log_std + 0.5 * math.log(2 * math.pi)).sum(1)

    def goal(self, y: Tensor) -> Largest:
        """To move the mean away from the target."""
        return Largest(self.squared_error, y)

    def squared_error(self, outputs: Outputs, y: Tensor) -> PerExample:
        """Of the mean, summed over the columns of a row."""
        return (self._mean_and_log_std(outputs, y)[0] - _columns(y)).square().sum(1)

    def _mean_and_log_std(self, outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        columns = _columns(y).shape[1] * (1 if self.std is not None else 2)
        if outputs.ndim != 2 or outputs.shape[1] != columns:
            raise ModelContractError(
                f"the model must return {columns} numbers for each row for targets of shape {tuple(y.shape)} and "
                f"std={self.std}, got shape {tuple(outputs.shape)}; change its last layer, or std."
            )
        if self.std is None:
            return outputs[:, : columns // 2], outputs[:, columns // 2 :]
        return outputs, outputs.new_tensor(self.std).log()

    def score(self, predictive: Predictive, y: Tensor) -> float:
        """Mean log density of the targets under the mixture of the draws, in nats."""
        each = torch.stack([-self.nats(outputs, y) for outputs in predictive.members])
        return float((each.logsumexp(0) - math.log(len(each))).mean())

    def guess(self, y: Tensor) -> float:
        """Nats of the mean of `y`, with the spread of `y` where that is learned."""
        spread = _columns(y).var(0, correction=0).clamp_min(1e-12)
        variance = spread if self.std is None else torch.full_like(spread, self.std**2)
        return float((0.5 * spread / variance + 0.5 * (2 * math.pi * variance).log()).sum())


def _columns(y: Tensor) -> Float[Tensor, "batch columns"]:
    return y.flatten(1) if y.ndim > 1 else y[:, None]
