"""Leaving no trace: the model's modes and the global random stream are as they were, even after an error."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import CodeType, FunctionType, MethodType, ModuleType, WrapperDescriptorType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trustworthy.core.errors import InvalidInput

_LEAVES = (str, bytes, int, float, complex, type(None), Tensor, np.ndarray, np.generic, type, ModuleType)
_SEALED = {"inspect", "typing", "sklearn.tree._classes", "sklearn.tree._tree"}  # what is defined there holds no module
_STATE_OF_MODULES = frozenset(vars(nn.Module())) - {"_modules"}  # weights and hooks: no other modules to be found there


@contextmanager
def undisturbed(model: object, x: Tensor, generator: torch.Generator | None) -> Iterator[None]:
    """Work in eval mode with gradients on, and leave the model and the global random stream as they were.

    The model is a module, a posterior, or anything that holds or refers to modules: all of them run in eval mode, so
    that none counts the batches of an attack among its statistics. What shall draw at random in eval mode is a layer
    that does so in either mode, never a layer left in training mode.

    With a generator, a stochastic model draws from a forked global stream seeded by it, so the whole attack is
    reproducible and the caller's stream does not move.
    """
    if generator is not None and generator.device.type != x.device.type:
        raise InvalidInput(
            f"generator lives on {generator.device}, x on {x.device}; use torch.Generator(device=x.device)."
        )
    modes = [(module, module.training) for module in reachable_modules(model)]
    stream = nullcontext() if generator is None else _forked_stream(x.device, generator)
    with torch.inference_mode(False), torch.enable_grad(), stream:
        try:
            for module, _ in modes:
                module.training = False
            yield
        finally:
            for module, training in modes:
                module.training = training


@contextmanager
def _forked_stream(device: torch.device, generator: torch.Generator) -> Iterator[None]:
    on_cpu = device.type == "cpu"
    with torch.random.fork_rng(devices=[] if on_cpu else [device], device_type="cuda" if on_cpu else device.type):
        seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
        # torch.manual_seed would seed every device, also those whose stream is not forked here.
        torch.default_generator.manual_seed(seed)
        if not on_cpu:
            with torch.device(device):
                torch.get_device_module(device).manual_seed(seed)
        yield


def reachable_modules(model: object) -> list[nn.Module]:
    """Every `nn.Module` that `model` is, names by a method `modules()`, holds in a field or refers to in its code.

    What is looked at: attributes of objects, slots included; items of lists, tuples, sets and mappings; closures,
    defaults, attributes and callable globals of functions; the object of a bound method; what a partial was given. What
    a decorator of another file put around a function is searched too, but not the globals of its helpers.
    """
    found: list[nn.Module] = []
    seen: dict[int, object] = {}  # values keep what was made on the way alive: an id is of one object only
    decorators: set[int] = set()  # ids of the globals of their files
    waiting: list[object] = [model]
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, _LEAVES) or id(thing) in seen or type(thing).__module__ in _SEALED:
            continue
        seen[id(thing)] = thing
        if isinstance(thing, nn.Module):
            found.append(thing)
        waiting.extend(_parts(thing, decorators))
    return found


def precision(model: Any) -> torch.dtype | None:
    """Type of the first floating weight of any module that the model runs."""
    weights = (weight for module in reachable_modules(model) for weight in module.parameters())
    return next((weight.dtype for weight in weights if weight.is_floating_point()), None)


def _parts(thing: object, decorators: set[int]) -> Iterable[Any]:
    if isinstance(thing, nn.Module):
        return [value for name, value in vars(thing).items() if name not in _STATE_OF_MODULES]
    if isinstance(thing, FunctionType):
        return _referred(thing, decorators)
    if isinstance(thing, MethodType):
        return thing.__self__, thing.__func__
    if isinstance(thing, functools.partial):
        return thing.func, *thing.args, *thing.keywords.values()
    if isinstance(thing, Mapping):
        return list(thing.values())
    if isinstance(thing, list | tuple | set | frozenset):
        return thing
    return _held(thing)


def _referred(function: FunctionType, decorators: set[int]) -> Iterator[Any]:
    """What a function can call; of its globals, the callables and the containers, functions of its own file alone."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # a variable that has no value yet
            continue
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    yield from vars(function).values()
    around = function.__module__ != function.__globals__.get("__name__")  # has the name of what it was put around
    if around:
        decorators.add(id(function.__globals__))
    elif id(function.__globals__) in decorators:
        return
    for name in _names(function.__code__):
        value = function.__globals__.get(name)
        elsewhere = isinstance(value, FunctionType) and value.__module__ != function.__module__
        if not elsewhere and (callable(value) or isinstance(value, list | tuple | dict)):
            yield value


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _held(thing: Any) -> Iterator[Any]:
    yield from getattr(thing, "__dict__", {}).values()
    slots, calls = _of_class(type(thing))
    yield from (getattr(thing, name, None) for name in slots)
    yield from calls
    if callable(getattr(thing, "modules", None)):
        yield from thing.modules()


@functools.lru_cache(maxsize=256)
def _of_class(kind: type) -> tuple[list[str], list[Any]]:
    """Names of the slots of an object, and what a call of it runs, which may refer to globals."""
    slots: list[str] = []
    for base in kind.__mro__:
        names = vars(base).get("__slots__", ())
        slots += [names] if isinstance(names, str) else names
    calls = [vars(base).get("__call__") for base in kind.__mro__]
    return slots, [call for call in calls if not isinstance(call, WrapperDescriptorType | None)]
