"""What a job reports while it trains, when it stops early, and which pairs it finds moved."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from studio.training.fields import smooth
from trustworthy.datasets.synthetic import cells
from trustworthy.nn import Translator
from trustworthy.studio.jobs.progress import Reporter, read_progress
from trustworthy.studio.training.control import TrainingSettings
from trustworthy.studio.training.methods import runs_of
from trustworthy.studio.training.preparing import Plane
from trustworthy.studio.training.running import train
from trustworthy.studio.training.task import Orders
from trustworthy.studio.training.watching import LEVEL, SCORE, Watch, moved
from trustworthy.training import EpochRecord, History

FAST = TrainingSettings(method="fast", members=3, epochs=20)  # runs of 20, 2, 2, 2 and 2 epochs


def history(*scores: float) -> History:
    records = tuple(
        EpochRecord(epoch=k, loss=LEVEL + 1 / k, learning_rate=1e-3, seconds=2.0, metrics={SCORE: score - LEVEL})
        for k, score in enumerate(scores, 1)
    )
    return History(records=records, best=max(records, key=lambda record: record.metrics[SCORE]))


def watch(folder: Path, settings: TrainingSettings = FAST) -> tuple[Watch, list[nn.Module]]:
    begun: list[nn.Module] = []
    made = Watch(
        Reporter(folder), folder, runs_of(settings), patience=settings.patience, begun=begun.append, items=4,
        share=(0.1, 0.9),
    )  # fmt: skip
    return made, begun


def test_a_line_for_each_epoch_tells_the_curves_of_its_member_and_the_time_that_is_left(tmp_path: Path):
    (tmp_path / "member-1").mkdir()
    made, begun = watch(tmp_path)
    net = nn.Identity()
    assert [made(net, history(*[-0.5] * 2)), made(net, history(*[-0.5] * 3))] == [False, False]
    assert begun == [net]  # after a tenth of the epochs, once
    for stage in ("member-2/explore", "member-2/refine"):
        (tmp_path / stage).mkdir(parents=True)
        made(net, history(-0.25))
    first, _, exploring, refining = read_progress(tmp_path)
    assert first["progress"] == pytest.approx(0.1 + 0.8 * 2 / 28)
    assert first["seconds_left"] == 2.0 * 26
    assert first["curve"] == pytest.approx({"member": 1, "epoch": 2, "loss": 0.5, "validation": 0.5})
    assert "curve" not in exploring  # its loss holds the distance to the others, and cannot be compared
    assert refining["curve"] == pytest.approx({"member": 2, "epoch": 1, "loss": 1.0, "validation": 0.25})
    assert refining["progress"] == pytest.approx(0.1 + 0.8 * 23 / 28)
    assert refining["stage"] == "training network 2 of 3, epoch 1 of 2"


def test_a_run_ends_where_patience_does(tmp_path: Path):
    made, _ = watch(tmp_path, TrainingSettings(epochs=10, patience=2))
    (tmp_path / "member-1").mkdir()
    scores = [-0.5, -0.4, -0.6, -0.45]
    assert [made(nn.Identity(), history(*scores[:count])) for count in range(1, 5)] == [False, False, False, True]
    assert read_progress(tmp_path)[-1]["seconds_left"] == 0


def test_a_long_epoch_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    made, _ = watch(tmp_path, TrainingSettings(epochs=10))
    for now[0] in (1.0, 2.0, 9.0):
        made.alive()
    assert [line["progress"] for line in read_progress(tmp_path)] == [pytest.approx(0.1 + 0.8 * 0.75 / 10)]


def test_a_pair_whose_target_is_moved_against_what_is_drawn_is_told_by_name(tmp_path: Path):
    def plane(name: str, seed: int, down: int, right: int) -> Plane:
        source = smooth(128, seed).astype(np.float32)
        return Plane(name, "train", source, 1000 + 50 * np.roll(source, (down, right), (1, 2)))

    network = nn.Conv2d(1, 1, 1)
    with torch.no_grad():
        network.weight.fill_(1.0)
        network.bias.zero_()
    translator = Translator(nn.Identity(), [0.0], [1.0], [1000.0], [50.0])
    planes = [plane("straight", 0, 0, 0), plane("moved", 1, 3, -2)]
    found = moved(planes, translator, network)
    assert len(found) == 1
    assert "'moved' lies 3 px below and 2 px to the left" in found[0]
    with torch.no_grad():
        network.weight.fill_(-1.0)
    assert moved(planes, translator, network) == []  # it has not learned yet what a target looks like


@pytest.mark.slow
def test_after_the_first_epochs_a_pair_that_is_moved_by_three_pixels_is_found(orders_for: Callable[..., Orders]):
    drawn = cells(8, size=192, density="dense", seed=3)
    images = [
        ("train", np.asarray(source), np.roll(np.asarray(target), (3, 0) if k == 5 else (0, 0), (-2, -1)))
        for k, (source, target) in enumerate(zip(drawn.source, drawn.target, strict=True))
    ]
    orders = orders_for(images, epochs=30, batch_size=4, patch=64, width=8, depth=3, dropout=0, learning_rate=2)
    train(orders, Reporter(orders.folder), torch.device("cpu"))
    notes = [line["note"] for line in read_progress(orders.folder) if "lies" in line.get("note", "")]
    assert len(notes) == 1
    assert notes[0].startswith("The target of 'pair 5' lies 3 px below")
