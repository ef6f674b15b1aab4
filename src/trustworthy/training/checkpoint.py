"""Checkpoints of a run: one safetensors file each, written atomically, with everything else as JSON in its header."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.digest import digest
from trustworthy.core.errors import CheckpointError, warn
from trustworthy.training.weights import read_tensors, write_tensors

_STATE, _DIGEST = "trustworthy.state", "trustworthy.digest"


@dataclass(frozen=True)
class Checkpoint:
    """tensors : of the model and the optimizer, by name. state : what JSON can hold. path : where it was read."""

    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]
    path: Path


def write(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write a checkpoint that `read` can tell from a damaged one."""
    text = json.dumps(state)
    write_tensors(path, tensors, {_STATE: text, _DIGEST: digest(text, tensors)})


def read(path: Path) -> Checkpoint:
    """Read a checkpoint; CheckpointError where the file is damaged or is not one."""
    tensors, metadata = read_tensors(path)
    if not {_STATE, _DIGEST} <= metadata.keys():
        raise CheckpointError(f"{path} holds weights but is not a checkpoint of a training run; move it elsewhere.")
    if digest(metadata[_STATE], tensors) != metadata[_DIGEST]:
        raise CheckpointError(f"{path} is damaged: its content does not match its digest. Delete it.")
    return Checkpoint(tensors, json.loads(metadata[_STATE]), path)


@dataclass(frozen=True)
class Checkpoints:
    """Where and how often a run is saved: the newest checkpoints of one run lie in one folder.

    Parameters
    ----------
    folder : made where it does not exist.
    every : steps between checkpoints within an epoch, >= 1; None for one at the end of each epoch only.
    keep : checkpoints that stay, >= 1; older ones are deleted after each write.
    best : which metric of the validation data decides. The weights of the epoch where it was largest, the first of
        equal ones, are kept beside the checkpoints in `best.safetensors`, and `History.best` is that epoch. None for
        none.
    resume : go on from the newest checkpoint in `folder`; False deletes what is there and begins anew.
    """

    folder: str | os.PathLike[str]
    _: KW_ONLY
    every: int | None = None
    keep: int = 2
    best: str | None = None
    resume: bool = True

    def __post_init__(self) -> None:
        if self.every is not None:
            checks.integer("every", self.every, at_least=1)
        checks.integer("keep", self.keep, at_least=1)

    def open(self) -> None:
        """Make the folder where it does not exist."""
        try:
            Path(self.folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(
                f"the folder {self.folder} of the checkpoints cannot be made ({error.strerror}); choose another."
            ) from error

    @property
    def best_path(self) -> Path:
        """Weights of the best epoch, which `load_weights` reads."""
        return Path(self.folder) / "best.safetensors"

    def paths(self) -> list[Path]:
        """Checkpoint files, oldest first."""
        return sorted(Path(self.folder).glob("step-*.safetensors"))

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Write the checkpoint of `step`, then delete those beyond the newest `keep`."""
        write(Path(self.folder) / f"step-{step:010d}.safetensors", tensors, state)
        for old in self.paths()[: -self.keep]:
            old.unlink(missing_ok=True)

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole, with a warning for each newer one that is not; None where none is."""
        paths = self.paths()
        for path in reversed(paths):
            try:
                return read(path)
            except CheckpointError as error:
                warn(f"{error} Trying the checkpoint before it.")
        if paths:
            raise CheckpointError(
                f"none of the {len(paths)} checkpoints in {self.folder} can be read. Delete them or pass "
                "Checkpoints(folder, resume=False) to train from the start."
            )
        return None

    def clear(self) -> None:
        """Delete what a killed process left half-written, and every checkpoint where none is to be resumed."""
        folder, old = Path(self.folder), [] if self.resume else [*self.paths(), self.best_path]
        for path in (*folder.glob(".step-*.part"), *folder.glob(".best.*.part"), *old):
            path.unlink(missing_ok=True)
