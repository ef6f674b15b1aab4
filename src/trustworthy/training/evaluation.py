"""Metrics of a model over a data set: `trustworthy.metrics`, and others that see every draw of a stochastic model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.guard import undisturbed
from trustworthy.core.predictive import Predictive, predict
from trustworthy.metrics import accuracy
from trustworthy.training.data import Collate, Data, as_dataset, batches


@dataclass(frozen=True)
class PerExample:
    """The mean over the examples of `function`, batch by batch: no more than one batch of outputs is held.

    function : of predictions and targets, as a `Metric`, to one number per example (n,).
    """

    function: Callable[[np.ndarray, np.ndarray], ArrayLike]


@dataclass(frozen=True)
class OfDraws:
    """`function` of the `Predictive` of all examples, with every draw in it, and of the targets as a tensor."""

    function: Callable[[Predictive, Tensor], float]


@dataclass(frozen=True)
class OfModel:
    """`function` of the model itself and of all examples (x, y), as tensors on its device: an attack, or a KL term.

    The model is in evaluation mode, and gradients are on.
    """

    function: Callable[[nn.Module, tuple[Tensor, Tensor]], float]


Metric: TypeAlias = Callable[[np.ndarray, np.ndarray], ArrayLike] | PerExample | OfDraws | OfModel
"""Of predictions and targets over all examples, to a number or one number per example, of which the mean is taken.

All functions of `trustworthy.metrics` that compare predictions with targets fit. See `predictions` for what they get.
"""

CLASSIFICATION: Mapping[str, Metric] = MappingProxyType({"accuracy": accuracy})


def evaluate(
    model: nn.Module,
    data: Data,
    *,
    metrics: Mapping[str, Metric] = CLASSIFICATION,
    batch_size: int = 512,
    draws: int | None = None,
    collate: Collate | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, float]:
    """Metrics of `model` in evaluation mode over all of `data`, on the device of its weights.

    Parameters
    ----------
    data : arrays (x, y, ...), or a torch `Dataset` of such tuples; what comes after the targets y is not used.
    metrics : by the name of their result.
    batch_size : examples in one forward pass, >= 1.
    draws : answers of a stochastic model to each example, >= 1, see `predict`; each batch has its own.
    collate : items of a torch `Dataset` to a batch of tensors; None for torch's `default_collate`.
    generator : on the device of the weights, source of what the model draws; None uses torch's global stream.

    Raises
    ------
    InvalidInput, ModelContractError
        Where an argument, the model or a metric breaks its contract.
    """
    checks.integer("batch_size", batch_size, at_least=1)
    dataset = as_dataset("data", data, model)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    rows = torch.arange(len(dataset)).split(batch_size)  # type: ignore[arg-type]
    streamed = {name: metric.function for name, metric in metrics.items() if isinstance(metric, PerExample)}
    of_model = {name: metric.function for name, metric in metrics.items() if isinstance(metric, OfModel)}
    answered = len(streamed) + len(of_model) < len(metrics)
    sums, kept, pairs = dict.fromkeys(streamed, 0.0), [], []
    for batch in batches(dataset, rows, collate=collate):
        if len(batch) < 2:
            raise InvalidInput("data must hold inputs and targets (x, y) to evaluate a model on, got inputs alone.")
        x, y = batch[0], batch[1].cpu()
        if of_model:
            pairs.append((x.to(device), y.to(device)))
        if not streamed and not answered:
            continue
        asked = predict(model, x.to(device), draws=draws, batch_size=batch_size, generator=generator)
        answers = Predictive(asked.members.to("cpu", torch.promote_types(asked.members.dtype, torch.float32)))
        for name, function in streamed.items():
            sums[name] += float(_values(name, function, answers, y).sum())
        if answered:
            kept.append((answers.members, y))
    means = {name: total / len(dataset) for name, total in sums.items()}  # type: ignore[arg-type]
    if kept:
        members, targets = zip(*kept, strict=True)
        whole, y = Predictive(torch.cat(members, 1)), torch.cat(targets)
        left = {name: metric for name, metric in metrics.items() if not isinstance(metric, PerExample | OfModel)}
        means |= {name: _number(metric, whole, y) for name, metric in left.items()}
    if of_model:
        xs, ys = zip(*pairs, strict=True)
        x, y = torch.cat(xs), torch.cat(ys)
        for name, function in of_model.items():
            with undisturbed(model, x, generator):
                means[name] = float(function(model, (x, y)))
    return {name: means[name] for name in metrics}


def predictions(answers: Predictive, targets: Tensor) -> np.ndarray:
    """What a metric compares with `targets`.

    Where the targets are class labels, whole numbers (n,), and the outputs (n, classes), they are logits, and this is
    their softmax, averaged over the draws. Otherwise it is the mean of the outputs over the draws.
    """
    labels = targets.ndim == 1 and not targets.is_floating_point() and answers.members.ndim == 3
    if not labels:
        return answers.mean.numpy()
    if answers.members.shape[2] == 1:
        raise ModelContractError(
            "the model must return at least two logits where the targets are class labels; turn one score s into the "
            "pair (0, s), or make the targets real numbers."
        )
    return Predictive(answers.members.double()).probabilities.numpy()


def _values(name: str, function: Callable[..., ArrayLike], answers: Predictive, y: Tensor) -> np.ndarray:
    values = np.asarray(function(predictions(answers, y), y.numpy()))
    if values.shape != (len(y),):
        raise InvalidInput(
            f"metric {name}: PerExample takes a function that returns one number per example, ({len(y)},) here, got "
            f"shape {values.shape}; give the function itself where it is of all examples together."
        )
    return values


def _number(metric: Callable[..., ArrayLike] | OfDraws, answers: Predictive, y: Tensor) -> float:
    if isinstance(metric, OfDraws):
        return float(metric.function(answers, y))
    return float(np.asarray(metric(predictions(answers, y), y.numpy())).mean())
