"""How an attempt at a job ends: with a result, or with a reason in words and nothing half-written."""

import errno
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from studio.training.fields import smooth
from trustworthy.nn import UNet
from trustworthy.studio.training.attempt import FULL, attempt
from trustworthy.studio.training.task import Orders

TINY = {"epochs": 10, "batch_size": 4, "patch": 64, "width": 4, "depth": 2}


@pytest.fixture
def orders(orders_for: Callable[..., Orders]) -> Orders:
    fields = [smooth(32, seed)[0].astype(np.float32) for seed in range(2)]
    return orders_for([("train", fields[0], fields[0]), ("test", fields[1], fields[1])], **TINY)


def failure(orders: Orders) -> dict[str, Any]:
    """Of an attempt that leaves nothing but what the worker and the next attempt need."""
    assert attempt(orders) == 1
    left = {path.relative_to(orders.folder).as_posix() for path in orders.folder.rglob("*") if path.is_file()}
    assert {name for name in left if not name.startswith("checkpoints/")} <= {
        "job.json", "progress.jsonl", "failure.json",
    }  # fmt: skip
    assert not any(".part" in name for name in left)
    return json.loads((orders.folder / "failure.json").read_text())


def raising(error: Exception, after: int = 0) -> Callable[..., Any]:
    calls = [0]

    def call(*given: Any, **more: Any) -> Any:
        calls[0] += 1
        if calls[0] > after:
            raise error
        return b""

    return call


def test_memory_that_does_not_suffice_says_which_number_to_lower(orders: Orders, monkeypatch: pytest.MonkeyPatch):
    for error in (
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ):
        monkeypatch.setattr(UNet, "translate", raising(error))
        assert failure(orders) == {
            "reason": "Batches of 4 patches of 64 x 64 pixels do not fit in the memory of this computer: try a batch "
            "size of 2, or patches of 32 pixels.",
            "again": False,
        }


def test_a_disk_that_fills_while_training_is_told(orders: Orders, monkeypatch: pytest.MonkeyPatch):
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr("safetensors.torch.save", raising(full, after=2))  # with the third checkpoint
    assert failure(orders) == {"reason": FULL, "again": False}


def test_a_refusal_is_told_as_it_is_and_an_unknown_error_is_tried_again(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(UNet, "translate", raising(KeyError("lost")))
    told = failure(orders)
    assert told["again"]
    assert "KeyError: 'lost'" in told["reason"]
    task = orders.task.model_copy(update={"places": orders.task.places[1:]})
    told = failure(orders.model_copy(update={"task": task}))
    assert told == {
        "reason": "no pair is there to train on; give some the part 'train' on the page of the pairs.",
        "again": False,
    }
