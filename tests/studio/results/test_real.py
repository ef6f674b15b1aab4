"""What results are worth on images that are learned from: units, foreign patches, and one larger than the memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from torch import nn

from studio.results.jobs import Pair, job, saved
from trustworthy import metrics
from trustworthy.core.seeds import numpy_generator
from trustworthy.datasets.image_pairs import ImagePairs
from trustworthy.datasets.pairs import load_pairs, paste, patches
from trustworthy.datasets.synthetic import cells
from trustworthy.nn import Translator, UNet
from trustworthy.studio.jobs.progress import Reporter
from trustworthy.studio.training.record import Result, load_result
from trustworthy.studio.training.results import make_result
from trustworthy.training import Laplace, SameCropAndTurn
from trustworthy.uncertainty import NaiveEnsemble

pytestmark = pytest.mark.slow
MICROSCOPY = Path(os.environ.get("TRUSTWORTHY_DATA", "")) / "microscopy"


def learned(root: Path, train: ImagePairs, held: ImagePairs, test: ImagePairs, **method: object) -> tuple[Path, Result]:
    """The result of an ensemble that was trained on patches of 128 pixels of the pairs."""
    given: list[Pair] = [
        (part, source[0], target[0])
        for part, of in (("train", train), ("validation", held), ("test", test))
        for source, target in zip(of.source, of.target, strict=True)
    ]
    orders = job(root, given)
    statistics = Translator.of(nn.Identity(), train.source, train.target)
    side = min(128, *train.source.shape[2:])
    cut, judged = (patches(of, side, count) for of, count in ((train, 96), (held, 8)))
    settings = {"members": 3, "learning_rate": 2e-3, "batch_size": 8, **method}
    ensemble = NaiveEnsemble(**settings, loss=Laplace(average=True), augment=SameCropAndTurn(size=side)).fit(  # type: ignore[arg-type]
        lambda: UNet(1, 1, width=8, depth=4),
        statistics.normalised(cut.source, cut.target),
        validation=statistics.normalised(judged.source, judged.target),
    )
    assert isinstance(ensemble, nn.Module)
    orders.folder.mkdir(parents=True)
    model = saved(orders, statistics.around(ensemble).eval(), orders.folder / "result" / "model", network=(8, 4))
    folder = make_result(orders, model, Reporter(orders.folder), torch.device("cpu"))
    return folder, load_result(folder)


def test_units_of_the_target_are_kept(tmp_path, capsys):
    """Trained on 1000 + 50 x, the answers have its mean and slope within a hundredth."""
    rng = numpy_generator(0, "blobs")
    y, x = np.mgrid[:64, :64] / 64
    centres = rng.random((24, 6, 2))
    signal = np.exp(-((y - centres[..., :1, None]) ** 2 + (x - centres[..., 1:, None]) ** 2) / 0.01).sum(1)
    source = (20 + 80 * signal)[:, None].astype(np.float32)
    target = np.rint(1000 + 50 * source).astype(np.uint16)
    names = tuple(map(str, range(24)))
    pairs = ImagePairs(source=source, target=target, names=names, name="blobs")
    parts = (pairs.take(slice(0, 16)), pairs.take(slice(16, 20)), pairs.take(slice(20, 24)))
    folder, result = learned(tmp_path, *parts, members=2, epochs=40)
    files = [folder / "images" / image.folder / "prediction.ome.tif" for image in result.images]
    found = np.stack([tifffile.imread(file) for file in files])
    order = [int(image.name.removeprefix("phase/well ").removesuffix(".tif")) for image in result.images]
    slope, start = np.polyfit(source[order, 0].ravel(), found.ravel(), 1)
    apart = found.mean() / target[order].mean() - 1
    with capsys.disabled():
        print(f"\n1000 + 50 x: slope {slope:.2f}, start {start:.0f}, mean off by {apart:.2%}")  # noqa: T201
    assert slope == pytest.approx(50, rel=0.01)
    assert abs(apart) < 0.01


@pytest.mark.parametrize(("name", "cut", "epochs"), [("cells", (16, 20, 24), 15), ("ecoli", (6, 8, 10), 12)])
def test_foreign_patches_are_where_the_uncertainty_is(tmp_path, capsys, name, cut, epochs):
    """Stained cells of another set, pasted into generated cells and into fields of E. coli."""
    if not MICROSCOPY.is_dir():
        pytest.skip("the sets of microscopy are not at hand: set TRUSTWORTHY_DATA")
    own = cells(fields=24, size=128, seed=3) if name == "cells" else load_pairs(name)
    found = patches(load_pairs("ebimage"), 48, 40, seed=1)
    full = np.argsort(-found.source.std(axis=(1, 2, 3)), kind="stable")[:10]  # others may be empty
    train, held, test = (own.take(slice(*ends)) for ends in zip((0, *cut), cut, strict=False))
    spoilt = paste(test, found.take(full), count=2, seed=2)
    folder, result = learned(tmp_path, train, held, spoilt, epochs=epochs)
    images = sorted(result.images, key=lambda image: image.name)
    maps = [tifffile.imread(folder / "images" / image.folder / "uncertainty.ome.tif") for image in images]
    masks = np.stack([tifffile.imread(folder / "images" / image.folder / "mask.ome.tif") > 0 for image in images])
    assert spoilt.masks is not None
    area = metrics.auroc(np.stack(maps).ravel(), spoilt.masks.ravel())
    inside, outside = masks[spoilt.masks].mean(), masks[~spoilt.masks].mean()
    with capsys.disabled():
        told = ", ".join(f"{key} {value:.3f}" for key, value in result.summary.items() if value is not None)
        print(  # noqa: T201
            f"\n{name}: AUC {area:.3f}; masked {inside:.1%} of what is foreign, {outside:.1%} elsewhere; {told}; "
            f"identity {result.baselines['identity']['pearson']:.3f}"
        )
    assert area > 0.6
    assert inside > 2 * outside


def test_an_image_larger_than_the_memory_is_predicted_by_tiles(tmp_path, capsys):
    """12,302 x 9,246 pixels of 16 bits, with all that is published of it, in a process of its own."""
    command = [sys.executable, "-m", "studio.results.large", str(tmp_path), "12302", "9246"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert not done.returncode, done.stderr
    told = json.loads(done.stdout)
    with capsys.disabled():
        print(f"\npeak memory {told['gib']:.2f} GiB, {told['seconds']:.0f} s")  # noqa: T201
    assert told["shape"] == [12302, 9246]
    assert told["gib"] < 4
