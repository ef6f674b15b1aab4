"""What a person takes home: a table of numbers, the exact configuration, and all images in one zip."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trustworthy.core.errors import InvalidInput
from trustworthy.core.files import atomic_write
from trustworthy.studio.storage import Storage
from trustworthy.studio.training.record import METRICS, ROLES, ImageResult, Result
from trustworthy.studio.training.task import Place, Task

TABLE, CONFIGURATION, REPORT, DOWNLOAD = "metrics.csv", "configuration.json", "report.html", "download.zip"
LONGEST = 48
"""Letters of a name that stay in that of its folder."""
MAPS = 3 * 4 + 4 + 1
"""Bytes of a pixel in three maps of real numbers, the prediction in whole ones, and the mask."""
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def folder_name(place: int, name: str) -> str:
    """Of an image: its number, which makes it unique, and what its name has of letters that no system refuses."""
    stem = name.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    told = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")[:LONGEST].strip("-")
    return f"{place:04d}-{told}" if told else f"{place:04d}"


def cell(value: object) -> str:
    """Text of a cell, which no program that opens the table takes for a formula."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULAS) else text


def write_table(folder: Path, result: Result) -> None:
    """metrics.csv: a line an image, the most uncertain first; a cell is empty where a number is not defined."""
    scored = [name for name in METRICS if any(name in image.metrics for image in result.images)]
    compared = [(by, name) for by, values in result.baselines.items() for name in scored if name in values]
    with atomic_write(folder / TABLE) as stream:
        lines = csv.writer(stream, lineterminator="\n")
        lines.writerow(
            ["image", "folder", "part", "flagged", "uncertainty", "untrusted_share", *scored]
            + [f"{by}_{name}" for by, name in compared]
            + ["unlike_training_images"]
        )
        for image in result.images:
            lines.writerow(map(cell, _line(image, scored, compared)))


def _line(image: ImageResult, scored: list[str], compared: list[tuple[str, str]]) -> list[object]:
    return [
        image.name, image.folder, image.part, "yes" if image.flagged else "no", image.uncertainty, image.untrusted,
        *(image.metrics.get(name) for name in scored),
        *(image.baselines.get(by, {}).get(name) for by, name in compared),
        " ".join(image.unlike),
    ]  # fmt: skip


def write_configuration(folder: Path, task: Task, result: Result) -> None:
    """configuration.json: all that the result depends on, with the digest of every image."""
    words = {
        "task": task.model_dump(mode="json"), "training": result.settings, "versions": result.versions,
        "again": (
            "trustworthy studio rerun configuration.json queues this job again in a studio that has the same images "
            "(their SHA-256 is here). With the same versions, on the same kind of processor, it gives the same model."
        ),
    }  # fmt: skip
    with atomic_write(folder / CONFIGURATION) as stream:
        stream.write(json.dumps(words, indent=1, ensure_ascii=False) + "\n")


def read_configuration(file: Path) -> Task:
    """The task of a configuration.json. Raises InvalidInput."""
    try:
        return Task.model_validate(json.loads(file.read_text(encoding="utf-8"))["task"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{file} must be the configuration.json of a result's download.zip, got {type(error).__name__}: {error}."
        ) from error


def write_download(folder: Path, result: Result, task: Task, storage: Storage) -> None:
    """download.zip: images, targets and maps of each image in a folder of its own, the table, report and configuration.

    Files are copied piece by piece. Maps of real numbers are stored as they are, as they hardly get smaller.
    """
    places = {place.source.id: place for place in task.places}
    with atomic_write(folder / DOWNLOAD, "wb") as stream, zipfile.ZipFile(stream, "w") as archive:
        for name in (REPORT, TABLE, CONFIGURATION):
            archive.write(folder / name, name, zipfile.ZIP_DEFLATED)
        for image in result.images:
            for role, picture in zip(ROLES, places[image.image_id].pictures, strict=False):
                archive.write(task.file(storage, picture), f"images/{image.folder}/{role}{picture.suffix}")
            for file in sorted((folder / "images" / image.folder).iterdir()):
                method = zipfile.ZIP_DEFLATED if file.name.startswith("mask") else zipfile.ZIP_STORED
                archive.write(file, f"images/{image.folder}/{file.name}", method, 1)


def size_of(places: Sequence[Place]) -> int:
    """Bytes that the result of these places needs: originals in the zip, maps there and beside it, and at work."""
    each = [(place.source.description.pixels, (place.target or place.source).description.pixels) for place in places]
    maps = [MAPS * target for _, target in each]
    return 4 * sum(map(sum, each)) + 2 * sum(maps) + max(maps, default=0)


def own_type(dtype: str) -> np.dtype | None:
    """In which a prediction is written once more: that of the target where it is one of whole numbers."""
    wanted = np.dtype(dtype)
    return wanted if wanted.kind in "iu" and wanted.itemsize <= 4 else None
