"""A run into a checkpoint, and out of it again."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from trustworthy.core.errors import CheckpointError, warn
from trustworthy.training.checkpoint import Checkpoint, Checkpoints
from trustworthy.training.identity import differences
from trustworthy.training.run import EpochRecord, History, Run
from trustworthy.training.weights import MODEL, assign_weights, first_few, model_tensors, write_tensors

OPTIMIZER = "optimizer/"  # what the names of an optimizer's tensors begin with in a checkpoint
FORMAT = 2  # of the state in a checkpoint; 1, which wrote none, told losses and models apart by their names alone


def open_folder(run: Run, checkpoints: Checkpoints) -> None:
    """Bring `run` to the newest of `checkpoints`, or delete them where they are not to be resumed."""
    checkpoints.open()
    if run.accelerator.is_main_process:
        checkpoints.clear()
    run.accelerator.wait_for_everyone()
    checkpoint = checkpoints.latest()
    if checkpoint is not None:
        _restore(run, checkpoint)
    run.accelerator.wait_for_everyone()


def _restore(run: Run, checkpoint: Checkpoint) -> None:
    state = checkpoint.state
    if state.get("format", 1) != FORMAT:
        raise CheckpointError(
            f"{checkpoint.path} has format {state.get('format', 1)} and this version of the library reads {FORMAT}, so "
            "whether it belongs to this run cannot be told. Finish that run with the version that began it, use "
            "another folder, or Checkpoints(folder, resume=False) to delete its checkpoints; load_weights reads its "
            "weights."
        )
    changed = first_few(differences(state["identity"], run.identity))
    if changed:
        raise CheckpointError(
            f"{checkpoint.path} belongs to another run: {'; '.join(changed)}. Use the settings of that run, another "
            "folder, or Checkpoints(folder, resume=False) to delete its checkpoints."
        )
    assign_weights(run.model, checkpoint.tensors, checkpoint.path)
    unpack(run.updater.optimizer, checkpoint.tensors, state["optimizer"])
    if run.accelerator.scaler is not None:
        run.accelerator.scaler.load_state_dict(state["scaler"])
    run.step, run.loss_sum, run.seconds = state["step"], state["loss_sum"], state["seconds"]
    run.updater.resume_at(run.step)
    run.history = History(
        records=tuple(EpochRecord(**record) for record in state["records"]),
        steps=run.step,
        resumed_from=run.step,
        stopped=state["stopped"],
    )
    run.history = dataclasses.replace(run.history, best=_best_so_far(run, state.get("best")))


def _best_so_far(run: Run, saved: Mapping[str, Any] | None) -> EpochRecord | None:
    """The epoch whose weights are kept, where they are those that this run asks for."""
    metric, records = run.checkpoints and run.checkpoints.best, run.history.records
    if metric is None or not records:
        return None
    if saved is not None and saved["metric"] == metric:
        return next(record for record in records if record.epoch == saved["epoch"])
    warn(
        f"the best weights by {metric} are sought from epoch {len(records) + 1} on: those of the epochs before it were "
        f"not kept by {metric}."
    )
    return None


def with_best(run: Run, history: History) -> History:
    """`history` with its best epoch; where that is the one just over, its weights are kept."""
    if run.checkpoints is None or run.checkpoints.best is None:
        return history
    metric, record = run.checkpoints.best, history.records[-1]
    before = -math.inf if history.best is None else history.best.metrics[metric]
    if not record.metrics[metric] > before:
        return history
    if run.accelerator.is_main_process:
        # Before the checkpoint of this epoch: a run that is killed in between repeats the epoch, and writes them again.
        write_tensors(run.checkpoints.best_path, model_tensors(run.model), {"format": "pt"})
    return dataclasses.replace(history, best=record)


def save(run: Run) -> None:
    """Write the checkpoint of `run` as it stands between two steps, if it has any."""
    if run.checkpoints is None or not run.accelerator.is_main_process:
        return
    tensors, numbers = pack(run.updater.optimizer)
    weights = {MODEL + name: value for name, value in model_tensors(run.model).items()}
    best = run.history.best
    state: dict[str, Any] = {
        "format": FORMAT,
        "identity": run.identity,
        "step": run.step,
        "loss_sum": run.loss_sum,
        "seconds": run.seconds,
        "records": [dataclasses.asdict(record) for record in run.history.records],
        "stopped": run.history.stopped,
        "best": best and {"metric": run.checkpoints.best, "epoch": best.epoch},
        "optimizer": numbers,
        "scaler": None if run.accelerator.scaler is None else run.accelerator.scaler.state_dict(),
    }
    run.checkpoints.save(run.step, {**weights, **tensors}, state)


def pack(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, float | int | bool | None]]:
    """Tensors and plain numbers of the state, both by `optimizer/<parameter>/<name>`, without pickle.

    Only the state of each parameter is kept (momentum, step counts): building the optimizer again gives the settings.
    """
    tensors, numbers = {}, {}
    for parameter, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            key = f"{OPTIMIZER}{parameter}/{name}"
            if isinstance(value, Tensor):
                tensors[key] = value
            elif value is None or isinstance(value, int | float):
                numbers[key] = value
            else:
                raise CheckpointError(
                    f"{type(optimizer).__name__} keeps {name} as {type(value).__name__}, which a checkpoint cannot "
                    "hold; use another optimizer or train without checkpoints."
                )
    return tensors, numbers


def unpack(optimizer: Optimizer, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
    """Give `optimizer` the state that `pack` took; other entries of `tensors` are left alone."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**tensors, **numbers}.items():
        if key.startswith(OPTIMIZER):
            parameter, name = key.removeprefix(OPTIMIZER).split("/", 1)
            state.setdefault(int(parameter), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
