"""Dropout in evaluation too: Monte Carlo dropout, which makes a network with dropout a posterior."""

from __future__ import annotations

import copy
import dis
import inspect
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.dropout import _DropoutNd

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.nn.affine import AFFINE
from trustworthy.nn.noise import check_materialised, layers, put_before
from trustworthy.nn.replace import replaced

KINDS: dict[type[nn.Module], str] = {
    nn.Dropout: "dropout",
    nn.Dropout1d: "dropout1d",
    nn.Dropout2d: "dropout2d",
    nn.Dropout3d: "dropout3d",
    nn.AlphaDropout: "alpha_dropout",
    nn.FeatureAlphaDropout: "feature_alpha_dropout",
}
"""Dropout of torch, by the name of its function in `torch.nn.functional`."""
_FUNCTIONS = {
    function
    for home in (F, torch)
    for name, function in vars(home).items()
    if name.rstrip("_") in {*KINDS.values(), "feature_dropout", "native_dropout"} and callable(function)
}


class PersistentDropout(nn.Module):
    """Dropout in either mode: entries are 0 with probability p, the others x / (1 - p) (Monte Carlo dropout).

    Independent for every entry (or channel, see `kind`) and every call, from torch's global stream.

    Parameters
    ----------
    p : probability in [0, 1) that an entry is dropped; at 0 the layer is the identity.
    kind : a function of `torch.nn.functional`: "dropout" of entries; "dropout1d", "dropout2d", "dropout3d" of whole
        channels; "alpha_dropout", "feature_alpha_dropout", which keep mean and variance of self-normalising networks.
    """

    draws_together = True  # see core.protocols.Repeated.together

    def __init__(self, p: float, kind: str = "dropout") -> None:
        super().__init__()
        self.p = _rate(p)
        self.kind = checks.choice("kind", kind, {name: name for name in KINDS.values()})

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return x if self.p == 0 else getattr(F, self.kind)(x, self.p, training=True)

    def extra_repr(self) -> str:
        return f"p={self.p}" + (f", kind={self.kind!r}" if self.kind != "dropout" else "")


def persist_dropout(model: nn.Module, *, p: float | None = None, missing: float | None = None) -> nn.Module:
    """A copy of `model` that drops in evaluation too: `PersistentDropout` in the place of every dropout layer.

    It makes a network that was trained with dropout a posterior, with the same weights. All else, batch normalisation
    for one, works in evaluation as it did.

    Parameters
    ----------
    p : rate of all dropout layers, in [0, 1); at 0 nothing is random. Where the model has no such layer, dropout is put
        before every convolution and linear layer but the first. None keeps the rates that the layers have.
    missing : rate, in [0, 1), of the dropout that is put into a model without, where `p` is None; None to refuse it.

    Raises
    ------
    InvalidInput : p out of its range; no dropout layer and no `p`, or no place for one; or dropout that no layer does
        and that would stay off: inside of attention or recurrent layers, by a function of torch in the code of a module
        (seen where it is called by its name), by a subclass of a dropout layer.

    References
    ----------
    Gal and Ghahramani (2016), Dropout as a Bayesian approximation.
    """
    rate, missing = (None if given is None else _rate(given) for given in (p, missing))
    modules = dict(model.named_modules())
    found = {name: module for name, module in modules.items() if isinstance(module, _DropoutNd | PersistentDropout)}
    _refuse("dropout that cannot be kept on", _beyond(modules))
    if found:
        return replaced(model, lambda name, module: _persistent(module, rate) if name in found else None)
    new = missing if rate is None else rate
    if new is None:
        raise InvalidInput(
            f"model must have a dropout layer, and {type(model).__name__} has none; give p, the rate of dropout to put "
            "before its layers, or put PersistentDropout into it where entries shall be dropped."
        )
    return _inserted(model, new)


def _persistent(layer: Any, rate: float | None) -> PersistentDropout:
    kind = layer.kind if isinstance(layer, PersistentDropout) else KINDS[type(layer)]
    return PersistentDropout(layer.p if rate is None else rate, kind)


def _inserted(model: nn.Module, rate: float) -> nn.Module:
    weighted = [
        f"{name} ({type(module).__name__})"
        for name, module in model.named_modules()
        if isinstance(module, nn.RNNBase | nn.RNNCellBase | nn.MultiheadAttention)
    ]
    _refuse("layers that dropout cannot be put before", weighted)
    check_materialised(model)
    dropping = copy.deepcopy(model)
    later = layers(dropping, AFFINE)[1:]
    if not later:
        raise InvalidInput(
            f"model must have two convolutions or linear layers to put dropout before the second, and "
            f"{type(model).__name__} has not; put PersistentDropout into it where entries shall be dropped."
        )
    for layer in later:
        put_before(layer, PersistentDropout(rate))
    return dropping


def _rate(p: float) -> float:
    if checks.real("p", p, at_least=0) >= 1:
        raise InvalidInput(f"p must be < 1, got {p!r}; at 1 nothing of the input would be left.")
    return float(p)


def _refuse(what: str, names: list[str]) -> None:
    if names:
        raise InvalidInput(
            f"model must have its dropout in layers of torch (nn.Dropout and its kin), got {what}: {', '.join(names)}; "
            "turn that off, and put PersistentDropout into the model where entries shall be dropped."
        )


def _beyond(modules: dict[str, nn.Module]) -> list[str]:
    """What drops beside the dropout layers of torch."""
    return [
        f"{name or 'the model'} ({type(module).__name__}{' calls a function of torch' if calls else ''})"
        for name, module in modules.items()
        if (calls := any(map(_drops, _code(module))))
        or (isinstance(module, nn.RNNBase | nn.MultiheadAttention) and module.dropout > 0)
        or (isinstance(module, _DropoutNd) and type(module) not in KINDS)
    ]


def _code(module: nn.Module) -> Iterator[FunctionType]:
    """Functions in the classes of a module, without those of torch itself."""
    for kind in type(module).__mro__:
        if kind.__module__.partition(".")[0] != "torch":
            yield from (function for function in vars(kind).values() if inspect.isfunction(function))


def _drops(function: FunctionType) -> bool:
    """Whether it names a function of dropout: a global, or attributes of modules, as in `nn.functional.dropout`."""
    value: Any = None
    for step in dis.get_instructions(function):
        if step.opname == "LOAD_GLOBAL":
            value = function.__globals__.get(step.argval)
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and isinstance(value, ModuleType):
            value = getattr(value, step.argval, None)
        else:
            value = None
        if inspect.isroutine(value) and value in _FUNCTIONS:
            return True
    return False
