"""From tables to data sets: which column is the label, and what the other columns are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trustworthy.core.errors import InvalidInput, leaving_out
from trustworthy.core.extras import required
from trustworthy.datasets.arrays import check_lengths
from trustworthy.datasets.assembly import assembled
from trustworthy.datasets.columns import Frame, columns_of, encode, listed
from trustworthy.datasets.dataset import Dataset
from trustworthy.datasets.labels import Labels
from trustworthy.datasets.tables import Table, found_column

LABELS = ("label", "labels", "target", "class", "y")


def label_of(table: Table, given: str | None) -> Any:
    """Name of the column of labels.

    Where it is not given, it is the only column named label, labels, target, class or y (in any case), or else the
    only column that is not of numbers; a guess is told in the notes of the table.
    """
    types = required("pandas").api.types

    if given is not None:
        return found_column("label", given, table.dtypes)
    named = [name for name in table.dtypes if str(name).lower() in LABELS]
    words = [
        name for name, dtype in table.dtypes.items() if not types.is_numeric_dtype(dtype) or types.is_bool_dtype(dtype)
    ]
    candidates, rule = (named, "named like one") if named else (words, "not of numbers")
    if len(candidates) == 1:
        chosen = candidates[0]
        table.notes.append(
            f"The labels are the column {str(chosen)!r}, the only one {rule}; --label COLUMN names another."
        )
        return chosen
    found = f"{listed(candidates)} are {rule}" if candidates else f"none is named {', '.join(LABELS)} or is of words"
    raise InvalidInput(
        f"which column of {table.source or table.name} holds the labels? {found[0].upper() + found[1:]}. "
        f"Name it with --label COLUMN (label= in Python). Columns: {listed(table.dtypes)}."
    )


@dataclass(frozen=True)
class Part:
    """Rows of a table and their labels, which are the column `label` or were given beside the table."""

    table: Table
    y: Any
    label: Any = None

    @classmethod
    def of(cls, table: Table, label: str | None) -> Part:
        """Take the labels from a column, which is guessed where it is not named."""
        chosen = label_of(table, label)
        return cls(table, table.column(chosen), chosen)

    @property
    def labels(self) -> str:
        """What they are called in messages."""
        return "y" if self.label is None else f"column {self.label!r}"

    def take(self, rows: np.ndarray) -> Frame:
        """Columns other than the label."""
        return self.table.take(rows).drop(columns=[] if self.label is None else [self.label])


def from_tables(parts: Sequence[Part], known: Labels, chosen: np.ndarray, *, group: str | None) -> Dataset:
    """The `chosen` rows of the first part, and all of the second, the training rows, where there is one.

    group : name of a column; its values become the `groups` of the data set, and it stays a column.
    """
    pd = required("pandas")

    test, *train = parts
    for part, codes in zip(parts, known.codes, strict=True):
        check_lengths(part.table, codes)
    frames = [test.take(chosen), *(part.take(np.arange(len(part.table))) for part in train)]
    groups = None if group is None else frames[0][_group(test, group, frames[0].columns)].to_numpy()
    if group is not None and any(group not in map(str, frame.columns) for frame in frames[1:]):
        frames[0] = frames[0].drop(columns=found_column("group", group, frames[0].columns))  # no input of a model
    _same_columns(*frames)
    if not len(frames[0].columns):
        raise InvalidInput(
            f"{test.table.source or test.table.name} has no column beside the label to predict it from; give the "
            "columns that the model takes."
        )
    found = columns_of(pd.concat([frame[list(frames[0].columns)] for frame in frames]))
    return assembled(
        name=test.table.name, source=test.table.source, notes=test.table.notes, known=known, chosen=chosen,
        x=[encode(frame, found) for frame in frames], columns=found, groups=groups, group=group,
    )  # fmt: skip


def _group(test: Part, group: str, columns: Any) -> Any:
    if test.label is not None and group == str(test.label):
        raise InvalidInput(
            f"group must be another column than the label {group!r}; leave it out, accuracy is shown by class anyway."
        )
    return found_column("group", group, columns)


def _same_columns(test: Frame, *train: Frame) -> None:
    for frame in train:
        lacking = [name for name in test.columns if name not in frame.columns]
        beyond = [name for name in frame.columns if name not in test.columns]
        if lacking or beyond:
            found = [f"lacks {listed(lacking)}"] * bool(lacking) + [f"has also {listed(beyond)}"] * bool(beyond)
            raise InvalidInput(
                f"train must have the columns of the test rows, but {' and '.join(found)}; leave them out: "
                f"{leaving_out((*lacking, *beyond))}."
            )
