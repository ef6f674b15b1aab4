"""Read a network as a graph from what it calls: the model runs once, and each torch function of its input is recorded.

What has no name in the tables of `affine` and `nonlinear` is refused, so that nothing that depends on the input goes
unseen: reading a value, to choose by it for example, is such a function too. Modules do not matter, only what they
call; weights may be computed in any way that does not depend on the input.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode, resolve_name

from trustworthy.certify.affine import AFFINE, SUM, AffineMap, rescaled, reshaped
from trustworthy.certify.network import Input, Network, Node
from trustworthy.certify.nonlinear import NONLINEAR, Nonlinear
from trustworthy.core.errors import InvalidInput
from trustworthy.core.guard import undisturbed

_ADDITIONS = (torch.add, Tensor.add, Tensor.add_)
_SUBTRACTIONS = (torch.sub, Tensor.sub, Tensor.sub_)
_COMMUTING = (torch.add, Tensor.add, torch.mul, Tensor.mul)  # not in place: what they change must be the result
_READERS: dict[Callable[..., object], Callable[..., AffineMap | Nonlinear]] = {**AFFINE, **NONLINEAR}
_RESHAPING = (torch.flatten, Tensor.flatten, torch.reshape, Tensor.reshape, Tensor.view)
_RESHAPING += (torch.squeeze, Tensor.squeeze, torch.unsqueeze, Tensor.unsqueeze, Tensor.unflatten)
_DROPOUT = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d)
_SAME = (Tensor.contiguous, Tensor.clone, torch.clone, Tensor.detach, Tensor.float, Tensor.double, Tensor.to)
_ATTRIBUTES = ("shape", "ndim", "dtype", "device", "layout", "requires_grad", "is_cuda")
_METHODS = ("size", "dim", "numel", "__len__", "is_floating_point", "is_contiguous", "stride", "new_zeros", "new_ones")
_UNSEEING = {getattr(Tensor, name).__get__ for name in _ATTRIBUTES} | {getattr(Tensor, name) for name in _METHODS}
_UNSEEING |= {torch.zeros_like, torch.ones_like}
_EXAMPLES = 2  # so that an operation that mixes them shows in the shape


def read(model: nn.Module, example: Float[Tensor, "*shape"]) -> Network:
    """What `model` computes in eval mode of inputs like `example`, with its weights in float64.

    Raises
    ------
    InvalidInput : an operation that is not supported, named.
    """
    with undisturbed(model, example, None), torch.no_grad():
        x = example.new_zeros(_EXAMPLES, *example.shape)
        recorder = _Recorder(x)
        with recorder:
            answer = model(x)
        return recorder.network(answer)


class _Recorder(TorchFunctionMode):
    """Records what is computed of `x`; the tensors are kept, so that no other gets the identity of one of them."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.nodes = [Node(Input(), (), tuple(x.shape[1:]))]
        self.zero = x.new_zeros((), dtype=torch.float64)
        self.known: dict[int, tuple[Tensor, int, int]] = {id(x): (x, x._version, 0)}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _UNSEEING:
            return func(*args, **kwargs)
        if "input" in kwargs:
            args, kwargs = (kwargs["input"], *args), {k: value for k, value in kwargs.items() if k != "input"}
        sources = [self._node(value) for value in _tensors((args, kwargs)) if id(value) in self.known]
        result = func(*args, **kwargs)
        if sources:
            if not isinstance(result, Tensor) or not result.is_floating_point():
                raise _unknown(func)
            if result.shape[:1] != (_EXAMPLES,):
                raise _unknown(func, f", to a result of shape {tuple(result.shape)} of {_EXAMPLES} examples")
            node = self._recorded(func, args, kwargs, sources, result)
            self.known[id(result)] = (result, result._version, node)
        return result

    def network(self, answer: Any) -> Network:
        """The nodes on which `answer` depends."""
        if id(answer) not in self.known:
            raise InvalidInput(
                "model must compute its answer from its input by torch functions that Python calls; got one that does "
                "not show how. Use RandomizedSmoothing."
            )
        output = self._node(answer)
        needed = {0, output}
        for k in range(output, 0, -1):
            needed.update(self.nodes[k].sources if k in needed else ())
        place = {k: new for new, k in enumerate(sorted(needed))}
        nodes = [self.nodes[k] for k in place]
        return Network(tuple(Node(n.operation, tuple(place[k] for k in n.sources), n.shape, n.bias) for n in nodes))

    def _node(self, value: Tensor) -> int:
        tensor, version, node = self.known[id(value)]
        if tensor._version != version:
            raise InvalidInput(
                "model must not change a result in place through a view of it, which hides what was computed; "
                "use inplace=False."
            )
        return node

    def _recorded(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        sources: list[int],
        result: Tensor,
    ) -> int:
        """The node that holds the result."""
        if len(sources) == 2 and func in (*_ADDITIONS, *_SUBTRACTIONS) and len(args) == 2 and not kwargs:
            return self._summed(*sources, negative=func in _SUBTRACTIONS)
        if len(args) == 2 and func in _COMMUTING and id(args[0]) not in self.known:
            args = args[::-1]
        if len(sources) != 1 or id(args[0]) not in self.known:
            raise _unknown(func, f", of {len(sources)} results" if len(sources) > 1 else "")
        if func in _SAME or (func in _DROPOUT and not _bound(func, args, kwargs)["training"]):
            return sources[0]
        if func in _RESHAPING:
            return self._added(reshaped(self.nodes[sources[0]].shape, tuple(result.shape[1:])), *sources)
        if func not in _READERS:
            raise _unknown(func)
        zeros = self.zero.expand(1, *self.nodes[sources[0]].shape)
        reader = _READERS[func]
        return self._added(reader(**_bound(reader, (zeros, *args[1:]), kwargs, func)), *sources)

    def _summed(self, first: int, second: int, *, negative: bool) -> int:
        if self.nodes[first].shape != self.nodes[second].shape:
            raise InvalidInput(
                f"a sum is certified of results of one shape, got {self.nodes[first].shape} "
                f"and {self.nodes[second].shape}."
            )
        if negative:
            second = self._added(rescaled(self.zero - 1, self.zero), second)
        return self._added(SUM, first, second)

    def _added(self, operation: AffineMap | Nonlinear, *sources: int) -> int:
        zeros = (self.zero.expand(1, *self.nodes[k].shape) for k in sources)
        of_zero = operation.forward(*zeros)[0]
        bias = None if isinstance(operation, Nonlinear) or not of_zero.any() else of_zero
        self.nodes.append(Node(operation, sources, tuple(of_zero.shape), bias))
        return len(self.nodes) - 1


def _bound(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], named: Callable[..., Any] | None = None
) -> dict[str, Any]:
    """The arguments by their names, defaults included."""
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        raise _unknown(named or function, " with these arguments") from None
    bound.apply_defaults()
    return bound.arguments


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _tensors(inner)


def _unknown(func: Callable[..., Any], how: str = "") -> InvalidInput:
    functions = (*_READERS, *_RESHAPING, *_DROPOUT)
    known = ", ".join(dict.fromkeys(f.__name__ for f in functions if f.__name__[-1] != "_"))
    name = resolve_name(func) or getattr(func, "__name__", repr(func))
    return InvalidInput(f"model may compute {known} of its input; got {name}{how}. Else use RandomizedSmoothing.")
