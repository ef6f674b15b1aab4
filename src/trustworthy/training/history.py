"""What a training run leaves behind besides the weights."""

from __future__ import annotations

from dataclasses import dataclass, field


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
    """

    records: tuple[EpochRecord, ...] = ()
    steps: int = 0
    resumed_from: int | None = None
    stopped: bool = False
