"""Putting a data set together from labelled parts, and saying what is in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trustworthy.core.errors import warn
from trustworthy.datasets.columns import Column
from trustworthy.datasets.dataset import Dataset
from trustworthy.datasets.labels import Labels


def assembled(
    *,
    name: str,
    source: str,
    notes: Sequence[str],
    known: Labels,
    chosen: np.ndarray,
    x: Sequence[np.ndarray],
    columns: tuple[Column, ...] = (),
    groups: np.ndarray | None = None,
    group: str | None = None,
) -> Dataset:
    """Data set of the `chosen` test rows and all training rows.

    known : labels of all test rows, and of the training rows where there are some.
    x : the chosen test rows, and the training rows.
    """
    available = len(known.codes[0])
    classifies = known.task == "classification"
    counts = f"{'Rows of each class' if classifies else 'Labels'}: {known.counts()}."
    if classifies and len(np.unique(known.codes[0])) == 1:
        warn(
            f"all {available:,} labels of {source or name} are the same, {known.counts().rpartition(' ')[0]}: what "
            "depends on other classes cannot be measured."
        )
    return Dataset(
        name=name, task=known.task,
        x_test=x[0], y_test=known.codes[0][chosen],
        x_train=x[1] if len(x) > 1 else x[0][:0], y_train=known.codes[1] if len(x) > 1 else known.codes[0][:0],
        class_names=known.names, class_values=known.values, columns=columns, groups=groups, group=group or "",
        rows=chosen if len(chosen) < available else None, available=available,
        source=source, provenance=" ".join([*notes, counts]),
    )  # fmt: skip
