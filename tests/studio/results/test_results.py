"""From a saved model to what a job publishes."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from studio.results.jobs import Pair, job, planes_of, saved, translator, untrained
from trustworthy.core.errors import InvalidInput
from trustworthy.core.predictive import predict
from trustworthy.core.seeds import numpy_generator
from trustworthy.nn import Translator
from trustworthy.studio.images.reading import open_image
from trustworthy.studio.jobs.progress import Reporter, read_progress
from trustworthy.studio.storage import DiskFull
from trustworthy.studio.training import predicting, reporting
from trustworthy.studio.training.flagging import Calibration
from trustworthy.studio.training.record import Result, load_result
from trustworthy.studio.training.results import make_result, predict_new
from trustworthy.studio.training.saving import load_saved
from trustworthy.studio.training.task import Orders

PARTS = ("train", "validation", "validation", "test", "test")
CPU = torch.device("cpu")


def fields(count: int, shape: tuple[int, ...] = (20, 26), dtype: str = "uint16", seed: int = 0) -> list[np.ndarray]:
    rng = numpy_generator(seed, "fields")
    return [rng.integers(100, 4000, shape).astype(dtype) for _ in range(count)]


def pairs(parts: tuple[str, ...] = PARTS, **given: tuple[int, ...]) -> list[Pair]:
    sources, targets = (fields(len(parts), seed=seed, **given) for seed in (0, 1))  # type: ignore[arg-type]
    return [*zip(parts, sources, targets, strict=True)]


def published(orders: Orders, model: Translator, **settings: Any) -> tuple[Path, Result]:
    orders.folder.mkdir(parents=True)
    given = saved(orders, model, orders.folder / "result" / "model", **settings)
    folder = make_result(orders, given, Reporter(orders.folder), CPU)
    return folder, load_result(folder)


def model_of(given: list[Pair], members: int = 2) -> Translator:
    of = [(source[None], target[None]) for _, source, target in given if target is not None]
    return translator(untrained(members), *zip(*of, strict=True))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A job with two members, its result and its model."""
    given = pairs()
    given[3][1][:10] += 20_000  # unlike the others
    orders, model = job(tmp_path_factory.mktemp("studio"), given), model_of(given[:1])
    return orders, model, *published(orders, model)


def test_everything_that_the_record_names_is_there(trained):
    orders, _, folder, result = trained
    assert {image.part for image in result.images} == {"test"}
    assert len({image.folder for image in result.images}) == 2
    for image in result.images:
        assert image.roles == ("source", "target", "prediction", "uncertainty", "error", "mask")
        assert set(image.ranges) == set(image.roles)
        assert all((folder / "previews" / f"{image.folder}-0-{role}.png").is_file() for role in image.roles)
        files = {file.name for file in (folder / "images" / image.folder).iterdir()}
        maps = {f"{role}.ome.tif" for role in ("prediction", "uncertainty", "error", "mask")}
        assert files == maps | {"prediction-uint16.ome.tif"}
    assert not (orders.folder / "scratch").exists()
    told = read_progress(orders.folder)
    assert 0.9 < told[0]["progress"] <= told[-1]["progress"] < 1
    assert "calibrating by well 1" in {line["stage"] for line in told}


def test_maps_are_those_of_the_model_and_the_mask_is_the_action(trained):
    orders, model, folder, result = trained
    place = orders.task.places[4]
    image = next(image for image in result.images if image.image_id == place.source.id)
    answer = predict(model, fields(5)[4][None, None].astype(np.float32))
    maps = {file.name: tifffile.imread(file) for file in (folder / "images" / image.folder).iterdir()}
    mean = maps["prediction.ome.tif"]
    assert mean.dtype == np.float32
    assert mean == pytest.approx(answer.mean[0, 0].numpy(), rel=1e-5)
    assert np.array_equal(maps["prediction-uint16.ome.tif"], np.clip(np.rint(mean), 0, 65535))
    width, known = (
        maps["uncertainty.ome.tif"],
        Calibration.model_validate(load_saved(folder / "model").about.calibration),
    )
    noise = known.floor * known.sizes[0]
    assert width == pytest.approx(known.factor * np.hypot(answer.std[0, 0].numpy(), noise), rel=1e-4)
    error = np.abs(mean - fields(5, seed=1)[4])
    assert maps["error.ome.tif"] == pytest.approx(error, rel=1e-5)
    assert np.array_equal(maps["mask.ome.tif"] == 255, width > result.tolerance[0])
    assert image.untrusted == pytest.approx((width > result.tolerance[0]).mean())
    assert image.uncertainty == pytest.approx(width.mean(), rel=1e-5)
    assert image.metrics["coverage"] == pytest.approx((error <= width).mean(), abs=1e-3)


