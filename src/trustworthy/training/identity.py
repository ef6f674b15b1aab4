"""What makes two calls the same training run: a checkpoint is continued only by the run that wrote it.

Every setting that the weights depend on is told in words that another process finds again. What cannot be told so, a
closure or an object that does not show its settings, is refused. A function at the top of a module is known by its
name alone: give it another name when it comes to do something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import Dataset, TensorDataset

from trustworthy.core.digest import digest
from trustworthy.training.data import Arrays
from trustworthy.training.description import describe_model, describe_values, held, told, type_name


def identity(
    model: nn.Module, dataset: Dataset[Any], optimizer: Optimizer, settings: Mapping[str, Any]
) -> dict[str, str | dict[str, str]]:
    """Everything that the weights of a run depend on, by the name of its argument.

    Raises
    ------
    InvalidInput : a setting cannot be told from others.
    """
    return {
        "model": describe_model(model),
        "data": describe_data(dataset),
        "optimizer": describe_optimizer(optimizer, model),
        **{name: told(name, value) for name, value in settings.items()},
    }


def describe_data(dataset: Dataset[Any]) -> str:
    """A digest of the values of arrays; of another dataset, whose items may be slow or random, its kind and length.

    A dataset with an attribute `fingerprint` is known by that too.
    """
    if isinstance(dataset, TensorDataset) and type(dataset) in (Arrays, TensorDataset):
        return ", ".join(map(describe_values, dataset.tensors))
    mark = getattr(dataset, "fingerprint", None)
    known = "" if mark is None else f" with fingerprint {told('fingerprint of data', mark)}"
    return f"{type_name(dataset)} of {len(dataset)} items{known}"  # type: ignore[arg-type]


def describe_optimizer(optimizer: Optimizer, model: nn.Module) -> dict[str, str]:
    """Its kind, and of each group of parameters the settings and which parameters it has.

    Read from what was built, so the function that builds it may be a lambda.
    """
    names = {id(value): name for name, value in model.named_parameters()}
    base = vars(Optimizer([nn.Parameter(torch.zeros(1))], {}))
    kind = f"{type_name(optimizer)}({', '.join(held('optimizer', optimizer, base))})"
    groups: dict[str, str] = {}
    for number, group in enumerate(optimizer.param_groups):
        settings = {name: value for name, value in group.items() if name != "params"}
        chosen = [names.get(id(value), "") for value in group["params"]]
        groups[f"group {number}"] = told("optimizer", settings)
        groups[f"group {number} of"] = f"{len(chosen)} weights {digest(chosen)}"
    return {"": kind, **groups}


def differences(saved: Mapping[str, Any], now: Mapping[str, Any], owner: str = "") -> list[str]:
    """One phrase for each setting that changed."""
    phrases: list[str] = []
    for name in dict.fromkeys((*now, *saved)):
        before, after, full = saved.get(name, "nothing"), now.get(name, "nothing"), f"{owner} {name}".strip()
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            phrases += differences(before, after, full)
        elif before != after:
            phrases.append(f"{full} was {before}, is {after}")
    return phrases
