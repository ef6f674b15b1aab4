"""What makes two calls the same training run: a checkpoint is continued only by the run that wrote it."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from trustworthy.training.augmentation import Augmentation
from trustworthy.training.data import Arrays, Plan
from trustworthy.training.losses import Loss
from trustworthy.training.schedules import AbstractSchedule
from trustworthy.training.weights import raw_bytes


def identity(
    model: nn.Module,
    dataset: Dataset[Any],
    plan: Plan,
    loss: Loss,
    optimizer: Optimizer,
    schedule: AbstractSchedule,
    augment: Augmentation | None,
    mixed_precision: str,
) -> dict[str, str | int]:
    """Everything that the weights of a run depend on, by the name of its argument."""
    return {
        "model": describe_model(model),
        "data": describe_data(dataset),
        "epochs": plan.epochs,
        "batch_size": plan.batch_size,
        "seed": plan.seed,
        "loss": describe(loss),
        "optimizer": describe_optimizer(optimizer),
        "schedule": describe(schedule),
        "augment": describe(augment),
        "mixed_precision": mixed_precision,
    }


def describe(setting: Any) -> str:
    """The same words for the same function or value in every process."""
    if isinstance(setting, functools.partial):
        given = [*map(describe, setting.args), *(f"{name}={describe(v)}" for name, v in setting.keywords.items())]
        return f"{describe(setting.func)}({', '.join(given)})"
    if hasattr(setting, "__qualname__"):
        return setting.__qualname__
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(setting))


def describe_data(dataset: Dataset[Any]) -> str:
    """A digest of the values of arrays; of a dataset, whose items may be slow or random, its kind and length alone."""
    if not isinstance(dataset, Arrays):
        return f"{type(dataset).__qualname__} of {len(dataset)} items"  # type: ignore[arg-type]
    digest = hashlib.blake2b(digest_size=16)
    for values in (dataset.x, dataset.y):
        digest.update(f"{values.dtype} {tuple(values.shape)}".encode())
        digest.update(raw_bytes(values))
    return f"arrays {tuple(dataset.x.shape)} {tuple(dataset.y.shape)} {digest.hexdigest()}"


def describe_model(model: nn.Module) -> str:
    """A digest of the names and shapes of the weights."""
    shapes = [f"{name} {tuple(value.shape)} {value.dtype}" for name, value in model.named_parameters()]
    return f"{type(model).__qualname__} {hashlib.blake2b(repr(shapes).encode(), digest_size=16).hexdigest()}"


def describe_optimizer(optimizer: Optimizer) -> str:
    """Its kind and the settings of each group of parameters."""
    groups = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
    return f"{type(optimizer).__qualname__} {groups}"


def differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One phrase for each setting that changed."""
    return [
        f"{name} was {saved.get(name)!r}, is {now.get(name)!r}"
        for name in sorted(saved.keys() | now.keys())
        if saved.get(name) != now.get(name)
    ]