def test_unlike_images_are_flagged_and_named(trained):
    *_, result = trained
    strange = next(image for image in result.images if image.unlike)
    assert strange.flagged
    assert strange.name == "phase/well 3.tif"
    assert strange.unlike[0].startswith("Its mean is ")


def test_numbers_stand_beside_those_of_baselines(trained):
    *_, result = trained
    assert set(result.baselines) == {"identity", "mean"}
    assert set(result.baselines["mean"]) == {"pearson", "psnr", "ssim", "mae"}
    assert result.baselines["mean"]["pearson"] is None
    assert result.summary["mae"] == pytest.approx(np.mean([image.metrics["mae"] for image in result.images]))
    assert len(result.calibration) == 10
    assert any("2 test images" in note for note in result.notes)


def test_the_model_keeps_its_calibration(trained):
    *_, folder, result = trained
    found = Calibration.model_validate(load_saved(folder / "model").about.calibration)
    assert (found.factor, found.images, found.seen) == (result.factor, 2, False)


def test_the_download_holds_originals_maps_table_and_configuration(trained):
    orders, _, folder, result = trained
    with zipfile.ZipFile(folder / "download.zip") as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        assert len(names) == len(set(names)) == 3 + 2 * 7
        place = orders.task.places[4]
        image = next(image for image in result.images if image.image_id == place.source.id)
        original = orders.task.file(orders.storage, place.source).read_bytes()
        assert archive.read(f"images/{image.folder}/source.tif") == original
        configuration = json.loads(archive.read("configuration.json"))
    assert Orders(task=configuration["task"], attempt=1, data_dir=orders.data_dir).task == orders.task
    with (folder / "metrics.csv").open() as stream:
        lines = [*csv.DictReader(stream)]
    assert [line["image"] for line in lines] == [image.name for image in result.images]
    assert float(lines[0]["psnr"]) == pytest.approx(result.images[0].metrics["psnr"], rel=1e-4)
    assert float(lines[0]["identity_psnr"]) == pytest.approx(result.images[0].baselines["identity"]["psnr"], rel=1e-4)
    assert lines[0]["mean_pearson"] == ""


