"""Layers that draw noise in training and in evaluation, and any network with noise before its convolutions (RSE).

`draws_together` says that a layer draws from torch's global stream alone: see `core.protocols.Repeated.together`.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from torch.nn.parameter import is_lazy

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.nn.affine import CONVOLUTIONS

_CHILD = "noise"  # name of the noise layer in the layer before which it stands


class GaussianNoise(nn.Module):
    """x + e with e ~ N(0, sigma^2), independent for every entry and every call, in either mode.

    Drawn from torch's global stream; see `core.guard.undisturbed` for how a generator comes to rule it.

    Parameters
    ----------
    sigma : standard deviation in the units of the input, >= 0; at 0 the layer is the identity and draws nothing.
    """

    draws_together = True

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = checks.real("sigma", sigma, at_least=0)

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return x if self.sigma == 0 else x + self.sigma * torch.randn_like(x)

    def extra_repr(self) -> str:
        return f"sigma={self.sigma}"


class BernoulliGaussianNoise(nn.Module):
    """x + b e with b ~ Bernoulli(p) and e ~ N(0, sigma^2), section 2.1.4: variance p sigma^2, most entries untouched.

    Independent for every entry and every call, in either mode, from torch's global stream.

    Parameters
    ----------
    sigma : standard deviation of e, >= 0; at 0 the layer is the identity.
    p : probability in (0, 1] that an entry gets noise; 1 is `GaussianNoise`.
    """

    draws_together = True

    def __init__(self, sigma: float, p: float) -> None:
        super().__init__()
        self.sigma = checks.real("sigma", sigma, at_least=0)
        self.p = checks.real("p", p, above=0, at_most=1)

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if self.sigma == 0:
            return x
        hit = torch.rand_like(x, dtype=torch.float32) < self.p  # a uniform number in half precision knows no small p
        return x + self.sigma * torch.randn_like(x) * hit

    def extra_repr(self) -> str:
        return f"sigma={self.sigma}, p={self.p}"


def add_noise(model: nn.Module, *, sigma_init: float = 0.2, sigma_inner: float = 0.1, p: float = 1.0) -> nn.Module:
    """A copy of `model` with a noise layer before every convolution, or every linear layer where none convolves.

    The architecture of Random Self-Ensemble (section 2.1). The names of the weights stay: the state_dict has the same
    keys, so weights of the plain model load into the copy and the other way round. A layer that stands in several
    places has one noise layer, which draws anew at every call. The noise hangs on the call of a layer, so the output
    projection of `nn.MultiheadAttention`, whose weights are used without a call, gets none.

    Parameters
    ----------
    sigma_init : standard deviation before the first layer, first in the order of `model.modules()`, >= 0; in the units
        of its input.
    sigma_inner : before all others, >= 0. With both at 0 the copy answers as `model` does and nothing is random.
    p : probability in (0, 1] that an entry gets noise; below 1 the noise is Bernoulli-Gaussian.

    Raises
    ------
    InvalidInput : a number outside of its range; no layer to put noise before; one that has noise already; or a lazy
        layer that has seen no batch, of which torch does not know yet what it will be.

    References
    ----------
    Liu, Cheng, Zhang and Hsieh (2018), Towards robust neural networks via random self-ensemble.
    """
    first = _noise(checks.real("sigma_init", sigma_init, at_least=0), p)
    inner = checks.real("sigma_inner", sigma_inner, at_least=0)
    check_materialised(model)
    noisy = copy.deepcopy(model)
    convolves = any(isinstance(layer, CONVOLUTIONS) for layer in noisy.modules())
    for place, layer in enumerate(layers(noisy, CONVOLUTIONS if convolves else (nn.Linear,))):
        put_before(layer, _noise(inner, p) if place else first)
    return noisy


def put_before(layer: nn.Module, noise: nn.Module) -> None:
    """Have `noise` change the input of `layer` at every call, as a child of it, so that no name of a weight changes."""
    noise.training = layer.training
    layer.add_module(_CHILD, noise)
    layer.register_forward_pre_hook(_noised, with_kwargs=True)


def _noise(sigma: float, p: float) -> nn.Module:
    noise = BernoulliGaussianNoise(sigma, p)
    return GaussianNoise(sigma) if noise.p == 1 else noise


def _noised(layer: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The hook; at the top of this module, so that pickles of a network find it."""
    noise = getattr(layer, _CHILD)
    if given:
        return (noise(given[0]), *given[1:]), named
    return given, {**named, "input": noise(named["input"])}


def check_materialised(model: nn.Module) -> None:
    for name, weight in model.named_parameters():
        if is_lazy(weight):
            raise InvalidInput(f"model has no {name} yet, as its layer is lazy; ask the model about one batch first.")


def layers(model: nn.Module, kinds: tuple[type[nn.Module], ...]) -> list[nn.Module]:
    """The layers of these kinds that noise can go before, each once, in the order of `model.modules()`."""
    chosen = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, kinds) and not isinstance(module, NonDynamicallyQuantizableLinear)
    }
    if not chosen:
        raise InvalidInput(
            "model must have a convolution or a linear layer (nn.Conv*d, nn.ConvTranspose*d, nn.Linear) to put noise "
            f"before, and {type(model).__name__} has none; put GaussianNoise into it where noise shall be."
        )
    for name, layer in chosen.items():
        if hasattr(layer, _CHILD):
            raise InvalidInput(
                f"{name or 'the model'} has noise already, or another attribute of the name {_CHILD!r}; add noise to "
                "the model without it."
            )
    return list(chosen.values())
