"""Random self-ensemble (Algorithm 2): noise before every convolution, in training and in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trustworthy.core import checks
from trustworthy.defenses.defense import Defense
from trustworthy.training import Loss, cross_entropy


@dataclass(frozen=True, kw_only=True)
class RandomSelfEnsemble(Defense):
    """Training of the network with noise layers, whose prediction is the mean over draws of the noise (2.6, 2.7).

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

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.real("sigma_init", self.sigma_init, at_least=0.0)
        checks.real("sigma_inner", self.sigma_inner, at_least=0.0)

    @property
    def transforms(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        return (("add_noise", {"sigma_init": self.sigma_init, "sigma_inner": self.sigma_inner}),)

    @property
    def objective(self) -> Loss:
        return cross_entropy
