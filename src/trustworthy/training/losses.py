"""The loss of a batch, as the training loop calls it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.training.data import Batch

Loss = Callable[[nn.Module, Batch, torch.Generator], Tensor]
"""`loss(model, batch, generator)`: the mean over the batch, a scalar. It may change the batch first, by an attack on
`model` for instance; it draws from `generator`, which lives on the device of the batch."""


def cross_entropy(model: nn.Module, batch: Batch, generator: torch.Generator) -> Float[Tensor, ""]:
    """Mean cross-entropy of the logits of `model` against labels (batch,) or class probabilities (batch, classes)."""
    x, y = batch
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


def _refuse(y: Tensor, classes: int) -> NoReturn:
    raise InvalidInput(
        f"y must hold labels (batch,) in 0..{classes - 1}, or probabilities (batch, {classes}), as the model returns "
        f"{classes} logits; got {y.dtype} of shape {tuple(y.shape)} from {y.min():g} to {y.max():g}."
    ) from None
