"""Microscopy with a shift between hospitals or experiments, in the folders of the WILDS benchmark."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from trustworthy.core.errors import DataError
from trustworthy.datasets.draw import sample_rows
from trustworthy.datasets.entry import Content, Entry, LocalSource, Request
from trustworthy.datasets.pictures import Part, decode, join
from trustworthy.datasets.reading import reading

Row = dict[str, str]
Split = Callable[[Row], bool]
CAMELYON: dict[str, Split] = {
    "train": lambda row: row["center"] not in ("1", "2") and row["split"] == "0",
    "test": lambda row: row["center"] == "2",
    "val": lambda row: row["center"] == "1",
    "id_val": lambda row: row["center"] not in ("1", "2") and row["split"] == "1",
}
RXRX1: dict[str, Split] = {
    "train": lambda row: row["dataset"] == "train" and row["site"] == "1",
    "test": lambda row: row["dataset"] == "test",
    "val": lambda row: row["dataset"] == "val",
    "id_test": lambda row: row["dataset"] == "train" and row["site"] == "2",
}


def camelyon17(path: Path, request: Request) -> Content:
    """Patches of lymph nodes, tumour or not; training hospitals 0, 3 and 4, the test hospital is 2."""

    def picture(row: Row) -> Path:
        slide = f"patient_{row['patient']}_node_{row['node']}"
        return path / "patches" / slide / f"patch_{slide}_x_{row['x_coord']}_y_{row['y_coord']}.png"

    return _read(path, request, CAMELYON, picture, "tumor")


def rxrx1(path: Path, request: Request) -> Content:
    """Cells under one of 1,139 genetic perturbations, 3 channels; the splits are whole experiments."""

    def picture(row: Row) -> Path:
        return path / "images" / row["experiment"] / f"Plate{row['plate']}" / f"{row['well']}_s{row['site']}.png"

    return _read(path, request, RXRX1, picture, "sirna_id")


def _read(
    path: Path, request: Request, splits: dict[str, Split], picture: Callable[[Row], Path], target: str
) -> Content:
    with reading(path / "metadata.csv", "download the set again."):
        rows = list(csv.DictReader((path / "metadata.csv").read_text().splitlines()))
        parts = [[row for row in rows if splits[name](row)] for name in ("train", request.variant)]
        labels = [np.array([int(row[target]) for row in part], dtype=np.int64) for part in parts]
    if not all(parts):
        raise DataError(f"{path / 'metadata.csv'} has no rows for one of the splits; download the set again.")

    def chosen(part: list[Row], y: np.ndarray) -> Part:
        kept = sample_rows(y, request.limit)
        return decode([picture(part[row]) for row in kept], request), y[kept]

    return join(chosen(parts[0], labels[0]), chosen(parts[1], labels[1]))


ENTRIES = (
    Entry(
        name="camelyon17",
        summary="455,954 colour 96x96 patches of lymph nodes from five hospitals, tumour or not",
        class_names=("normal", "tumour"),
        variants=tuple(CAMELYON)[1:],
        local=LocalSource(files=("camelyon17_v1.0",), read=camelyon17),
        how="download camelyon17_v1.0 with the WILDS package and put the folder there; load it with a limit",
    ),
    Entry(
        name="rxrx1",
        summary="125,510 colour 256x256 images of cells under 1,139 perturbations",
        variants=tuple(RXRX1)[1:],
        local=LocalSource(files=("rxrx1_v1.0",), read=rxrx1),
        how="download rxrx1_v1.0 with the WILDS package and put the folder there; load it with a limit",
    ),
)
