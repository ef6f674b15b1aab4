"""What the evaluations of a model by attacks share: checks at their door, batches, and clean predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool

from trustworthy.attacks.attack import Attack
from trustworthy.core import checks
from trustworthy.core.free import as_free
from trustworthy.core.inputs import as_batch, as_labels
from trustworthy.core.protocols import AnyClassifier
from trustworthy.core.result import Array, AttackResult
from trustworthy.core.threat import Bounds

Advance = Callable[[float], None]
"""Told, now and then, the share of the work that is done: from above 0 up to 1."""


def silent(share: float) -> None:
    """Tell nobody."""


def check_examples(x: Array, y: Array, bounds: Bounds | None, free: Array | None = None) -> int:
    """Check inputs, labels and a mask as an attack would, before any work is done; return how many there are."""
    inputs = as_batch(x, bounds)
    as_labels("y", y, inputs)
    if free is not None:
        as_free(free, inputs)
    return len(inputs)


def taken(values: Array | None, rows: np.ndarray) -> Array | None:
    """The rows of an array that there may be."""
    return None if values is None else values[rows]


def as_numpy(values: Array) -> np.ndarray:
    """A tensor on any device, or an array, as an array."""
    return torch.as_tensor(values).cpu().numpy()


def batches(rows: np.ndarray, batch_size: int, advance: Advance = silent) -> Iterator[np.ndarray]:
    """Split row numbers into batches; `advance` hears the share of them that is done when the next one is asked for."""
    checks.integer("batch_size", batch_size, at_least=1)
    for first in range(0, len(rows), batch_size):
        yield rows[first : first + batch_size]
        advance(min(first + batch_size, len(rows)) / len(rows))


def attacked(
    model: AnyClassifier,
    attack: Attack,
    x: Array,
    y: Array,
    *,
    target: Array | None = None,
    free: Array | None = None,
    batch_size: int = 256,
    advance: Advance = silent,
    **how: Any,
) -> AttackResult:
    """What `attack` finds on all examples, `batch_size` of them at once; the rest is for `Attack.__call__`."""
    count = check_examples(x, y, attack.bounds, free)
    parts = [
        attack(model, x[rows], y[rows], target=taken(target, rows), free=taken(free, rows), **how)
        for rows in batches(np.arange(count), batch_size, advance)
    ]
    join = np.concatenate if isinstance(x, np.ndarray) else torch.cat
    return AttackResult(*(join(values) for values in zip(*(vars(part).values() for part in parts), strict=True)))


def is_correct(
    model: AnyClassifier,
    attack: Attack,
    x: Array,
    y: Array,
    *,
    generator: torch.Generator | None = None,
    batch_size: int = 256,
) -> Bool[np.ndarray, " n"]:
    """Whether `model` classifies each example rightly as `attack` asks it: in eval mode, by the mean of `eot` draws."""
    right = np.zeros(len(x), dtype=bool)
    for rows in batches(np.arange(len(x)), batch_size):
        with attack.pose(model, x[rows], y[rows], generator=generator) as problem:
            right[rows] = ~problem.is_adversarial(problem.x).cpu().numpy()
    return right
