"""The network that is hardened: built, checked, and with the weights that training begins from."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trustworthy.core import seeds
from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.guard import precision, undisturbed
from trustworthy.core.inputs import check_logits
from trustworthy.models import adapt
from trustworthy.models.posterior_folder import Recipe
from trustworthy.nn import Normalize
from trustworthy.report.domain import Domain
from trustworthy.report.hardening.rows import Parts
from trustworthy.training.weights import load_weights, model_tensors, seeded

_ASKED = 64
"""Rows that the network is asked about before it is trained."""
NETWORK = "network"
"""Name of the network within the module that takes attacked units."""
TRAINABLE = "package.module:factory or path/to/file.py:factory that returns an nn.Module"


@dataclass(frozen=True, eq=False, kw_only=True)
class Network:
    """The network as it was given.

    model : with its weights.
    source : what was given.
    recipe : how it is built again; None where a module was given without one.
    given : whether its weights were brought; otherwise a factory has drawn them, and it answers by chance.
    """

    model: nn.Module
    source: str
    recipe: Recipe | None
    given: bool

    @property
    def name(self) -> str:
        """Of the factory, or of the class of the module."""
        return self.source.rpartition(":")[2]


def network(
    model: Any, weights: str | os.PathLike[str] | None, options: Mapping[str, Any], recipe: Recipe | None, seed: int
) -> Network:
    """The network that `model` is or names; what cannot be trained is refused with the reason."""
    if isinstance(model, str | os.PathLike):
        recipe = Recipe(_factory(os.fspath(model)), dict(options))
        build = partial(recipe.build, trust=True)
        first, second = (seeded(build, seeds.derived_seed(seed, name)) for name in ("weights", "other weights"))
        _check_kind(first)
        given = weights is not None or _same(first, second)
        model, source = first, os.fspath(model)
    else:
        _check_kind(model)
        if options:
            raise InvalidInput("options are arguments of a factory, and the model is built already; leave them out.")
        model, source, given = copy.deepcopy(model), type(model).__name__, True
    if weights is not None:
        load_weights(model, weights)
    return Network(model=model, source=source, recipe=recipe, given=given)


def in_attacked_units(model: nn.Module, domain: Domain) -> nn.Module:
    """The network, as the submodule `NETWORK` of what takes inputs in the attacked units (of a table)."""
    whole = nn.Sequential()
    if domain.center is not None and domain.spread is not None:
        whole.append(Normalize(-domain.center / domain.spread, 1.0 / domain.spread))
    whole.add_module(NETWORK, model)
    return whole


def check_answers(model: nn.Module, parts: Parts, device: torch.device) -> None:
    """Refuse a network that cannot be trained on these rows: no logits, no gradient, or a class without a logit."""
    asked = in_attacked_units(model, parts.domain).to(device)
    x = parts.train[0][:_ASKED].to(device, precision(model))
    adapted = adapt(asked, x)
    if adapted.model is not asked:
        noted = f" ({'; '.join(adapted.notes)})" if adapted.notes else ""
        raise ModelContractError(
            f"the network must return logits (n, classes) with gradients to be trained{noted}; return them from its "
            "forward pass."
        )
    with undisturbed(asked, x, torch.Generator(device=device).manual_seed(0)), torch.no_grad():
        check_logits(asked(x), len(x), torch.tensor([parts.classes - 1]))


def _factory(spec: str) -> str:
    """`spec` where it names a function that builds a network."""
    if Path(spec).exists() or ":" not in spec:
        raise InvalidInput(
            f"MODEL must be {TRAINABLE}, got {spec!r}: what a file holds is asked and not trained; name the function "
            "that builds the network, and its weights with --weights."
        )
    return spec


def _check_kind(model: Any) -> None:
    if not isinstance(model, nn.Module) or isinstance(model, torch.jit.ScriptModule):
        kind = "a TorchScript module" if isinstance(model, nn.Module) else type(model).__name__
        raise InvalidInput(f"MODEL must be {TRAINABLE}, got {kind}, whose layers cannot be trained anew.")


def _same(first: nn.Module, second: nn.Module) -> bool:
    """Whether two networks of one factory have the same weights, so that it read them from somewhere."""
    a, b = model_tensors(first), model_tensors(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
