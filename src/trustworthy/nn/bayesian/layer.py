"""A layer whose weights are Gaussians, drawn anew each time that they are read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple, Self, cast

import torch
from torch import nn

from trustworthy.core import checks
from trustworthy.nn.bayesian.priors import GaussianPrior, Prior, as_prior

_WEIGHTS = ("weight", "bias")
_PRIOR = GaussianPrior(0.1)


class WeightPosterior(NamedTuple):
    """The posterior of one tensor of weights, and the prior of each about `prior_mean`."""

    mean: nn.Parameter
    log_std: nn.Parameter
    prior: Prior
    prior_mean: float


class BayesianLayer(nn.Module):
    """A layer of torch with the mean-field posterior w = mean + exp(log_std) * eps of its weights, eqs. (2.14), (2.20).

    Comes before a class of torch among the bases and takes its arguments. In place of `weight` and `bias` it has the
    parameters `weight_mean`, `weight_log_std`, `bias_mean` and `bias_log_std`. Whoever reads `weight` or `bias`, as the
    forward pass does, gets a fresh draw from torch's global stream, in training and in evaluation mode alike. All rows
    of a batch see the same draw; a layer that is called twice in one pass is drawn twice.

    Parameters
    ----------
    prior : of every weight, about 0, but about 1 for the scale of a batch normalisation.
    init_std : standard deviation of the posterior at the start, > 0; its mean is what torch draws.
    """

    draws_together = True  # see core.protocols.Repeated.together
    PRIOR_MEANS: ClassVar[dict[str, float]] = {}
    prior: Prior

    def __init__(self, *args: Any, prior: Prior = _PRIOR, init_std: float = 0.05, **options: Any) -> None:
        super().__init__(*args, **options)
        self._randomise(as_prior(prior), init_std, {})

    @classmethod
    def of(cls, layer: nn.Module, prior: Prior, init_std: float, spread: dict[nn.Parameter, nn.Parameter]) -> Self:
        """The same layer with a posterior about its weights, which it shares; `spread` has the log_std of a weight that
        another layer shares too. A frozen weight has a frozen posterior."""
        new = cls.__new__(cls)
        own = {"_parameters": dict(layer._parameters), "_buffers": dict(layer._buffers)}
        new.__dict__.update(layer.__dict__, **own)
        new._randomise(prior, init_std, spread)
        return new

    def _randomise(self, prior: Prior, init_std: float, spread: dict[nn.Parameter, nn.Parameter]) -> None:
        log_std = math.log(checks.real("init_std", init_std, above=0))
        self.prior = prior
        for name in [name for name in _WEIGHTS if self._parameters[name] is not None]:
            mean = self._parameters.pop(name)
            assert mean is not None
            if mean not in spread:
                spread[mean] = nn.Parameter(torch.full_like(mean, log_std), requires_grad=mean.requires_grad)
            self.register_parameter(f"{name}_mean", mean)
            self.register_parameter(f"{name}_log_std", spread[mean])

    def __getattr__(self, name: str) -> Any:
        parameters = self.__dict__.get("_parameters", {})
        if name in _WEIGHTS and name not in parameters and f"{name}_mean" in parameters:
            mean = parameters[f"{name}_mean"]
            return torch.addcmul(mean, parameters[f"{name}_log_std"].exp(), torch.randn_like(mean))
        return super().__getattr__(name)

    def posteriors(self) -> Iterator[WeightPosterior]:
        """Of the weight and the bias, as far as the layer has them."""
        for name in _WEIGHTS:
            if (mean := self._parameters.get(f"{name}_mean")) is not None:
                log_std = self._parameters[f"{name}_log_std"]
                assert log_std is not None
                yield WeightPosterior(mean, log_std, self.prior, self.PRIOR_MEANS.get(name, 0.0))

    def reset_parameters(self) -> None:
        """Draw the means, whose spread stays, as torch draws the weights of a new layer."""
        cast("Any", super(BayesianLayer, self._of_means())).reset_parameters()

    def extra_repr(self) -> str:
        return f"{super(BayesianLayer, self._of_means()).extra_repr()}, prior={self.prior}"

    def _of_means(self) -> Self:
        """This layer with the means for weights, for the methods of torch to read without a draw."""
        plain = self.__new__(type(self))
        means = {name: self._parameters.get(f"{name}_mean", self._parameters.get(name)) for name in _WEIGHTS}
        plain.__dict__.update(self.__dict__, _parameters=means)
        return plain
