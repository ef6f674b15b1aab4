"""Trainings from images to a saved model: interrupted, finished early, of awkward images, and in the right units."""

import hashlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from interrupted import Interruption
from studio.training.fields import smooth
from trustworthy.core.predictive import predict
from trustworthy.nn.ensemble import Ensemble
from trustworthy.studio.db.tables import new_id
from trustworthy.studio.jobs.progress import Reporter, read_progress
from trustworthy.studio.training.control import STUDIO_METHODS
from trustworthy.studio.training.preparing import Patches
from trustworthy.studio.training.reporting import trained_sentence
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


def test_interrupted_in_the_second_member_it_ends_with_the_same_weights_or_with_what_there_is(
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
    stopped = orders.model_copy(update={"task": orders.task.model_copy(update={"job": new_id()})})
    shutil.copytree(orders.folder, stopped.folder)
    finished(next_attempt(stopped, finish=True), (10, 4))
    again = next_attempt(orders)
    about = trained(again).about
    assert weights(again) == weights(whole)
    assert about.model_copy(update={"seconds": expected.seconds}) == expected
    told = [line["curve"] for line in read_progress(again.folder) if "curve" in line]
    assert [(point["member"], point["epoch"]) for point in told] == [(2, epoch) for epoch in range(5, 11)]


def finished(orders: Orders, epochs: tuple[int, int]) -> None:
    """Look at the model that is made of two networks which were trained for so many epochs."""
    saved = trained(orders)
    assert isinstance(saved.model.net, Ensemble)
    assert len(saved.model.net) == saved.about.draws == 2
    assert saved.about.stopped == epochs
    assert f"for 10 epochs, but stopped by hand after 10 and {epochs[1]}," in trained_sentence(saved.about, {})


def test_a_member_that_has_only_explored_is_none_of_the_model(
    orders_for: Callable[..., Orders], interrupt: Callable[[int], None]
):
    orders = orders_for(pairs(), **{**TINY, "members": 3, "method": "fast"})
    interrupt(47)
    with pytest.raises(Interruption):
        trained(orders)
    assert (orders.folder / "checkpoints" / "member-3/explore/step-0000000002.safetensors").exists()
    finished(next_attempt(orders, finish=True), (10, 1))


@pytest.mark.slow
@pytest.mark.parametrize("method", STUDIO_METHODS)
def test_a_killed_process_is_gone_on_from_to_the_same_weights(orders_for: Callable[..., Orders], method: str):
    settings = {**TINY, "method": method, "epochs": 40, "dropout": 0.3}
    whole = orders_for(pairs(96), **settings)
    trained(whole)
    orders = whole.model_copy(update={"attempt": 2})
    orders.save()
    last = {"naive": (2, 4), "fast": (2, 1)}.get(method, (1, 6))
    with _process(orders) as process:
        while last not in _epochs(orders):
            assert process.poll() is None, (orders.folder / "log.txt").read_text()
            time.sleep(0.005)
        time.sleep(0.02)  # an epoch takes about a tenth of a second
        process.send_signal(signal.SIGKILL)
    assert not (orders.folder / "result").exists()
    again = next_attempt(orders)
    trained(again)
    assert weights(again) == weights(whole)
    assert last not in _epochs(again)


@contextmanager
def _process(orders: Orders) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "trustworthy.studio.training", str(orders.folder)]
    with (
        (orders.folder / "log.txt").open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True) as process,
    ):
        yield process


def _epochs(orders: Orders) -> list[tuple[int, int]]:
    lines = read_progress(orders.folder)
    return [(line["curve"]["member"], line["curve"]["epoch"]) for line in lines if "curve" in line]


@pytest.mark.slow
def test_predictions_are_in_the_units_of_the_target(
    orders_for: Callable[..., Orders], record_property: Callable[[str, object], None]
):
    """CAREamics un-normalised by the statistics of the source until 2026; channel counts alike, nobody saw it."""
    fields = [smooth(96, seed)[0] for seed in range(10)]
    sources = [(400 + 60 * field).clip(0).astype(np.uint16) for field in fields]
    parts = ["train"] * 7 + ["validation"] * 2 + ["test"]
    images = [(part, source, 1000.0 + 50.0 * source) for part, source in zip(parts, sources, strict=True)]
    images = [(part, source, target.astype(np.float32)) for part, source, target in images]
    saved = trained(
        orders_for(images, epochs=60, batch_size=4, patch=48, width=16, depth=2, dropout=0, learning_rate=3)
    )
    source, target = (image.astype(np.float64) for image in images[-1][1:])
    answer = predict(saved.model, torch.tensor(source[None, None], dtype=torch.float32)).mean[0, 0].double().numpy()
    slope = np.polyfit(source.ravel(), answer.ravel(), 1)[0]
    record_property("mean, slope", [float(answer.mean() / target.mean()), float(slope / 50)])
    assert answer.mean() == pytest.approx(target.mean(), rel=0.01)
    assert slope == pytest.approx(50, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("side", [333, 5, 1])
def test_colours_of_awkward_sizes_give_16_bits_of_the_same_size(orders_for: Callable[..., Orders], side: int):
    fields = [smooth(333, seed, 3)[:, :side, :side] for seed in range(3)]
    images = [
        (part, (128 + 30 * field).clip(0, 255).astype(np.uint8), (30000 + 9000 * field[0]).astype(np.uint16))
        for part, field in zip(PARTS[1:], fields, strict=False)
    ]
    saved = trained(orders_for(images, epochs=10, batch_size=4, patch=128, width=8, seed=1))
    other = trained(orders_for(images, epochs=10, batch_size=4, patch=128, width=8, seed=2))
    x = torch.tensor(images[0][1][None], dtype=torch.float32)
    answer, another = (predict(each.model, x).mean for each in (saved, other))
    assert answer.shape == (1, 1, side, side)
    assert answer.mean().item() == pytest.approx(images[0][2].mean(), abs=9000)  # one deviation
    assert not torch.equal(answer, another)
    assert saved.about.target.dtype == "uint16"
