"""A Bayesian network out of any network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import nn

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, warn
from trustworthy.nn.bayesian.layer import BayesianLayer
from trustworthy.nn.bayesian.layers import BAYESIAN, LocalLayer
from trustworthy.nn.bayesian.priors import GaussianPrior, Prior, as_prior
from trustworthy.nn.replace import replaced


def to_bayesian(
    model: nn.Module,
    *,
    prior_std: float = 0.1,
    init_std: float = 0.05,
    prior: Prior | Mapping[str, Any] | None = None,
    local: bool = False,
    warm_start: bool = True,
) -> nn.Module:
    """A copy of `model` with Gaussian weights in every linear layer, convolution and batch normalisation.

    Every option of a layer stays, so do running statistics, hooks, types and devices, frozen weights (their posterior
    is frozen) and weights that layers share. As `init_std` goes to 0 a warm start predicts what `model` does.

    Layers of other types that have weights, and subclasses of those above, which may compute anything, stay as they are
    and are named in a warning.

    Parameters
    ----------
    prior_std : standard deviation of the Gaussian prior N(0, prior_std^2) of every weight, > 0; the scale of a batch
        normalisation has its prior about 1.
    init_std : standard deviation of every posterior at the start, > 0.
    prior : another prior instead, or a mapping that names it, as JSON has it: {"kind": "mixture", "stds": [1, 0.01]}.
    local : the local reparameterisation of linear layers and convolutions, see `LocalLayer`; batch normalisations draw
        their weights nevertheless.
    warm_start : the posterior means are the weights of `model`; False draws them as torch does for a new layer, from
        its global stream, and forgets running statistics.

    Raises
    ------
    InvalidInput : an argument out of its range; a model in which there is nothing to make Bayesian.
    """
    checks.real("prior_std", prior_std, above=0)
    checks.real("init_std", init_std, above=0)
    belief = GaussianPrior(prior_std) if prior is None else as_prior(prior)
    spread: dict[nn.Parameter, nn.Parameter] = {}

    def rule(name: str, module: nn.Module) -> nn.Module | None:
        if not _convertible(module):
            return None
        if not warm_start:
            cast("Any", module).reset_parameters()
        layer = BAYESIAN[type(module)].of(module, belief, init_std, spread)
        if isinstance(layer, LocalLayer):
            layer.local = local
        return layer

    random = replaced(model, rule)
    _name_the_rest(random, converted=len(spread))
    return random


def _convertible(module: nn.Module) -> bool:
    """Not where a weight is computed of others, as by `weight_norm`, which gives the layer other parameters."""
    return type(module) in BAYESIAN and {*module._parameters} == {"weight", "bias"} and _has_weights(module)


def _has_weights(module: nn.Module) -> bool:
    return any(weight is not None for weight in module._parameters.values())


def _name_the_rest(model: nn.Module, *, converted: int) -> None:
    rest = [
        f"{name or 'the model'} ({type(module).__name__})"
        for name, module in model.named_modules()
        if not isinstance(module, BayesianLayer) and _has_weights(module)
    ]
    shown = ", ".join(rest[:5]) + (f" and {len(rest) - 5} more" if len(rest) > 5 else "")
    if not converted:
        raise InvalidInput(
            "model must have a linear layer, a convolution or a batch normalisation with weights, of a type of torch "
            f"itself, to make Bayesian, got {f'only {shown}' if rest else 'none'}; noise is another way: GaussianNoise "
            "and PersistentDropout stand anywhere."
        )
    if rest:
        warn(
            f"to_bayesian keeps the weights of {shown} fixed numbers: it knows linear layers, convolutions and batch "
            "normalisations of torch itself. They train as before, and kl does not count them."
        )
