"""Where a training run stands between two steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accelerate import Accelerator
from torch import nn
from torch.utils.data import Dataset

from trustworthy.training.augmentation import Augmentation
from trustworthy.training.checkpoint import CheckpointFolder
from trustworthy.training.data import Plan
from trustworthy.training.evaluation import Metric
from trustworthy.training.history import History
from trustworthy.training.randomness import Streams
from trustworthy.training.update import Updater

Callback = Callable[[nn.Module, History], bool | None]
"""Called after each epoch with the model, in training mode, and the history so far; a return of True ends the run."""


@dataclass(kw_only=True)
class Run:
    """A run between two steps: everything up to `step` is done, and a checkpoint is what `resume` needs to be here."""

    model: nn.Module
    plan: Plan
    dataset: Dataset[Any]
    held_out: Dataset[Any] | None
    metrics: Mapping[str, Metric]
    augment: Augmentation | None
    callbacks: Sequence[Callback]
    accelerator: Accelerator
    updater: Updater
    streams: Streams
    folder: CheckpointFolder | None
    checkpoint_every: int | None
    workers: int
    identity: dict[str, Any] = field(default_factory=dict)
    step: int = 0
    loss_sum: float = 0.0  # over the examples of the epoch so far
    seconds: float = 0.0  # of the epoch so far
    history: History = field(default_factory=History)
