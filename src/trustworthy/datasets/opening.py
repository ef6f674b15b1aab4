"""Telling apart what users have their examples in, and opening it; few rows are read before it is known which."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from trustworthy.core.errors import DataUnavailable, InvalidInput
from trustworthy.core.extras import required
from trustworthy.datasets import hugging_face, labels, loading
from trustworthy.datasets.arrays import Arrays, from_file, load_npy
from trustworthy.datasets.catalog import CATALOG
from trustworthy.datasets.columns import listed
from trustworthy.datasets.dataset import Dataset, Task
from trustworthy.datasets.delimited import DelimitedTable
from trustworthy.datasets.frames import Part
from trustworthy.datasets.image_folder import Listing, listing
from trustworthy.datasets.tables import ArrowTable, FrameTable

DELIMITED = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
ARROW = {".parquet": "parquet", ".feather": "feather"}
KINDS = f"{', '.join((*DELIMITED, *ARROW, '.npz'))}, a pair x.npy,y.npy or a folder"
Opened: TypeAlias = Part | Listing | Arrays | Dataset


def opened(source: Any, *, label: str | None, drop: Collection[str], group: str | None, task: Task | None) -> Opened:
    """Open what `read` takes as `source`."""
    if isinstance(source, Dataset):
        return source
    if isinstance(source, str | Path):
        ends = str(source).split(",")
        if len(ends) == 2 and all(end.endswith(".npy") for end in ends):
            return _of_files(*ends)
        return _of_path(source, label, drop, group, task)
    if isinstance(source, tuple | list) and len(source) == 2:
        if all(isinstance(part, str | Path) for part in source):
            return _of_files(*source)
        return _of_pair(*source, label=label, drop=drop)
    if hasattr(source, "column_names") and (hasattr(source, "features") or hasattr(source, "items")):
        return _of_hugging_face(source, Path("data set"), "", label, drop, group)
    frame = labels.plain(source)
    if hasattr(frame, "columns") and hasattr(frame, "iloc"):
        return Part.of(FrameTable(frame, drop=drop), label)
    raise InvalidInput(
        "data must be the name of a data set, a file or folder, a frame, a Hugging Face data set, a Dataset or a pair "
        f"(x, y), got {type(source).__name__}."
    )


def _of_path(
    source: str | Path, label: str | None, drop: Collection[str], group: str | None, task: Task | None
) -> Opened:
    if isinstance(source, str) and source.split("/")[0] in CATALOG:
        found = loading.load(source)
        return found if found.x_test.dtype != object or not found.class_names else _of_texts(found, label, drop)
    path = Path(source).expanduser()
    if path.is_dir():
        return _of_folder(path, label, drop, group)
    if not path.is_file():
        raise _absent(path)
    ending = _ending(path)
    if ending in DELIMITED:
        return Part.of(DelimitedTable(path, drop=drop), label)
    if ending in ARROW:
        return Part.of(ArrowTable(path, ARROW[ending], drop=drop), label)
    if ending == ".npz":
        return from_file(path, task=task)
    if ending == ".npy":
        raise InvalidInput(f"{path} is one array; name a pair, of examples and labels: {path},y.npy")
    raise InvalidInput(
        f"{path} is of a kind that is not read; expected {KINDS}. Save a table as .csv, or read it in Python and pass "
        "the frame; unpack an archive."
    )


def _of_texts(found: Dataset, label: str | None, drop: Collection[str]) -> Part:
    """The test rows of a set of texts as the table that a file of them would be: columns text (text 1, ...), label."""
    pandas = required("pandas", f"reading {found.name}")
    (width,) = found.shape
    names = ["text"] if width == 1 else [f"text {column}" for column in range(1, width + 1)]
    frame = pandas.DataFrame(found.x_test, columns=names).assign(label=np.array(found.class_names)[found.y_test])
    table = FrameTable(frame, name=found.name, source=found.source, drop=drop)
    table.notes.append(found.provenance)
    return Part.of(table, label)


def _of_folder(path: Path, label: str | None, drop: Collection[str], group: str | None) -> Opened:
    if hugging_face.is_saved(path):
        return _of_hugging_face(hugging_face.from_disk(path), path, str(path), label, drop, group)
    test = next((path / name for name in hugging_face.TEST if (path / name).is_dir()), None)
    if test is None or not (path / "train").is_dir():
        return listing(path, label=label, group=group, drop=drop)
    found = listing(test, label=label, group=group, drop=drop)
    found.notes.append(f"The pictures of {test} were read; those of {path / 'train'} are read with --train.")
    return found


def _of_hugging_face(
    data: Any, path: Path, source: str, label: str | None, drop: Collection[str], group: str | None
) -> Part | Listing:
    notes: list[str] = []
    chosen = hugging_face.split(data, notes)
    found = hugging_face.images(chosen, path, label=label, group=group, drop=drop)
    if found is None:
        table = hugging_face.HuggingFaceTable(chosen, name=path.name, source=source, drop=drop)
        table.notes.extend(notes)
        return Part.of(table, label)
    found.notes.extend(notes)
    return found


def _of_files(x: str | Path, y: str | Path) -> Arrays:
    paths = [Path(file).expanduser() for file in (x, y)]
    for path in paths:
        if not path.is_file():
            raise _absent(path)
    return Arrays(load_npy(paths[0]), load_npy(paths[1]), name=paths[0].stem, source=str(paths[0]))


def _of_pair(x: Any, y: Any, *, label: str | None, drop: Collection[str]) -> Part | Arrays:
    if label is not None:
        raise InvalidInput(
            f"label names a column, but the labels were given beside x, got label={label!r}; leave it out."
        )
    x, y = labels.plain(x), labels.plain(y)
    if not hasattr(x, "iloc") and not hasattr(x, "shape"):
        x = np.asarray(x)
    if getattr(x, "ndim", 0) == 2 and not hasattr(x, "iloc") and x.dtype.kind in "OUS":
        x = required("pandas").DataFrame(x)
    if not hasattr(x, "iloc"):
        return Arrays(x, y)
    if hasattr(y, "iloc") and not x.index.equals(y.index) and x.index.sort_values().equals(y.index.sort_values()):
        raise InvalidInput("x and y have the same index in another order; pass (x, y.loc[x.index]).")
    return Part(FrameTable(x, drop=drop), y)


def _ending(path: Path) -> str:
    return "".join(path.suffixes[-2:] if path.suffix.lower() == ".gz" else path.suffixes[-1:]).lower()


def _may_be_read(path: Path) -> bool:
    return path.name[0] != "." and (path.is_dir() or _ending(path) in (*DELIMITED, *ARROW, ".npz", ".npy"))


def _absent(path: Path) -> DataUnavailable:
    beside = [file.name for file in path.parent.iterdir() if _may_be_read(file)] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=3, cutoff=0.5)
    sets = difflib.get_close_matches(str(path), CATALOG, n=1, cutoff=0.6)
    if sets and not difflib.get_close_matches(path.name, near, cutoff=0.8):
        hint = f"did you mean the data set {sets[0]!r}?"
    elif near:
        hint = f"did you mean {' or '.join(repr(str(path.parent / name)) for name in near)}?"
    elif not path.parent.is_dir():
        hint = f"nor is there a folder {path.parent}; give the path of a file that is there."
    else:
        held = f"{listed(sorted(beside))}; name one of these" if beside else "nothing that is read; give another path"
        hint = f"{path.parent.absolute()} holds {held}."
    return DataUnavailable(f"there is no file or folder {path}, and no data set of that name; {hint}")