def test_the_page_needs_nothing_else_and_says_what_counts(trained):
    *_, folder, result = trained
    page = (folder / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "<script" not in page
    for said in (result.methods, result.promise, result.flagging, "phase/well 3.tif", "data:image/png;base64,"):
        assert str(reporting.Markup.escape(said)) in page
    assert "2 further pairs" in result.methods


@pytest.fixture
def _no_page(monkeypatch):
    """Without the page, whose figure takes most of the time."""
    monkeypatch.setattr(reporting, "write_report", lambda folder, *_: (folder / "report.html").touch())


@pytest.mark.usefixtures("_no_page")
@pytest.mark.parametrize(
    "axes", [*(pytest.param(axes, marks=pytest.mark.slow) for axes in ("YX", "CYX", "TCYX", "YXC")), "ZCYX"]
)
def test_a_prediction_has_the_axes_of_its_target(tmp_path, axes):
    of_target = {"Y": 20, "X": 26, "C": 3, "Z": 2, "T": 2}
    deep = axes.translate({ord("C"): None})
    sources = fields(2, tuple(of_target[axis] for axis in deep))
    targets = fields(2, tuple(of_target[axis] for axis in axes), seed=1)
    orders = job(tmp_path, [*zip(("validation", "test"), sources, targets, strict=True)], (deep, axes))
    of_planes = [[(s, t) for s, t in zip(planes_of(source, deep), planes_of(target, axes), strict=True)]
                 for source, target in zip(sources, targets, strict=True)]  # fmt: skip
    channels = 3 if "C" in axes else 1
    model = translator(untrained(2, (1, channels)), *zip(*of_planes[0], strict=True))
    folder, result = published(orders, model)
    target, (image,) = orders.task.places[1].target, result.images
    assert target is not None
    assert image.planes == len(of_planes[1])
    for role in ("prediction", "uncertainty", "error"):
        with open_image(folder / "images" / image.folder / f"{role}.ome.tif") as opened:
            assert opened.description == target.description.model_copy(update={"dtype": "float32"})
            if role == "prediction":
                for place, (source, _) in enumerate(of_planes[1]):
                    asked = predict(model, source[None].astype(np.float32)).mean[0].numpy()
                    assert opened.plane(place) == pytest.approx(asked, rel=1e-4)
    with open_image(folder / "images" / image.folder / "mask.ome.tif") as opened:
        assert (opened.description.channels, opened.description.planes) == (1, image.planes)


def test_new_images_of_another_depth_are_predicted_without_targets(tmp_path, trained):
    of_training, _, folder, _ = trained
    new = [("new", source, None) for source in fields(2, (3, 18, 40))]
    new[1][1][:] = 60_000
    orders = job(of_training.data_dir, new, ("ZYX", "YX"), kind="predict", model_id=of_training.task.job)
    shutil.copytree(folder / "model", of_training.storage.model(of_training.task.job))
    orders.folder.mkdir(parents=True)
    result = load_result(predict_new(orders, Reporter(orders.folder), CPU))
    assert (result.kind, result.summary, result.baselines, result.calibration) == ("predict", {}, {}, ())
    strange = next(image for image in result.images if image.image_id == orders.task.places[1].source.id)
    assert strange.flagged
    assert strange.unlike[0].startswith("Plane 1: its mean is 6e+04")
    assert strange.unlike[-1].startswith("And ")
    assert strange.roles == ("source", "prediction", "uncertainty", "mask")
    with open_image(orders.folder / "result" / "images" / strange.folder / "prediction.ome.tif") as opened:
        assert (opened.description.axes, opened.description.shape) == ("ZYX", (3, 18, 40))
        assert opened.description.pixel_size == {"X": 0.5, "Y": 0.5}
    assert "applied" in (orders.folder / "result" / "report.html").read_text()


@pytest.mark.usefixtures("_no_page")
def test_one_network_of_one_pair_says_what_it_cannot_know(tmp_path):
    given = pairs(("train", "test", "test"))
    given[2][1][:] += 20_000  # unlike the others, of which its uncertainty tells nothing
    _, result = published(job(tmp_path, given), model_of(given[:1], members=1))
    assert result.factor is None
    assert "Promised: nothing" in result.promise
    assert [image.flagged for image in sorted(result.images, key=lambda image: image.name)] == [False, True]
    image = result.images[0]
    assert image.untrusted == 0
    assert image.metrics["uncertainty_correlation"] is None
    assert any("cannot disagree" in note for note in result.notes)
    assert any("2 test images;" in note for note in result.notes)


@pytest.mark.usefixtures("_no_page")
@pytest.mark.parametrize("sides", [(1, 1), pytest.param((33, 7), marks=pytest.mark.slow)])
def test_images_of_any_size_have_a_result(tmp_path, sides):
    given = [*pairs(("validation",)), *pairs(("test",), shape=sides)]
    folder, result = published(job(tmp_path, given), model_of(given[:1]))
    (image,) = result.images
    assert tifffile.imread(folder / "images" / image.folder / "prediction.ome.tif").shape == sides
    assert image.metrics["ssim"] is None
    assert any(image.name in note for note in result.notes)


@pytest.mark.usefixtures("_no_page")
def test_a_constant_target_is_told(tmp_path):
    given = pairs(("validation", "test", "test"))
    given[1] = ("test", given[1][1], np.full((20, 26), 7, np.uint16))
    _, result = published(job(tmp_path, given), model_of(given[:1]))
    assert any("well 1.tif: its target has one value" in note for note in result.notes)
    image, other = sorted(result.images, key=lambda image: image.name)
    assert image.metrics["pearson"] is None
    assert image.ranges["prediction"][0] < image.ranges["prediction"][1]  # what it says can be seen
    assert result.summary["pearson"] == other.metrics["pearson"]
    assert "Pearson correlation is the mean over 1 of the 2 images, as the others have none." in result.notes


def test_new_images_of_other_channels_than_those_of_the_training_are_refused(tmp_path, trained):
    _, _, folder, _ = trained
    orders = job(tmp_path, [("new", fields(1, (3, 20, 26))[0], None)], ("CYX", "YX"), kind="predict", model_id="0" * 32)
    shutil.copytree(folder / "model", orders.storage.model("0" * 32))
    orders.folder.mkdir(parents=True)
    with pytest.raises(InvalidInput, match="must have 1 channel, as those that the model was trained on"):
        predict_new(orders, Reporter(orders.folder), CPU)


@pytest.mark.usefixtures("_no_page")
def test_where_the_memory_does_not_suffice_the_tiles_are_halved(tmp_path, monkeypatch):
    asked, ask = [], predicting.predict_tiled

    def short(*args, tile, **given):
        asked.append(tile)
        if tile > 300:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        return ask(*args, tile=tile, **given)

    monkeypatch.setattr(predicting, "predict_tiled", short)
    given = pairs(("validation", "test"))
    _, result = published(job(tmp_path, given), model_of(given))
    assert asked == [1024, 512, 256, 256]
    assert any("tiles of 256 were used" in note for note in result.notes)


def test_a_full_disk_is_met_before_the_work(tmp_path):
    orders = job(tmp_path, pairs()).model_copy(update={"free_bytes": 2**60})
    with pytest.raises(DiskFull, match="The result needs"):
        published(orders, model_of(pairs()))
