"""Metrics of a model over a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import numpy as np
import torch
from torch import nn

from trustworthy.core import checks
from trustworthy.metrics import accuracy
from trustworthy.training.data import Data, as_dataset, batches

Metric = Callable[[np.ndarray, np.ndarray], float]
"""Outputs of the model and targets, over all examples, to a number."""

CLASSIFICATION: Mapping[str, Metric] = MappingProxyType({"accuracy": accuracy})


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put `model` in evaluation mode; every module of it gets its own mode back in the end."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def evaluate(
    model: nn.Module, data: Data, *, metrics: Mapping[str, Metric] = CLASSIFICATION, batch_size: int = 512
) -> dict[str, float]:
    """Metrics of `model` in evaluation mode over all of `data`, on the device of its weights.

    Parameters
    ----------
    data : (x, y) arrays, or a torch `Dataset` of such pairs.
    metrics : functions of the outputs (n, ...) and the targets (n, ...), by the name of their result. The functions of
        `trustworthy.metrics` fit.
    batch_size : examples in one forward pass, >= 1.
    """
    checks.integer("batch_size", batch_size, at_least=1)
    dataset = as_dataset("data", data, model)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    rows = torch.arange(len(dataset)).split(batch_size)  # type: ignore[arg-type]
    outputs, targets = [], []
    with torch.no_grad(), evaluating(model):
        for x, y, *_ in batches(dataset, rows):
            outputs.append(model(x.to(device)).float().cpu().numpy())
            targets.append(y.cpu().numpy())
    given = np.concatenate(outputs), np.concatenate(targets)
    return {name: float(metric(*given)) for name, metric in metrics.items()}
