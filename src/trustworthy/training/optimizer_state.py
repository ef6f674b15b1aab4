"""State of an optimizer as named tensors and JSON, without pickle.

Only the state of each parameter is kept (momentum, step counts): the settings come from building the optimizer again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from trustworthy.core.errors import CheckpointError

OPTIMIZER = "optimizer/"
"""What the names of an optimizer's tensors begin with in a checkpoint."""


def pack(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, float | int | bool | None]]:
    """Tensors and plain numbers of the state, both by `optimizer/<parameter>/<name>`."""
    tensors, numbers = {}, {}
    for parameter, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            key = f"{OPTIMIZER}{parameter}/{name}"
            if isinstance(value, Tensor):
                tensors[key] = value
            elif value is None or isinstance(value, int | float):
                numbers[key] = value
            else:
                raise CheckpointError(
                    f"{type(optimizer).__name__} keeps {name} as {type(value).__name__}, which a checkpoint cannot "
                    "hold; use another optimizer or train without checkpoints."
                )
    return tensors, numbers


def unpack(optimizer: Optimizer, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
    """Give `optimizer` the state that `pack` took; other entries of `tensors` are left alone."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**tensors, **numbers}.items():
        if key.startswith(OPTIMIZER):
            parameter, name = key.removeprefix(OPTIMIZER).split("/", 1)
            state.setdefault(int(parameter), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
