"""The loss of a batch, as the training loop calls it.

A loss with settings is a frozen dataclass with a `__call__`: its settings then tell one run's checkpoints from
another's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.training.data import Batch
from trustworthy.training.moment import Moment

Loss = Callable[[nn.Module, Batch, Moment], Tensor]
"""`loss(model, batch, moment)`: the mean over the batch, a scalar. It may change the batch first, by an attack on
`model` for instance; it draws from `moment.generator`."""


def cross_entropy(model: nn.Module, batch: Batch, moment: Moment) -> Float[Tensor, ""]:
    """Mean cross-entropy of the logits of `model` against labels (batch,) or class probabilities (batch, classes)."""
    x, y = labelled(batch)
    logits = model(x)
    if logits.ndim != 2 or len(logits) != len(y):
        raise ModelContractError(
            f"the model must return logits of shape (batch, classes) for {len(y)} examples, got {tuple(logits.shape)}."
        )
    classes = logits.shape[1]
    fits = y.shape == logits.shape if y.is_floating_point() else y.ndim == 1
    try:
        return F.cross_entropy(logits, y) if fits else _refuse(y, classes)
    except IndexError:
        return _refuse(y, classes)


def labelled(batch: Batch) -> tuple[Tensor, Tensor]:
    """The inputs and the targets of `batch`, which must hold nothing else."""
    if len(batch) != 2:
        raise InvalidInput(
            f"data must be pairs (x, y) for this loss, got {len(batch)} parts; write a loss that takes them all."
        )
    return batch[0], batch[1]


def _refuse(y: Tensor, classes: int) -> NoReturn:
    raise InvalidInput(
        f"y must hold labels (batch,) in 0..{classes - 1}, or probabilities (batch, {classes}), as the model returns "
        f"{classes} logits; got {y.dtype} of shape {tuple(y.shape)} from {y.min():g} to {y.max():g}."
    ) from None
