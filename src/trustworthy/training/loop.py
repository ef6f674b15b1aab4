"""The steps of a run, and what happens when an epoch ends."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator

from trustworthy.core.errors import TrainingDiverged
from trustworthy.core.progress import Display
from trustworthy.core.seeds import derived_seed
from trustworthy.training import resume
from trustworthy.training.data import Batch, batches
from trustworthy.training.evaluation import evaluate
from trustworthy.training.run import EpochRecord, Run


def train(run: Run, display: Display) -> None:
    """Bring `run` to its last epoch, or to where a callback ends it."""
    while run.step < run.plan.steps and not run.history.stopped:
        started = time.perf_counter() - run.seconds
        _epoch(run, display, started)
        _close_epoch(run, display, started)


def _epoch(run: Run, display: Display, started: float) -> None:
    epoch, done = divmod(run.step, run.plan.steps_per_epoch)
    planned = run.plan.batches(epoch)[done:]
    shares = [run.plan.shares(batch, run.engine.accumulate) for batch in planned]
    loaded = batches(
        run.dataset,
        [rows for parts in shares for rows, _ in parts],
        collate=run.collate,
        workers=run.engine.workers,
        seed=derived_seed(run.plan.seed, "workers", epoch),
        pin=run.accelerator.device.type == "cuda",
    )
    every = run.checkpoints.every if run.checkpoints else None
    run.model.train()
    for batch, parts in zip(planned, shares, strict=True):
        loss = _update(run, loaded, [weight for _, weight in parts])
        run.loss_sum += loss * len(batch)
        run.step += 1
        display.at(run.step, f"loss {loss:.4g}")
        if every and run.step % every == 0 and batch is not planned[-1]:
            run.seconds = time.perf_counter() - started
            _require_finite_weights(run)
            resume.save(run)


def _update(run: Run, loaded: Iterator[Batch], weights: list[float]) -> float:
    """One step, over as many parts of a batch as there are `weights`; returns the loss of the batch."""
    run.streams.begin(run.step)
    moment, total = run.moment(run.streams.loss), 0.0
    for part, weight in enumerate(weights):
        batch = tuple(part.to(run.accelerator.device, non_blocking=True) for part in next(loaded))
        if run.augment is not None:
            batch = run.augment(batch, run.moment(run.streams.augmentation))
        loss, mean = run.updater.loss(batch, weight, moment)
        if not math.isfinite(mean):
            raise _diverged(run, f"the loss became {mean} at step {run.step + 1}")
        if part == 0:  # not before the loss, which may have left gradients of its own
            run.updater.begin(run.step)
        run.updater.differentiate(loss)
        total += mean
    run.updater.apply()
    return total


def _close_epoch(run: Run, display: Display, started: float) -> None:
    _require_finite_weights(run)
    epoch = run.step // run.plan.steps_per_epoch
    record = EpochRecord(
        epoch=epoch,
        loss=run.loss_sum / run.plan.rows,
        learning_rate=float(run.updater.optimizer.param_groups[0]["lr"]),
        metrics=_evaluate(run),
        seconds=time.perf_counter() - started,
    )
    history = dataclasses.replace(run.history, records=(*run.history.records, record), steps=run.step)
    history = resume.with_best(run, history)
    answers = [callback(run.model, history) for callback in run.callbacks]
    run.history = dataclasses.replace(history, stopped=any(answer is True for answer in answers))
    run.loss_sum = run.seconds = 0.0
    resume.save(run)
    numbers = "  ".join(f"{name} {value:.4f}" for name, value in {"loss": record.loss, **record.metrics}.items())
    display.say(f"epoch {record.epoch}/{run.plan.epochs}  {numbers}  {record.seconds:.1f} s")


def _evaluate(run: Run) -> dict[str, float]:
    if run.held_out is None:
        return {}
    settings = {"metrics": run.metrics, "batch_size": max(512, run.plan.batch_size), "collate": run.collate}
    with run.accelerator.autocast():
        return evaluate(run.model, run.held_out, **settings)


def _require_finite_weights(run: Run) -> None:
    if not all(bool(weight.isfinite().all()) for weight in run.model.parameters()):
        raise _diverged(run, f"a weight became NaN or infinite by step {run.step}")


def _diverged(run: Run, what: str) -> TrainingDiverged:
    saved = run.checkpoints.paths() if run.checkpoints else []
    kept = f" The last good checkpoint is {saved[-1]}; load_weights reads it." if saved else ""
    return TrainingDiverged(
        f"{what} of {run.plan.steps}.{kept} Lower the learning rate, and look for inputs far outside [0, 1]."
    )
