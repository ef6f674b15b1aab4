"""Trainings from images to a saved model: interrupted, finished early, of awkward images, and in the right units."""

import hashlib
import shutil
from collections.abc import Callable

import numpy as np
import pytest
import torch

from interrupted import Interruption
from studio.training.fields import smooth
from trustworthy.nn.ensemble import Ensemble
from trustworthy.studio.jobs.progress import Reporter, read_progress
from trustworthy.studio.training.preparing import Patches
from trustworthy.studio.training.running import train
from trustworthy.studio.training.saving import Saved, load_saved
from trustworthy.studio.training.task import Orders

TINY = {"epochs": 10, "members": 2, "batch_size": 2, "patch": 32, "width": 4, "depth": 2}
PARTS = ("train", "train", "train", "validation", "test")


def trained(orders: Orders) -> Saved:
    return load_saved(train(orders, Reporter(orders.folder), torch.device("cpu")))


def weights(orders: Orders) -> str:
    return hashlib.sha256((orders.folder / "result" / "model" / "model.safetensors").read_bytes()).hexdigest()


def pairs(side: int = 32, number: int = 5) -> list[tuple[str, np.ndarray, np.ndarray]]:
    fields = [smooth(side, seed)[0] for seed in range(number)]
    return [
        (part, (128 + 30 * field).clip(0, 255).astype(np.uint8), (2000 + 500 * field).astype(np.uint16))
        for part, field in zip(PARTS, fields, strict=False)
    ]


def next_attempt(orders: Orders, **task: object) -> Orders:
    """As the worker makes it: with the checkpoints of the last one, of which a late child can write nowhere else."""
    made = orders.model_copy(update={"attempt": orders.attempt + 1, "task": orders.task.model_copy(update=task)})
    made.save()
    shutil.move(orders.folder / "checkpoints", made.folder / "checkpoints")
    return made


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Stop whatever trains at the given window that it reads, counted from 1."""
    read, original = [0], Patches.__getitem__

    def at(number: int) -> None:
        def getitem(patches: Patches, index: int) -> tuple[torch.Tensor, torch.Tensor]:
            read[0] += len(patches) == 3
            if read[0] == number:
                raise Interruption
            return original(patches, index)

        read[0] = 0
        monkeypatch.setattr(Patches, "__getitem__", getitem)

    return at


def test_interrupted_in_the_second_member_it_ends_with_the_same_weights(
    orders_for: Callable[..., Orders], interrupt: Callable[[int], None]
):
    whole = orders_for(pairs(), **TINY)
    expected = trained(whole).about
    orders = orders_for(pairs(), **TINY).model_copy(update={"task": whole.task})
    orders = orders.model_copy(update={"attempt": 2})
    orders.save()
    interrupt(3 * 14 + 2)  # an epoch reads three windows: within the fifth one of the second member
    with pytest.raises(Interruption):
        trained(orders)
    assert not (orders.folder / "result").exists()
    interrupt(-1)
    again = next_attempt(orders)
    about = trained(again).about
    assert weights(again) == weights(whole)
    assert about.model_copy(update={"seconds": expected.seconds}) == expected
    told = [line["curve"] for line in read_progress(again.folder) if "curve" in line]
    assert [(point["member"], point["epoch"]) for point in told] == [(2, epoch) for epoch in range(5, 11)]


def test_what_there_is_becomes_the_model(orders_for: Callable[..., Orders], interrupt: Callable[[int], None]):
    orders = orders_for(pairs(), **{**TINY, "members": 3})
    interrupt(3 * 14 + 2)
    with pytest.raises(Interruption):
        trained(orders)
    saved = trained(next_attempt(orders, finish=True))
    assert isinstance(saved.model.net, Ensemble)
    assert len(saved.model.net) == saved.about.draws == 2
