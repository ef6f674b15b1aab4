"""A setting in words that another process finds again, and that no other setting of its kind has."""

from __future__ import annotations

import enum
import functools
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

from trustworthy.core.digest import digest
from trustworthy.core.errors import InvalidInput

_PLAIN = (NoneType, bool, int, float, complex, str, bytes, enum.Enum, torch.dtype, torch.device)
_HELD = (*_PLAIN, tuple, functools.partial, FunctionType, BuiltinFunctionType)


class _Untold(Exception):
    """A setting that cannot be told from others; the message says what it is."""


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
        return describe_values(torch.as_tensor(value))
    if isinstance(value, nn.Module):
        state = value.state_dict()
        parts = {**describe_model(value), **{f"{name}=": describe(state[name]) for name in state}}
        return f"{type_name(value)} {digest(repr(parts))}"
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
    itself = type(module).__repr__ is not nn.Module.__repr__  # otherwise it prints its children too
    shown = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(module) if itself else module.extra_repr())
    kept = held(f"{name or 'the root'} of the model", module, {*vars(nn.Module()), "forward"})  # wrappers set it
    beside = [item for item in kept if item not in shown.split(", ")]
    return f"{type_name(module)}({', '.join(filter(None, [shown, *beside]))})"


def held(owner: str, value: object, without: Iterable[str]) -> list[str]:
    """Values and functions among the attributes of `value`; a list or a tensor, changed by use, is no setting."""
    kept = {name: item for name, item in vars(value).items() if name not in without and _is_setting(item)}
    return [f"{name}={told(f'{name} of {owner}', item)}" for name, item in kept.items()]


def _is_setting(value: Any) -> bool:
    return all(map(_is_setting, value)) if isinstance(value, tuple) else isinstance(value, _HELD)


def type_name(value: object) -> str:
    return f"{_module_name(type(value).__module__)}.{type(value).__qualname__}"


def describe_values(values: Tensor) -> str:
    """Type, shape and digest."""
    return f"{str(values.dtype).removeprefix('torch.')} {tuple(values.shape)} {digest(values)}"
