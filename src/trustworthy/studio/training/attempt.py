"""One attempt at a job, from its orders to a result, or to a failure in words."""

from __future__ import annotations

import dataclasses
import errno
import json
import shutil
import traceback
from collections.abc import Iterator

import torch

from trustworthy.core.errors import CheckpointError, TrustworthyError
from trustworthy.core.files import atomic_write
from trustworthy.studio.jobs.progress import Reporter
from trustworthy.studio.jobs.reasons import FILE, Failure
from trustworthy.studio.training.control import TrainingSettings
from trustworthy.studio.training.devices import device_of, title
from trustworthy.studio.training.predicting import is_out_of_memory
from trustworthy.studio.training.results import make_result, predict_new
from trustworthy.studio.training.running import train
from trustworthy.studio.training.task import Orders

FULL = (
    "The disk is full. Delete projects or jobs that are no longer needed, or give the studio another folder, and try "
    "again: the job goes on where it stopped."
)
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


def attempt(orders: Orders) -> int:
    """Exit status of the process: 0 where `result` is complete, 1 where failure.json says why not."""
    try:
        _work(orders)
    except Exception as error:
        if isinstance(error, TrustworthyError):
            print(error)  # noqa: T201  into the log of the attempt
        else:
            traceback.print_exc()
        shutil.rmtree(orders.folder / "result", ignore_errors=True)
        failure = reason(error, orders.task.settings, orders.device)
        with atomic_write(orders.folder / FILE) as stream:
            json.dump(dataclasses.asdict(failure), stream)
        return 1
    return 0


def _work(orders: Orders) -> None:
    device, reporter = device_of(orders.device), Reporter(orders.folder)
    torch.set_num_threads(orders.threads)
    torch.backends.cudnn.deterministic = True  # another attempt ends with the same weights
    if orders.task.kind == "train":
        make_result(orders, train(orders, reporter, device), reporter, device)
    else:
        predict_new(orders, reporter, device)


def reason(error: BaseException, settings: TrainingSettings | None = None, device: str = "auto") -> Failure:
    """Why a job failed, with the remedy, for who does not know programs."""
    causes = list(_causes(error))
    if any(isinstance(each, OSError) and each.errno in _NO_SPACE for each in causes):
        return Failure(FULL, again=False)
    if any(map(is_out_of_memory, causes)):
        return Failure(_too_large(settings, device), again=False)
    if isinstance(error, TrustworthyError):
        return Failure(str(error), again=isinstance(error, CheckpointError))
    return Failure(
        f"The job stopped by an error that the studio does not know: {type(error).__name__}: {error}. The log "
        "has more; please report it."
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


def _too_large(settings: TrainingSettings | None, device: str) -> str:
    where = title(device_of(device))
    if settings is None:
        return f"The memory of {where} is not enough for these images; close other programs, or cut them smaller."
    lower = [
        *([f"a batch size of {settings.batch_size // 2}"] if settings.batch_size > 1 else []),
        *([f"patches of {max(32, settings.patch // 32 * 16)} pixels"] if settings.patch > 32 else []),
        *([f"a width of {max(4, settings.width // 2)}"] if settings.width > 4 else []),
    ]
    return (
        f"Batches of {settings.batch_size} patches of {settings.patch} x {settings.patch} pixels do not fit in the "
        f"memory of {where}: try {', or '.join(lower) or 'a computer with more memory'}."
    )
