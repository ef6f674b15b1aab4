"""What makes two calls the same training run: a checkpoint is continued only by the run that wrote it.

Every setting that the weights depend on is told in words that another process finds again. What cannot be told so, a
closure or an object that does not show its settings, is refused. A function at the top of a module is known by its
name alone: give it another name when it comes to do something else.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import operator
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType, NoneType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset, TensorDataset

from trustworthy.core.errors import InvalidInput
from trustworthy.training.data import Arrays
from trustworthy.training.weights import raw_bytes

_PLAIN = (NoneType, bool, int, float, complex, str, bytes, enum.Enum, torch.dtype, torch.device)
_HELD = (*_PLAIN, tuple, functools.partial, FunctionType, BuiltinFunctionType)
_MOST = 8
"""Differences that an error lists."""


class _Untold(Exception):
    """A setting that cannot be told from others; the message says what it is."""


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


def told(name: str, setting: Any) -> str:
    """`describe(setting)`, or the error that says what to do."""
    try:
        return describe(setting)
    except _Untold as untold:
        raise InvalidInput(
            f"{name} must be something that a checkpoint can tell from others of its kind, got {untold}. Write it as a "
            "frozen dataclass with a __call__, or as a function at the top of a module; or train without checkpoints."
        ) from None


def describe(value: Any) -> str:
    """The same words for the same value in every process, and others for another value."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, Tensor | np.ndarray):
        return _digest(torch.as_tensor(value))
    if isinstance(value, nn.Module):
        state = value.state_dict()
        parts = {**describe_model(value), **{f"{name}=": describe(state[name]) for name in state}}
        return f"{_type_name(value)} {_hash([repr(parts)])}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{describe(key)}: {describe(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple | list | set | frozenset):
        items = [describe(item) for item in value]
        return f"{type(value).__name__}({', '.join(sorted(items) if isinstance(value, set | frozenset) else items)})"
    return _describe_callable(value)


def _describe_callable(value: Any) -> str:
    if isinstance(value, functools.partial):
        given = [*map(describe, value.args), *(f"{name}={describe(v)}" for name, v in value.keywords.items())]
        return f"{describe(value.func)}({', '.join(given)})"
    if isinstance(value, MethodType) and not isinstance(value.__self__, nn.Module):
        return f"{describe(value.__self__)}.{value.__name__}"
    if isinstance(value, BuiltinFunctionType) and isinstance(value.__self__, NoneType | ModuleType | type):
        return f"{value.__module__}.{value.__qualname__}"
    if is_dataclass(value) and not isinstance(value, type):
        if not type(value).__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise _Untold(f"the {type(value).__qualname__}, a dataclass that is not frozen")
        given = ", ".join(f"{field.name}={describe(getattr(value, field.name))}" for field in fields(value))
        return f"{_named(type(value))}({given})"
    if hasattr(value, "__qualname__"):
        return _named(value)
    text = repr(value)
    if type(value).__repr__ is object.__repr__ or " at 0x" in text:
        raise _Untold(f"the {type(value).__qualname__} {text}, which does not show its settings")
    return text


def _named(value: Any) -> str:
    """The full name of a function or class, if it is what stands under that name."""
    module, name = str(getattr(value, "__module__", None)), value.__qualname__
    try:
        found = operator.attrgetter(name)(sys.modules[module])
    except (KeyError, AttributeError):  # a lambda, or what stands inside of a function
        found = None
    if found is not value:
        raise _Untold(f"{name} of {module}, which is not at the top of a module")
    return f"{_module_name(module)}.{name}"


def _module_name(module: str) -> str:
    """A script is the same module whether it is run or imported."""
    if module != "__main__":
        return module
    main = sys.modules[module]
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    return spec.name if spec else Path(file).stem if file else module


