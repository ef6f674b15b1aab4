"""The training loop's public door: the arguments are checked here, and `run` does the work."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence

import torch
from accelerate import Accelerator
from torch import nn

from trustworthy.core import checks
from trustworthy.training.augmentation import Augmentation
from trustworthy.training.checkpoint import CheckpointFolder
from trustworthy.training.data import Data, Plan, as_dataset
from trustworthy.training.evaluation import CLASSIFICATION, Metric
from trustworthy.training.history import History
from trustworthy.training.identity import identity
from trustworthy.training.losses import Loss, cross_entropy
from trustworthy.training.progress import training_progress
from trustworthy.training.randomness import Streams, global_stream_restored
from trustworthy.training.resume import open_folder
from trustworthy.training.run import train
from trustworthy.training.schedules import AbstractSchedule, Constant
from trustworthy.training.state import Callback, Run
from trustworthy.training.update import MakeOptimizer, Updater

adamw: MakeOptimizer = functools.partial(torch.optim.AdamW, lr=1e-3)
constant = Constant()


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
    validation: Data | None = None,
    metrics: Mapping[str, Metric] = CLASSIFICATION,
    callbacks: Sequence[Callback] = (),
    checkpoint_dir: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    keep: int = 2,
    resume: bool = True,
    seed: int = 0,
    accelerator: Accelerator | None = None,
    workers: int = 0,
    progress: bool | None = None,
) -> History:
    """Train `model` in place; it ends in evaluation mode, on the device of `accelerator`.

    Interrupted at any moment and called again with the same arguments, it ends with the same weights, bit by bit, as
    a run that was not interrupted (on the same hardware with as many processes; on a GPU as far as its kernels are
    deterministic).

    Parameters
    ----------
    data : (x, y), tensors or NumPy arrays whose first axis counts examples, or a torch `Dataset` of such pairs. A
        dataset should draw nothing at random itself (use `augment`): what it draws in a worker is not repeated by a
        resumed run.
    epochs : passes over the data, >= 1.
    loss : `loss(model, batch, generator) -> scalar`, the mean over the batch; the place for adversarial examples.
    optimizer : builds the optimizer from the parameters to train.
    schedule : factor on the learning rate at each step, and the phases that begin with a fresh optimizer.
    batch_size : examples in one step over all processes, >= 1. The last batches of an epoch are evened out, so a batch
        may be smaller, never larger.
    augment : `augment(batch, generator) -> batch`, on the device.
    validation : data to evaluate on after each epoch.
    metrics : functions of outputs and targets (arrays over all validation examples), by the name of their result.
    callbacks : called after each epoch with the model and the history.
    checkpoint_dir : folder of this run's checkpoints; None for none.
    checkpoint_every : steps between checkpoints within an epoch, >= 1; None for one at the end of each epoch only.
    keep : how many checkpoints stay, >= 1.
    resume : go on from the newest checkpoint in `checkpoint_dir`; False deletes what is there and begins anew.
    seed : >= 0, of the order of the data, the augmentation, the loss and the model's own noise, each its own stream.
        The initial weights are the caller's.
    accelerator : `accelerate.Accelerator`: device, mixed precision, several processes; None for Accelerate's default.
    workers : processes that load a torch `Dataset`; 0 for none.
    progress : show a progress bar on standard error; None shows it only on a terminal.

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
    Several processes come from launching the script with `accelerate launch` or `torchrun`; every process must make
    the same call. The gradient is that of the whole batch, so the result differs from one process's by rounding, unless
    the model normalises by batch (statistics are of each process's share) or draws at random (each process has its own
    streams). Every process evaluates all of `validation`.
    """
    _check_numbers(epochs, batch_size, checkpoint_every, keep, workers)
    accelerator = accelerator or Accelerator()
    dataset = as_dataset("data", data, model)
    held_out = None if validation is None else as_dataset("validation", validation, model)
    plan = Plan(
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
        held_out=held_out,
        metrics=metrics,
        augment=augment,
        callbacks=callbacks,
        accelerator=accelerator,
        updater=Updater(model, loss, optimizer, schedule, plan.steps, accelerator),
        streams=Streams(seed, accelerator.device, plan.process),
        folder=None if checkpoint_dir is None else CheckpointFolder(checkpoint_dir, keep),
        checkpoint_every=checkpoint_every,
        workers=workers,
    )
    if run.folder is not None:
        run.identity = identity(
            model, dataset, plan, loss, run.updater.optimizer, schedule, augment, accelerator.mixed_precision
        )
        open_folder(run, run.folder, resume)
    show = progress if accelerator.is_main_process else False
    with global_stream_restored(accelerator.device), training_progress(plan.steps, run.step, show) as display:
        train(run, display)
    model.eval()
    return run.history


def _check_numbers(epochs: int, batch_size: int, checkpoint_every: int | None, keep: int, workers: int) -> None:
    checks.integer("epochs", epochs, at_least=1)
    checks.integer("batch_size", batch_size, at_least=1)
    if checkpoint_every is not None:
        checks.integer("checkpoint_every", checkpoint_every, at_least=1)
    checks.integer("keep", keep, at_least=1)
    checks.integer("workers", workers, at_least=0)
