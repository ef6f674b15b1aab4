"""From a trained model to what a job publishes, by two doors: `make_result` of a training, `predict_new` of others."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.core.record import versions
from trustworthy.datasets.columns import listed
from trustworthy.studio.jobs.progress import Reporter
from trustworthy.studio.training import packing, reporting
from trustworthy.studio.training.flagging import Calibration, meaning, promise
from trustworthy.studio.training.record import METRICS, ImageResult, Result
from trustworthy.studio.training.saving import Saved, load_saved
from trustworthy.studio.training.scoring import BASELINES, averaged
from trustworthy.studio.training.showing import RESULT, SCRATCH, Work
from trustworthy.studio.training.task import Orders, Place
from trustworthy.studio.words import many

MODEL = "model"
MOST = 8
"""Training images that are asked about where there are no validation images."""
BEGUN = 0.9
"""Progress of a training job when the network is trained."""


def make_result(orders: Orders, saved_folder: Path, reporter: Reporter, device: torch.device) -> Path:
    """Ask a trained model about the validation images, calibrate it, judge it by the test images, and write `result`.

    saved_folder : of the model, which gets its calibration; it becomes result/model unless it is there.

    Raises
    ------
    DataError, InvalidInput : an image cannot be read, or is none that the model takes. DiskFull : see `Storage`.
    """
    task, begun = orders.task, time.perf_counter()
    folder = orders.folder / RESULT
    if saved_folder != folder / MODEL:
        shutil.copytree(saved_folder, folder / MODEL, dirs_exist_ok=True)
    saved = load_saved(folder / MODEL, device)
    parts = {part: [place for place in task.places if place.part == part] for part in ("train", "validation", "test")}
    teaching = parts["validation"] or parts["train"][:MOST]
    shown = parts["test"] or parts["validation"]
    work = Work(orders, saved, reporter, (BEGUN, 1.0), len(teaching) + len(shown))
    orders.storage.reserve(packing.size_of(shown), "The result")
    calibration = work.calibrate(teaching, seen=not parts["validation"])
    about = saved.about.model_copy(update={"calibration": calibration.model_dump(mode="json")})
    about.save(folder / MODEL)
    images, samples = work.images(shown, calibration)
    each = [image.metrics for image in images]
    baselines = {by: averaged([image.baselines[by] for image in images]) for by in BASELINES} if images else {}
    notes = [*about.notes, *work.asking.notes, *_remarks(calibration, images, parts)]
    result = Result(
        kind="train", summary=averaged(each), baselines=baselines, images=_ranked(images),
        calibration=calibration.observed(samples) if samples else (), notes=tuple(dict.fromkeys(notes)),
        seconds=about.seconds + time.perf_counter() - begun, methods=reporting.trained_sentence(about, averaged(each)),
        **_shared(saved, calibration),
    )  # fmt: skip
    return _written(orders, folder, result)


def predict_new(orders: Orders, reporter: Reporter, device: torch.device) -> Path:
    """Ask the model of the task about its images, and write `result`. Raises as `make_result` does."""
    task, begun = orders.task, time.perf_counter()
    if task.model_id is None:
        raise InvalidInput("model_id of a prediction must name a model, got none; submit it from the page of a model.")
    saved = load_saved(orders.storage.model(task.model_id), device)
    if saved.about.calibration is None:
        raise DataError("the model has no calibration, as its training was not finished; train it again.")
    calibration = Calibration.model_validate(saved.about.calibration)
    _check_channels(task.places, saved.about.source.channels)
    orders.storage.reserve(packing.size_of(task.places), "The result")
    work = Work(orders, saved, reporter, (0.0, 1.0), len(task.places))
    images, _ = work.images(task.places, calibration)
    result = Result(
        kind="predict", images=_ranked(images), notes=tuple(work.asking.notes), seconds=time.perf_counter() - begun,
        methods=reporting.applied_sentence(saved.about, len(images)), **_shared(saved, calibration),
    )  # fmt: skip
    return _written(orders, orders.folder / RESULT, result)


def _check_channels(places: Sequence[Place], channels: int) -> None:
    other = [place.name for place in places if place.source.description.channels != channels]
    if other:
        raise InvalidInput(
            f"images must have {many(channels, 'channel')}, as those that the model was trained on, and "
            f"{listed(other, 5)} have another number; leave them out, or correct their axes on the page of the images."
        )


def _shared(saved: Saved, calibration: Calibration) -> dict[str, Any]:
    return {
        "meaning": meaning(calibration), "factor": calibration.factor if calibration.varies else None,
        "threshold": calibration.threshold, "tolerance": calibration.tolerance, "flagging": calibration.flagging,
        "promise": promise(calibration), "settings": saved.about.settings.model_dump(mode="json"),
        "versions": versions(),
    }  # fmt: skip


def _ranked(images: Sequence[ImageResult]) -> tuple[ImageResult, ...]:
    """The most uncertain first; where all are equally so, those of which most is masked."""
    return tuple(sorted(images, key=lambda image: (-image.uncertainty, -image.untrusted)))


def _written(orders: Orders, folder: Path, result: Result) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    result.save(folder)
    packing.write_table(folder, result)
    packing.write_configuration(folder, orders.task, result)
    reporting.write_report(folder, result, orders.task)
    packing.write_download(folder, result, orders.task, orders.storage)
    shutil.rmtree(orders.folder / SCRATCH, ignore_errors=True)
    return folder


def _remarks(
    calibration: Calibration, images: Sequence[ImageResult], parts: Mapping[str, Sequence[Place]]
) -> Iterator[str]:
    """What deserves to be told of the numbers."""
    if not parts["test"]:
        yield (
            "There are no test images. What is shown are validation images, which chose the epochs and the size of the "
            "uncertainty: the numbers are better than those of new images will be. Leave some pairs for the test."
            if images
            else "There are neither test nor validation images, so nothing tells how good the model is. Add pairs."
        )
    elif len(parts["test"]) < 5:
        count = len(parts["test"])
        yield f"The numbers are means over {many(count, 'test image')}; other ones would give others."
    if not calibration.varies:
        yield meaning(calibration)
    for name, metric in METRICS.items():
        known = sum(image.metrics.get(name) is not None for image in images)
        if 0 < known < len(images):
            yield f"{metric.label} is the mean over {known} of the {len(images)} images, as the others have none."
    for image in images:
        missing = reporting.undefined(image)
        if missing:
            yield missing
