"""How a training run is computed, where it stands between two steps, and what it leaves behind besides the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.utils.data import Dataset

from trustworthy.core import checks
from trustworthy.training.augmentation import Augmentation
from trustworthy.training.checkpoint import Checkpoints
from trustworthy.training.data import BatchPlan, Collate
from trustworthy.training.evaluation import Metric
from trustworthy.training.moment import Moment, Streams
from trustworthy.training.update import Updater


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Hardware, memory and display of a run.

    Parameters
    ----------
    accelerator : `accelerate.Accelerator`: device, mixed precision, several processes; None for Accelerate's default.
    workers : processes that load a torch `Dataset`; 0 for none.
    accumulate : parts >= 1 that each batch is cut into, so that memory holds one part at a time. Their gradients add
        up to that of the batch, up to rounding, unless the model normalises by batch or the loss draws at random.
    clip : largest l2 norm > 0 of the gradient of all weights together, a longer one is scaled down to it; None for no
        limit.
    progress : show a progress bar on standard error; None shows it only on a terminal.
    """

    accelerator: Accelerator | None = None
    workers: int = 0
    accumulate: int = 1
    clip: float | None = None
    progress: bool | None = None

    def __post_init__(self) -> None:
        checks.integer("workers", self.workers, at_least=0)
        checks.integer("accumulate", self.accumulate, at_least=1)
        if self.clip is not None:
            checks.real("clip", self.clip, above=0.0)

    @classmethod
    def on(cls, device: torch.device) -> Engine:
        """On the CPU where `device` is one, otherwise on the accelerator that Accelerate finds; shows no bar."""
        return cls(accelerator=Accelerator(cpu=True) if device.type == "cpu" else None, progress=False)


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """One epoch of a run.

    epoch : counted from 1.
    loss : mean training loss over the epoch, as the weights were at each step.
    learning_rate : of the first parameter group, at the last step.
    seconds : of training and evaluation, without the time that an interrupted run stood still.
    metrics : on the validation data after the epoch; empty without such data.
    """

    epoch: int
    loss: float
    learning_rate: float
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class History:
    """A training run.

    records : one per epoch, in order.
    steps : updates of the weights so far.
    resumed_from : the step of the checkpoint that this call went on from, None where it began anew.
    stopped : whether a callback ended the run before the last epoch.
    best : the epoch whose weights `Checkpoints(best=...)` keeps; None where it keeps none.
    """

    records: tuple[EpochRecord, ...] = ()
    steps: int = 0
    resumed_from: int | None = None
    stopped: bool = False
    best: EpochRecord | None = None


Callback = Callable[[nn.Module, History], bool | None]
"""Called after each epoch with the model, in training mode, and the history so far; a return of True ends the run."""


@dataclass(kw_only=True)
class Run:
    """A run between two steps: everything up to `step` is done, and a checkpoint is what `resume` needs to be here."""

    model: nn.Module
    plan: BatchPlan
    dataset: Dataset[Any]
    collate: Collate | None
    held_out: Dataset[Any] | None
    metrics: Mapping[str, Metric]
    augment: Augmentation | None
    callbacks: Sequence[Callback]
    accelerator: Accelerator
    engine: Engine
    updater: Updater
    streams: Streams
    checkpoints: Checkpoints | None
    identity: dict[str, Any] = field(default_factory=dict)
    step: int = 0
    loss_sum: float = 0.0  # over the examples of the epoch so far
    seconds: float = 0.0  # of the epoch so far
    history: History = field(default_factory=History)

    def moment(self, generator: torch.Generator) -> Moment:
        """The step that comes next, for what draws from `generator`."""
        return Moment(self.step, self.plan.steps, self.step // self.plan.steps_per_epoch, self.plan.rows, generator)
