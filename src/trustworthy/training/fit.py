"""The public door of training: the arguments are checked here, and `loop` does the work."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence

import torch
from accelerate import Accelerator
from torch import nn

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.progress import bar
from trustworthy.training.augmentation import Augmentation
from trustworthy.training.checkpoint import Checkpoints
from trustworthy.training.data import Arrays, BatchPlan, Collate, Data, as_dataset
from trustworthy.training.evaluation import CLASSIFICATION, Metric
from trustworthy.training.identity import identity
from trustworthy.training.loop import train
from trustworthy.training.losses import Loss, cross_entropy
from trustworthy.training.moment import Streams
from trustworthy.training.resume import open_folder
from trustworthy.training.run import Callback, Engine, History, Run
from trustworthy.training.schedules import AbstractSchedule, Constant
from trustworthy.training.update import MakeOptimizer, Updater

adamw: MakeOptimizer = functools.partial(torch.optim.AdamW, lr=1e-3)
constant = Constant()
engine_by_default = Engine()


def fit(
    model: nn.Module,
    data: Data,
    *,
    epochs: int,
    loss: Loss = cross_entropy,
    optimizer: MakeOptimizer = adamw,
    schedule: AbstractSchedule = constant,
    batch_size: int = 128,
    augment: Augmentation | None = None,
    collate: Collate | None = None,
    validation: Data | None = None,
    metrics: Mapping[str, Metric] = CLASSIFICATION,
    callbacks: Sequence[Callback] = (),
    checkpoints: Checkpoints | str | os.PathLike[str] | None = None,
    engine: Engine = engine_by_default,
    seed: int = 0,
) -> History:
    """Train `model` in place; it ends in evaluation mode, on the device of the accelerator.

    Interrupted at any moment and called again with the same arguments, it ends with the same weights, bit by bit, as
    a run that was not interrupted (on the same hardware with as many processes; on a GPU as far as its kernels are
    deterministic). A checkpoint of another run is refused: see Notes.

    Parameters
    ----------
    data : arrays (tensors or NumPy) whose first axis counts examples, such as a pair (x, y), or a torch `Dataset` of
        such tuples. A dataset should draw nothing at random itself (use `augment`): what it draws in a worker is not
        repeated by a resumed run.
    epochs : passes over the data, >= 1.
    loss : `loss(model, batch, moment) -> scalar`, the mean over the batch; the place for adversarial examples.
    optimizer : builds the optimizer from the parameters to train.
    schedule : factor on the learning rate at each step, and the phases that begin with a fresh optimizer.
    batch_size : examples in one step over all processes, >= 1. The last batches of an epoch are evened out, so a batch
        may be smaller, never larger.
    augment : `augment(batch, moment) -> batch`, on the device.
    collate : items of a torch `Dataset` to a batch of tensors; None for torch's `default_collate`.
    validation : data to evaluate on after each epoch.
    metrics : of `validation`, by the name of their result, see `evaluate`: the functions of `trustworthy.metrics` fit,
        `PerExample(ssim)` holds no more than a batch of images.
    callbacks : called after each epoch with the model and the history.
    checkpoints : where this run is saved and resumed from: a folder, or `Checkpoints` for more; None for nowhere.
    engine : device, memory and display.
    seed : >= 0, of the order of the data, the augmentation, the loss and the model's own noise, each its own stream.
        The initial weights are the caller's.

    Returns
    -------
    History with one record per epoch.

    Raises
    ------
    TrainingDiverged : the loss or a weight became NaN or infinite.
    CheckpointError : the checkpoints are damaged, of another run, or cannot be written.
    InvalidInput : an argument breaks its contract.

    Notes
    -----
    A checkpoint belongs to the run whose model (modules, their settings and shapes, not their weights), data,
    optimizer, loss, augmentation, schedule and numbers are the same. With `checkpoints`, the functions among them must
    say what they are: frozen dataclasses with a `__call__`, or functions at the top of a module, which are known by
    their names; a lambda is refused. A torch `Dataset` is known by its kind, length and, where it has one, its
    `fingerprint`.

    Several processes come from launching the script with `accelerate launch` or `torchrun`; every process must make
    the same call. The gradient is that of the whole batch, so the result differs from one process's by rounding, unless
    the model normalises by batch (statistics are of each process's share) or draws at random (each process has its own
    streams). Every process evaluates all of `validation`.
    """
    checks.integer("epochs", epochs, at_least=1)
    checks.integer("batch_size", batch_size, at_least=1)
    if isinstance(checkpoints, str | os.PathLike):
        checkpoints = Checkpoints(checkpoints)
    if checkpoints is not None and checkpoints.best is not None:
        if validation is None:
            raise InvalidInput(f"validation must hold the data that {checkpoints.best!r} is measured on, got None.")
        checks.choice("best", checkpoints.best, metrics)
    accelerator = engine.accelerator or Accelerator()
    dataset = as_dataset("data", data, model)
    if isinstance(dataset, Arrays) and collate is not None:
        raise InvalidInput("collate is for the items of a torch Dataset, and data are arrays; give one of the two.")
    plan = BatchPlan(
        rows=len(dataset),  # type: ignore[arg-type]
        batch_size=batch_size,
        epochs=epochs,
        seed=checks.integer("seed", seed, at_least=0),
        processes=accelerator.num_processes,
        process=accelerator.process_index,
    )
    run = Run(
        model=model,
        plan=plan,
        dataset=dataset,
        collate=collate,
        held_out=None if validation is None else as_dataset("validation", validation, model),
        metrics=metrics,
        augment=augment,
        callbacks=callbacks,
        accelerator=accelerator,
        engine=engine,
        updater=Updater(model, loss, optimizer, schedule, plan.steps, accelerator, engine.clip),
        streams=Streams(seed, accelerator.device, plan.process),
        checkpoints=checkpoints,
    )
    if checkpoints is not None:
        settings = {
            "loss": loss,
            "augment": augment,
            "collate": collate,
            "schedule": schedule,
            "epochs": epochs,
            "batch_size": batch_size,
            "seed": seed,
            "accumulate": engine.accumulate,
            "clip": engine.clip,
            "mixed_precision": accelerator.mixed_precision,
        }
        run.identity = identity(model, dataset, run.updater.optimizer, settings)
        open_folder(run, checkpoints)
    show = engine.progress if accelerator.is_main_process else False
    forked = [accelerator.device] if accelerator.device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=forked),  # gives the global stream back, even after an error
        bar("training", plan.steps, completed=run.step, show=show) as display,
    ):
        train(run, display)
    accelerator.wait_for_everyone()  # for what the main process writes after the last epoch
    model.eval()
    return run.history
