"""Training with noise: before every convolution, as random self-ensemble has it, or on the inputs alone."""

from __future__ import annotations

from dataclasses import dataclass

from trustworthy.core import checks
from trustworthy.defenses.defense import Defense
from trustworthy.training import Augmentation, Batch, GaussianNoise, Moment


@dataclass(frozen=True, kw_only=True)
class RandomSelfEnsemble(Defense):
    """Algorithm 2: a network with noise layers (2.7), whose prediction is the mean over draws of the noise (2.6).

    Parameters
    ----------
    sigma_init : standard deviation of the noise on the input, >= 0, in its units.
    sigma_inner : of the noise before every other convolution (linear layer, where there is no convolution), >= 0.
    draws : see `Defense`; ten are nearly as good as fifty (Figure 2.4).

    Cost: one forward and backward pass a step, as without the noise. Random: the noise, from torch's global stream.
    """

    sigma_init: float = 0.2
    sigma_inner: float = 0.1
    draws: int = 10

    transform = ("add_noise", "sigma_init", "sigma_inner")

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.real("sigma_init", self.sigma_init, at_least=0.0)
        checks.real("sigma_inner", self.sigma_inner, at_least=0.0)


@dataclass(frozen=True, kw_only=True)
class BoundedReLUTraining(Defense):
    """Every ReLU is cut off at `high`, and training inputs get Gaussian noise; the trained model draws nothing.

    A rival of RSE in Table 2.1 (Zantedeschi et al. 2017).

    Parameters
    ----------
    sigma : standard deviation of the noise on the inputs of training, >= 0, in their units.
    high : largest value of an activation, > 0.

    Cost: one forward and backward pass a step.
    """

    sigma: float = 0.05
    high: float = 1.0

    transform = ("bound_relu", "high")

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.real("sigma", self.sigma, at_least=0.0)
        checks.real("high", self.high, above=0.0)

    @property
    def augmentation(self) -> Augmentation:
        noise, given = GaussianNoise(sigma=self.sigma), super().augmentation
        return noise if given is None else InTurn(parts=(given, noise))


@dataclass(frozen=True, kw_only=True)
class InTurn:
    """One augmentation after another."""

    parts: tuple[Augmentation, ...]

    def __call__(self, batch: Batch, moment: Moment) -> Batch:
        for part in self.parts:
            batch = part(batch, moment)
        return batch
