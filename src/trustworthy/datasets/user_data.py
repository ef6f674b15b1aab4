"""`read`: examples from whatever a user has them in.

`opening` tells what it is; here labels are numbered and rows drawn, of which `frames`, `image_folder` or `arrays` make
a data set.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.datasets import labels
from trustworthy.datasets.arrays import Arrays, from_arrays
from trustworthy.datasets.dataset import Dataset, Task
from trustworthy.datasets.draw import stratified_rows
from trustworthy.datasets.frames import Part, from_tables
from trustworthy.datasets.image_folder import Listing, from_listings
from trustworthy.datasets.opening import Opened, opened
from trustworthy.datasets.tables import found_column


def read(
    source: Any,
    *,
    label: str | None = None,
    drop: Collection[str] = (),
    group: str | None = None,
    rows: int = 0,
    seed: int = 0,
    train: Any = None,
    size: int | None = None,
    task: Task | None = "classification",
) -> Dataset:
    """Read labelled examples.

    Parameters
    ----------
    source : one of
        a name of `trustworthy data list`;
        a file .csv or .tsv (also .gz), .parquet, .feather or .npz, or a pair of .npy files, as a tuple or as
        "x.npy,y.npy";
        a folder with a folder of pictures for each class, with pictures and one CSV file that names them, or that
        `save_to_disk` of Hugging Face's `datasets` wrote;
        a pandas or Polars frame, an Arrow table or a Hugging Face data set;
        a pair (x, y) of arrays, lists, tensors, frames and columns.
    label : column of the labels; None where only one column can be it: the only one named label, labels, target, class
        or y, or else the only one that is not of numbers. `provenance` says what was chosen.
    drop : columns to leave out.
    group : column that says which rows belong together; it stays among the columns.
    rows : how many rows to draw at random, the classes in proportion; 0 for all. Of a file only these rows are held in
        memory, and of all rows the labels.
    seed : of the draw, which is that of an audit.
    train : training rows, as `source`; all of them are read.
    size : side in pixels to which pictures are brought; None refuses pictures of different sizes or modes.
    task : "classification" refuses labels with fractions, "regression" takes numbers as they are; None chooses by the
        labels, and numbers with fractions are those of a regression.

    Returns
    -------
    Dataset : labels are the numbers of `class_names`, which training and test rows share. Tables are float64 with NaN
        for missing values and `columns` that decode them, pictures float32 in [0, 1], or float16 as given.

    Raises
    ------
    InvalidInput, DataError : the message says what was found, and what to do.
    """
    checks.integer("rows", rows, at_least=0)
    checks.integer("seed", seed, at_least=0)
    dropped = {drop} if isinstance(drop, str) else set(map(str, drop))
    for name, column in (("label", label), ("group", group)):
        if column in dropped:
            raise InvalidInput(f"drop leaves out the column {column!r}, which {name} names; leave it out of drop.")
    test = opened(source, label=label, drop=dropped, group=group, task=task)
    if isinstance(test, Dataset):
        given = {"label": label, "drop": drop, "group": group, "train": train, "size": size}
        needless = [name for name, value in given.items() if value]
        if needless:
            raise InvalidInput(f"{test.name} is read as it is, so {' and '.join(needless)} must be left out.")
        if task == "regression" and test.task != task:
            raise InvalidInput(f"{test.name} has classes, which are no regression; leave --regression (task=) out.")
        return _drawn(test, rows, seed)
    parts: list[Any] = [test]  # Any: all of one kind, which `_check` makes sure of
    if train is not None:
        parts.append(opened(train, label=_label(test, label), drop=dropped, group=None, task=task))
    _check(parts, dropped, group, size)
    known = labels.number(*(part.y for part in parts), name=test.labels, task=task)
    chosen = stratified_rows(known.codes[0], rows, seed)
    if isinstance(test, Part):
        return from_tables(parts, known, chosen, group=group)
    if isinstance(test, Listing):
        return from_listings(parts, known, chosen, size=size)
    return from_arrays(parts, known, chosen)


def _check(parts: list[Any], drop: set[str], group: str | None, size: int | None) -> None:
    test = parts[0]
    if type(parts[-1]) is not type(test):
        raise InvalidInput(
            "train must be of the same kind as the test rows: both tables, both pictures or both arrays."
        )
    if size is not None and not isinstance(test, Listing):
        raise InvalidInput("size is the side of pictures, which these data do not hold; leave it out.")
    if group is not None and isinstance(test, Arrays):
        raise InvalidInput(f"group names a column, which arrays do not have, got {group!r}; pass a frame.")
    if drop and isinstance(test, Arrays):
        raise InvalidInput(f"drop names columns, which arrays do not have, got {sorted(drop)}; leave it out.")
    if not isinstance(test, Listing):
        tables = [part.table for part in parts if isinstance(part, Part)]
        for name in sorted(drop):
            found_column("drop", name, [column for table in tables for column in table.names])


def _label(test: Opened, label: str | None) -> str | None:
    """The training rows have the label where the test rows have it."""
    return str(test.label) if isinstance(test, Part) and test.label is not None else label


def _drawn(dataset: Dataset, rows: int, seed: int) -> Dataset:
    if rows == 0 or rows >= len(dataset.y_test):
        return dataset
    chosen = stratified_rows(np.asarray(dataset.y_test), rows, seed)
    return replace(
        dataset, x_test=dataset.x_test[chosen], y_test=dataset.y_test[chosen], rows=chosen,
        available=len(dataset.y_test),
    )  # fmt: skip
