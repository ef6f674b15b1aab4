"""Another network out of one: noise layers, Bayesian layers, another activation, by a rule for each module."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import chain

from torch import Tensor, nn

from trustworthy.core.errors import InvalidInput

Rule = Callable[[str, nn.Module], nn.Module | None]
"""`rule(name, module)`: what takes the place of `module`, which it may hold, or None to keep it. The name is that of
`named_modules`, "" for the whole model."""


def replaced(model: nn.Module, rule: Rule) -> nn.Module:
    """A copy of `model` in which every module for which `rule` gives another is replaced by that.

    The innermost modules come first, so a rule for a block sees its layers replaced; what a rule gives is not searched
    again. A module that stands in several places is asked for once, by its first name, and what replaces it stands in
    all of them. A new module takes on the device, the floating type and the mode (training or evaluation) of the one
    that it replaces; modules of the model that it holds keep theirs. The weights of the copy are those of `model`,
    which is not changed.

    Parameters
    ----------
    rule : for instance `lambda name, module: nn.Tanh() if isinstance(module, nn.ReLU) else None`.

    Raises
    ------
    InvalidInput : the rule gives something that is not a module.
    """
    model = copy.deepcopy(model)
    modules = list(_inside_out("", model, set()))
    paths = dict(model.named_modules(remove_duplicate=False))
    old, default, root = {*model.modules(), *_tensors(model)}, _floating(model), model
    settled = set(old)
    for name, module in modules:
        new = rule(name, module)
        if new is None or new is module:
            continue
        if not isinstance(new, nn.Module):
            raise InvalidInput(f"rule must give a module or None, got {type(new).__name__} for {name or 'the model'}.")
        _settle(new, module, settled, default)
        for path in [path for path, stands in paths.items() if stands is module]:
            parent, _, child = path.rpartition(".")
            if path:
                setattr(paths[parent], child, new)
            else:
                root = new
    for layer in root.modules():
        if isinstance(layer, nn.TransformerEncoderLayer) and not old.issuperset(layer.modules()):
            layer.activation_relu_or_gelu = 0  # no fast path: in evaluation it would compute what was there before
    return root


def _inside_out(name: str, module: nn.Module, seen: set[nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    """Every module once, with its first name, after those that it holds."""
    seen.add(module)
    for child, inner in module.named_children():
        if inner not in seen:
            yield from _inside_out(f"{name}.{child}" if name else child, inner, seen)
    yield name, module


def _settle(new: nn.Module, old: nn.Module, settled: set[nn.Module | Tensor], default: Tensor | None) -> None:
    """Give what is not `settled` in `new` the mode, device and floating type of `old`."""
    for module in set(new.modules()) - settled:
        module.training = old.training
    like = default if _floating(old) is None else _floating(old)

    def moved(tensor: Tensor) -> Tensor:
        if like is None or tensor in settled:  # by identity, as tensors are hashed
            return tensor
        return tensor.to(like.device, like.dtype if tensor.is_floating_point() else None)

    new._apply(moved)  # the door of `Module.to`, tensor by tensor
    settled.update(new.modules(), _tensors(new))


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    return chain(module.parameters(), module.buffers())


def _floating(module: nn.Module) -> Tensor | None:
    return next((tensor for tensor in _tensors(module) if tensor.is_floating_point()), None)
