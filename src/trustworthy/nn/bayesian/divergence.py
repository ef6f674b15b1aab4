"""How far the posterior of a whole network is from its prior."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.nn.bayesian.layer import BayesianLayer
from trustworthy.nn.bayesian.priors import Prior


def kl(model: nn.Module) -> Float[Tensor, ""]:
    """KL(q || p) of the weights of all Bayesian layers of `model`, eqs. (2.14) and (2.15), in nats.

    A sum over every weight of every layer, never a mean; weights that several layers share count once. Of Gaussian
    priors exact, of others the Monte Carlo estimate with as many draws as the prior has, from torch's global stream.
    Differentiable in every posterior parameter. The loss (2.22) adds alpha / N times it, N the number of training rows.

    Raises
    ------
    InvalidInput : `model` has no Bayesian layer.
    """
    parts = [prior.kl(mean, log_std) for prior, mean, log_std in _gathered(model)]
    return torch.stack([part.to(parts[0]) for part in parts]).sum()


def collapsed(model: nn.Module, *, nats: float = 0.05) -> float:
    """Share of the weights, in [0, 1], whose posterior is less than `nats` from the prior: they have learned nothing.

    0.05 nats are a mean 0.32 standard deviations of the prior away from its mean, or a standard deviation a fifth off.
    Near 1 the KL term may outweigh the data: lower alpha, or start with a smaller posterior and warm the KL term up.

    Raises
    ------
    InvalidInput : `model` has no Bayesian layer, or `nats` <= 0.
    """
    checks.real("nats", nats, above=0)
    with torch.no_grad():
        each = [prior.kl_each(mean, log_std) for prior, mean, log_std in _gathered(model)]
    return sum(int((part < nats).sum()) for part in each) / sum(len(part) for part in each)


def _gathered(model: nn.Module) -> Iterator[tuple[Prior, Tensor, Tensor]]:
    """All weights with the same prior in one vector, less its mean: a few long operations, not many short ones."""
    groups: dict[tuple[Any, ...], dict[nn.Parameter, nn.Parameter]] = defaultdict(dict)
    for layer in model.modules():
        for q in layer.posteriors() if isinstance(layer, BayesianLayer) else ():
            groups[q.prior, q.prior_mean, q.mean.dtype, q.mean.device][q.mean] = q.log_std
    if not groups:
        raise InvalidInput(
            f"model must have Bayesian layers with weights, got {type(model).__name__} without; make it one with "
            "to_bayesian(model)."
        )
    for (prior, prior_mean, *_), weights in groups.items():
        mean, log_std = (torch.cat([tensor.flatten() for tensor in part]) for part in (weights, weights.values()))
        yield prior, mean - prior_mean if prior_mean else mean, log_std
