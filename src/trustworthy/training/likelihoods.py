"""What a model's outputs say about the targets, in nats: losses of training, and data terms of Bayesian objectives."""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.inputs import as_labels, check_logits
from trustworthy.core.predictive import Predictive
from trustworthy.training.data import Batch
from trustworthy.training.losses import cross_entropy, labelled
from trustworthy.training.moment import Moment

Outputs = Float[Tensor, "batch outputs *shape"]
PerExample = Float[Tensor, " batch"]


class Likelihood(ABC):
    """Distribution of the targets given the outputs of a model; as a `Loss` it is the mean of `nats` over the batch."""

    score_name: str

    def __call__(self, model: nn.Module, batch: Batch, moment: Moment) -> Float[Tensor, ""]:
        x, y = labelled(batch)
        return self.nats(model(x), y).mean()

    @abstractmethod
    def check(self, outputs: Tensor, x: Tensor, y: Tensor) -> None:
        """Refuse outputs for one row that do not fit the targets of all rows."""

    @abstractmethod
    def nats(self, outputs: Outputs, y: Tensor) -> PerExample:
        """Minus the log density of each target."""

    @abstractmethod
    def score(self, predictive: Predictive, y: Tensor) -> float:
        """How good the mean prediction is; larger is better."""

    @abstractmethod
    def guess(self, y: Tensor) -> float:
        """Mean nats of the best answer that does not look at the input."""

    @abstractmethod
    def mean(self, outputs: Outputs) -> Tensor:
        """Mean of the targets given the outputs: of classes their probabilities, of numbers one for each target."""

    @abstractmethod
    def aleatoric(self, outputs: Outputs) -> Tensor | None:
        """Variance of the targets given the outputs, of the shape of `mean`; None of classes."""

    def data_term(self, predictive: Predictive, y: Tensor) -> float:
        """Mean nats of a row and a draw, the first term of (2.16)."""
        return float(torch.stack([self.nats(outputs, y).mean() for outputs in predictive.members]).mean())


@dataclass(frozen=True, kw_only=True)
class Categorical(Likelihood):
    """Classes: the outputs are logits."""

    score_name = "accuracy"

    def __call__(self, model: nn.Module, batch: Batch, moment: Moment) -> Float[Tensor, ""]:
        return cross_entropy(model, batch, moment)

    def check(self, outputs: Tensor, x: Tensor, y: Tensor) -> None:
        if y.is_floating_point():
            raise InvalidInput(
                f"y must hold classes 0, 1, ... for this method, which trains by the cross entropy of classes, got "
                f"{y.dtype}; for numbers use one that takes loss=Gaussian() or loss=Laplace(), such as NaiveEnsemble, "
                "SVI or AdversarialBayes."
            )
        check_logits(outputs, len(outputs), as_labels("y", y, x))

    def nats(self, outputs: Outputs, y: Int[Tensor, " batch"]) -> PerExample:
        return F.cross_entropy(outputs, y, reduction="none")

    def score(self, predictive: Predictive, y: Tensor) -> float:
        """Share of rows that the mean of the probabilities classifies rightly."""
        return float((predictive.logits.argmax(1) == y).double().mean())

    def guess(self, y: Tensor) -> float:
        """Entropy of the classes of `y`."""
        share = y.unique(return_counts=True)[1].double() / len(y)
        return float(-(share * share.log()).sum())

    def mean(self, outputs: Outputs) -> Tensor:
        return outputs.softmax(1)

    def aleatoric(self, outputs: Outputs) -> None:
        return None


