"""The snapshot ensemble: one run whose rate rises again and again, and its weights whenever it has fallen."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from trustworthy.core.errors import InvalidInput
from trustworthy.training import Checkpoints, CyclicCosine, History, load_weights, save_weights
from trustworthy.uncertainty.ensembling import Ensembling
from trustworthy.uncertainty.method import Lesson, Trained


@dataclass(frozen=True, kw_only=True)
class SnapshotEnsemble(Ensembling):
    """The weights at the end of each of `members` cycles of one run, the last one too (Huang et al. 2017).

    Within a cycle, of whole epochs, the rate falls from `learning_rate` to 0 along half a cosine, and then jumps up
    again; the optimizer goes on. A high rate throws the network out of what it has learned: members of later cycles
    are worse than the first one then, which `Trained.notes` tells.

    Parameters
    ----------
    epochs : of all cycles together, >= members.
    members : cycles, >= 1.
    schedule : "cosine", the only one.

    Cost: that of one model, and the weights of each cycle in memory or in the folder of the checkpoints.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schedule != "cosine":
            raise InvalidInput(f"schedule must be 'cosine' for a snapshot ensemble, in cycles, got {self.schedule!r}.")
        if self.members > self.epochs:
            raise InvalidInput(
                f"members must be at most as many as the epochs, {self.epochs}, got {self.members}: a cycle takes an "
                "epoch at least. Train for more epochs, or with fewer members."
            )

    def train(self, model: nn.Module, lesson: Lesson) -> Trained:
        schedule = CyclicCosine(cycles=self.members, parts=self.epochs)
        snapshots = Snapshots(schedule.ends(self.epochs), lesson.checkpoints)
        history = self.fitted(model, lesson, self.objective, schedule=schedule, callbacks=[snapshots])
        return self.gathered(snapshots.networks(model), [dataclasses.replace(history, best=None)], lesson)


class Snapshots:
    """A callback that keeps the weights after some epochs, where a resumed run finds those of before.

    A file is written before the checkpoint of its epoch: a run that is killed in between repeats the epoch, and writes
    it again.
    """

    def __init__(self, epochs: Sequence[int], checkpoints: Checkpoints | None) -> None:
        self.epochs = epochs
        self._folder = None if checkpoints is None else Path(checkpoints.folder)
        self._states: dict[int, Mapping[str, Tensor]] = {}

    def __call__(self, model: nn.Module, history: History) -> None:
        epoch = history.records[-1].epoch
        if epoch not in self.epochs:
            return
        if self._folder is None:
            self._states[epoch] = copy.deepcopy(model.state_dict())
        else:
            save_weights(model, self._path(epoch))

    def networks(self, model: nn.Module) -> list[nn.Module]:
        """Copies of `model` with the weights after each of the epochs."""
        return [self._after(epoch, copy.deepcopy(model)) for epoch in self.epochs]

    def _after(self, epoch: int, network: nn.Module) -> nn.Module:
        if self._folder is None:
            network.load_state_dict(dict(self._states[epoch]))
        else:
            load_weights(network, self._path(epoch))
        return network

    def _path(self, epoch: int) -> Path:
        return (self._folder or Path()) / f"snapshot-{epoch:04d}.safetensors"
