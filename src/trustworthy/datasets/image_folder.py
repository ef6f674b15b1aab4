"""Pictures in folders of classes, or in one folder with a table of file names and labels, as they are on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from trustworthy.core.errors import DataError, InvalidInput, leaving_out
from trustworthy.datasets.assembly import assembled
from trustworthy.datasets.columns import listed, row_numbers
from trustworthy.datasets.dataset import Dataset
from trustworthy.datasets.delimited import DelimitedTable
from trustworthy.datasets.frames import label_of
from trustworthy.datasets.image_files import decoded
from trustworthy.datasets.labels import Labels
from trustworthy.datasets.pictures import SUFFIXES
from trustworthy.datasets.tables import FrameTable, found_column

TABLES = (".csv", ".tsv")


@dataclass(frozen=True)
class Listing:
    """Pictures and their labels, before any is opened.

    files : paths, or what gives pictures of Pillow by their number.
    """

    path: Path
    files: Any
    y: Any
    groups: np.ndarray | None = None
    group: str | None = None
    notes: list[str] = field(default_factory=list)
    labels: ClassVar = "labels"


def from_listings(parts: Sequence[Listing], known: Labels, chosen: np.ndarray, *, size: int | None) -> Dataset:
    """The `chosen` pictures of the first part, and all of the second, the training rows, where there is one."""
    test = parts[0]
    wanted = [chosen, *map(range, map(len, known.codes[1:]))]
    images = [part.files[row] for part, rows in zip(parts, wanted, strict=True) for row in rows]
    x, notes = decoded(images, size)
    return assembled(
        name=test.path.name, source=str(test.path), notes=[*test.notes, *notes], known=known, chosen=chosen,
        x=[x[: len(chosen)], x[len(chosen) :]][: len(parts)],
        groups=None if test.groups is None else test.groups[chosen], group=test.group,
    )  # fmt: skip


def listing(path: Path, *, label: str | None = None, group: str | None = None, drop: Collection[str] = ()) -> Listing:
    """List the pictures of a folder.

    With exactly one CSV or TSV file at its top, one of whose columns holds names of pictures, that file says the
    labels; else each folder at the top is a class. Hidden files are passed over; all other files are counted.
    """
    visible = [file.relative_to(path) for file in sorted(path.rglob("*")) if file.is_file()]
    visible = [file for file in visible if not any(part.startswith(".") for part in file.parts)]
    found = {file.as_posix(): path / file for file in visible if file.suffix.lower() in SUFFIXES}
    if not found:
        raise DataError(
            f"{path} holds no pictures ({', '.join(sorted(SUFFIXES))}); it holds {_kinds(visible)}. Expected is a "
            "folder of pictures for each class; a table is named by its file."
        )
    tables = [path / file for file in visible if len(file.parts) == 1 and file.suffix.lower() in TABLES]
    named = _names(tables[0], drop) if len(tables) == 1 else None
    listed_ = _from_classes(path, found) if named is None else _from_names(path, found, *named, label, group)
    others = [file for file in visible if file.as_posix() not in found and (named is None or path / file != tables[0])]
    if others:
        listed_.notes.append(f"Other files were ignored: {_kinds(others)}.")
    if named is None and (label is not None or group is not None):
        raise InvalidInput(
            f"label and group name columns of a table, but {path} is a folder of classes; leave them out."
        )
    return listed_


def _from_classes(path: Path, found: dict[str, Path]) -> Listing:
    inside = {name: file for name, file in found.items() if "/" in name}
    tops = {name.split("/")[0] for name in inside}
    if not inside:
        raise DataError(
            f"{path} holds pictures but no folders of classes; expected {path}/CLASS/NAME.png, or one CSV file beside "
            "them with a column of file names and one of labels."
        )
    if len(tops) == 1 and all(name.count("/") > 1 for name in inside):
        return _from_classes(path / tops.pop(), {name.partition("/")[2]: file for name, file in inside.items()})
    notes = []
    if len(inside) < len(found):
        notes.append(f"{len(found) - len(inside):,} pictures in no folder of a class were ignored.")
    empty = sorted(place.name for place in path.iterdir() if place.is_dir() and place.name[0] != ".")
    empty = [name for name in empty if name not in tops]
    if empty:
        notes.append(f"Folders without pictures were ignored: {listed(empty)}.")
    return Listing(path, list(inside.values()), [name.split("/")[0] for name in inside], notes=notes)


def _names(file: Path, drop: Collection[str]) -> tuple[Any, Any] | None:
    """The table in `file` and its column of names of pictures; None where there is none."""
    table = DelimitedTable(file, drop=drop)
    frame = table.take(np.arange(len(table)))
    names = [name for name, dtype in table.dtypes.items() if dtype == "str" and _are_pictures(frame[name])]
    if len(names) > 1:
        raise InvalidInput(f"{listed(names)} of {file} name pictures; leave all but one out: {leaving_out(names[1:])}.")
    return (
        (FrameTable(frame.drop(columns=names), name=table.name, source=str(file)), frame[names[0]]) if names else None
    )


def _are_pictures(cells: Any) -> bool:
    return bool(cells.dropna().str.lower().str.endswith(tuple(SUFFIXES)).all())


def _from_names(
    path: Path, found: dict[str, Path], table: FrameTable, names: Any, label: str | None, group: str | None
) -> Listing:
    source = f"{table.source}, column {str(names.name)!r},"
    only = next(iter(table.dtypes)) if len(table.dtypes) == 1 and label is None else None
    labelled = only if only is not None else label_of(table, label)
    absent = names[names.isna()]
    if len(absent):
        raise DataError(f"{source} names no file in {row_numbers(absent.index)}, counted from 0; leave these rows out.")
    twice = names[names.duplicated()]
    if len(twice):
        raise DataError(
            f"{source} names {listed(twice.unique(), 5)} twice ({row_numbers(twice.index)}, counted from 0); keep one "
            "row for each file."
        )
    ends: dict[str, list[str]] = {}
    for name in found:
        ends.setdefault(name.rpartition("/")[2], []).append(name)
    keys = [str(name).replace("\\", "/").removeprefix("./") for name in names]
    keys = [key if key in found or len(ends.get(key, ())) != 1 else ends[key][0] for key in keys]
    lost = [key for key in keys if key not in found]
    if lost:
        raise DataError(
            f"{source} names {len(lost):,} files that are not in {path}: {listed(lost, 5)}; copy them there, with the "
            "folders that their names begin with, or remove their rows."
        )
    left = len(found) - len(keys)
    notes = [*table.notes, *[f"{left:,} pictures that {table.name} does not name were ignored."] * (left > 0)]
    groups = None if group is None else table.column(found_column("group", group, table.dtypes)).to_numpy()
    return Listing(path, [found[key] for key in keys], table.column(labelled), groups, group, notes)


def _kinds(files: Sequence[Path]) -> str:
    counts = Counter(file.suffix.lower() or "without suffix" for file in files)
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.most_common()) or "nothing"