def describe_data(dataset: Dataset[Any]) -> str:
    """A digest of the values of arrays; of another dataset, whose items may be slow or random, its kind and length.

    A dataset with an attribute `fingerprint` is known by that too.
    """
    if isinstance(dataset, Arrays):
        return ", ".join(map(_digest, dataset.parts))
    if type(dataset) is TensorDataset:
        return ", ".join(map(_digest, dataset.tensors))
    mark = getattr(dataset, "fingerprint", None)
    known = "" if mark is None else f" with fingerprint {told('fingerprint of data', mark)}"
    return f"{_type_name(dataset)} of {len(dataset)} items{known}"  # type: ignore[arg-type]


def describe_model(model: nn.Module) -> dict[str, str]:
    """Kind and settings of every module by its name, and shape and type of every weight and buffer."""
    modules = {name: _describe_module(name, module) for name, module in model.named_modules()}
    tensors = dict(model.named_buffers()) | dict(model.named_parameters())
    frozen = {name for name, value in model.named_parameters() if not value.requires_grad}
    shapes = {
        name: f"{value.dtype} {tuple(value.shape)}{' frozen' if name in frozen else ''}"
        for name, value in tensors.items()
    }
    return modules | shapes


def _describe_module(name: str, module: nn.Module) -> str:
    """What it prints of itself, and the plain values that it holds beside, as not every module prints its settings."""
    prints_all = type(module).__repr__ is not nn.Module.__repr__
    shown = repr(module) if prints_all else module.extra_repr()
    shown = re.sub(r" at 0x[0-9a-fA-F]+", "", shown)
    held = _held(f"{name or 'the root'} of the model", module, {*vars(nn.Module()), "forward"})  # wrappers set it
    return f"{_type_name(module)}({', '.join(filter(None, [shown, *(h for h in held if h not in shown)]))})"


def describe_optimizer(optimizer: Optimizer, model: nn.Module) -> dict[str, str]:
    """Its kind, and of each group of parameters the settings and which parameters it has.

    Read from what was built, so the function that builds it may be a lambda.
    """
    names = {id(value): name for name, value in model.named_parameters()}
    base = vars(Optimizer([nn.Parameter(torch.zeros(1))], {}))
    kind = f"{_type_name(optimizer)}({', '.join(_held('optimizer', optimizer, base))})"
    groups: dict[str, str] = {}
    for number, group in enumerate(optimizer.param_groups):
        settings = {name: value for name, value in group.items() if name != "params"}
        chosen = [names.get(id(value), "") for value in group["params"]]
        groups[f"group {number}"] = told("optimizer", settings)
        groups[f"group {number} of"] = f"{len(chosen)} weights {_hash(chosen)}"
    return {"": kind, **groups}


def _held(owner: str, value: object, without: Iterable[str]) -> list[str]:
    """Values and functions among the attributes of `value`; a list or a tensor, changed by use, is no setting."""
    kept = {name: item for name, item in vars(value).items() if name not in without and _is_setting(item)}
    return [f"{name}={told(f'{name} of {owner}', item)}" for name, item in kept.items()]


def _is_setting(value: Any) -> bool:
    return all(map(_is_setting, value)) if isinstance(value, tuple) else isinstance(value, _HELD)


def _type_name(value: object) -> str:
    return f"{_module_name(type(value).__module__)}.{type(value).__qualname__}"


def _digest(values: Tensor) -> str:
    return f"{str(values.dtype).removeprefix('torch.')} {tuple(values.shape)} {_hash([raw_bytes(values)])}"


def _hash(parts: Iterable[str | memoryview]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part.encode() + b"\0" if isinstance(part, str) else part)
    return digest.hexdigest()


def differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One phrase for each setting that changed, the first few of them."""
    changed = _changed(saved, now)
    more = [f"and {len(changed) - _MOST} more"] if len(changed) > _MOST else []
    return changed[:_MOST] + more


def _changed(saved: Mapping[str, Any], now: Mapping[str, Any], owner: str = "") -> list[str]:
    phrases: list[str] = []
    for name in dict.fromkeys((*now, *saved)):
        before, after, full = saved.get(name, "nothing"), now.get(name, "nothing"), f"{owner} {name}".strip()
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            phrases += _changed(before, after, full)
        elif before != after:
            phrases.append(f"{full} was {before}, is {after}")
    return phrases