@dataclass(frozen=True, kw_only=True)
class Numbers(Likelihood):
    """Numbers of any shape (batch, *shape), with independent residuals whose distribution a subclass gives.

    average : nats of a row are the mean over its numbers and not their sum: for images, whose pixels are not
        independent observations, and whose loss should not depend on how many there are. A row of P numbers then
        weighs as one against a prior of the weights. As much as their sum would it weighs with alpha=1 / P in SVI,
        and in SGLD with temperature=1 / P and a prior_std that is sqrt(P) times larger.
    """

    average: bool = False

    score_name = "log_likelihood"
    size_name: ClassVar[str]  # of the field that holds the size of the residuals

    def __post_init__(self) -> None:
        if self.known is not None:
            checks.real(self.size_name, self.known, above=0.0)

    @property
    def known(self) -> float | None:
        """Size of the residuals; None where the model gives it."""
        return getattr(self, self.size_name)

    @abstractmethod
    def density(self, scaled: Tensor, log_size: Tensor) -> Tensor:
        """Minus the log density of residuals that are `scaled` by their size."""

    @abstractmethod
    def centre(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Of `y` (rows, columns): what is best to guess, and the size of the residuals that fits best."""

    def check(self, outputs: Tensor, x: Tensor, y: Tensor) -> None:
        if not y.is_floating_point():
            raise InvalidInput(
                f"y must hold real numbers for loss={type(self).__name__}(), got {y.dtype}; make them floating, or use "
                "Categorical() for classes."
            )
        self._split(outputs, y[:1])

    def nats(self, outputs: Outputs, y: Tensor) -> PerExample:
        return self._of_row(self._each(outputs, y))

    def squared_error(self, outputs: Outputs, y: Tensor) -> PerExample:
        """Of the mean, over the numbers of a row."""
        return self._of_row((self._split(outputs, y)[0] - _columns(y)).square())

    def score(self, predictive: Predictive, y: Tensor) -> float:
        """Mean log density under the mixture of the draws, in nats: of a row, or with `average` of one of its numbers.

        The mean density over many numbers is nearly the same for each draw, and hides what they gain together.
        """
        asked = self._each if self.average else self.nats
        mixed = functools.reduce(torch.logaddexp, (-asked(outputs, y) for outputs in predictive.members))
        return float(mixed.mean()) - math.log(len(predictive.members))

    def guess(self, y: Tensor) -> float:
        """Nats of the best number for each column (channel) of `y`, and size of its residuals where that is learned."""
        y = _columns(y)
        found = self.centre(y.movedim(1, -1).flatten(0, -2))
        best, size = (of_column.reshape(-1, *[1] * (y.ndim - 2)) for of_column in found)
        log_size = (size if self.known is None else torch.full_like(size, self.known)).log()
        return float(self._of_row(self.density((y - best) * (-log_size).exp(), log_size)).mean())

    def mean(self, outputs: Outputs) -> Tensor:
        return outputs if self.known is not None else outputs.chunk(2, 1)[0]

    def log_size(self, outputs: Outputs) -> Tensor:
        """Logarithm of the size of the residuals, of the shape of `mean`."""
        if self.known is None:
            return outputs.chunk(2, 1)[1]
        return outputs.new_full((), self.known).log().expand(outputs.shape)

    def _split(self, outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        rows, columns, *rest = _columns(y).shape
        expected = (rows, columns * (1 if self.known is not None else 2), *rest)
        if outputs.shape != expected:
            raise ModelContractError(
                f"the model must return numbers of shape {expected} for targets of shape {tuple(y.shape)} and "
                f"loss={self}, got shape {tuple(outputs.shape)}; change its last layer, or loss."
            )
        return self.mean(outputs), self.log_size(outputs)

    def _each(self, outputs: Outputs, y: Tensor) -> Tensor:
        mean, log_size = self._split(outputs, y)
        return self.density((_columns(y) - mean) * (-log_size).exp(), log_size)

    def _of_row(self, values: Tensor) -> PerExample:
        return values.flatten(1).mean(1) if self.average else values.flatten(1).sum(1)


@dataclass(frozen=True, kw_only=True)
class Gaussian(Numbers):
    """Numbers with independent normal residuals.

    Parameters
    ----------
    std : of the residuals, in the units of the targets, > 0. None where the model learns it for each row: it then gives
        twice as many outputs (channels, dimension 1) as there are targets, first the means and then the logs of the
        standard deviations.
    average : see `Numbers`.
    """

    std: float | None = 1.0

    size_name = "std"

    def density(self, scaled: Tensor, log_size: Tensor) -> Tensor:
        return 0.5 * scaled.square() + log_size + 0.5 * math.log(2 * math.pi)

    def centre(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return y.mean(0), y.std(0, correction=0).clamp_min(1e-6)

    def aleatoric(self, outputs: Outputs) -> Tensor:
        return (2 * self.log_size(outputs)).exp()


@dataclass(frozen=True, kw_only=True)
class Laplace(Numbers):
    """Numbers with independent residuals of density exp(-|r| / scale) / (2 scale): the l1 loss, less led by outliers.

    Parameters
    ----------
    scale : mean absolute residual, in the units of the targets, > 0. None where the model learns it, see `Gaussian`.
    average : see `Numbers`. With it and scale 1 the loss is the mean absolute error, and log 2.
    """

    scale: float | None = 1.0

    size_name = "scale"

    def density(self, scaled: Tensor, log_size: Tensor) -> Tensor:
        return scaled.abs() + log_size + math.log(2)

    def centre(self, y: Tensor) -> tuple[Tensor, Tensor]:
        best = y.median(0).values
        return best, (y - best).abs().mean(0).clamp_min(1e-6)

    def aleatoric(self, outputs: Outputs) -> Tensor:
        """2 scale^2."""
        return 2 * (2 * self.log_size(outputs)).exp()


def _columns(y: Tensor) -> Float[Tensor, "batch columns *shape"]:
    return y if y.ndim > 1 else y[:, None]
