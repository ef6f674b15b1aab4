"""Sets inside the scikit-learn package, always there, and through its client of OpenML."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from trustworthy.core.errors import DataError, DataUnavailable
from trustworthy.datasets import cache
from trustworthy.datasets.draw import first_rows_train, seeded_split
from trustworthy.datasets.entry import Content, Entry, Source

SPLIT = "No published split: a quarter of the rows, stratified by class, seed 0, is the test set."


def fetch(name: str, version: int | str, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets as OpenML has them, after checking the shape (rows, features) of the inputs."""
    from sklearn.datasets import fetch_openml

    try:
        x, y = fetch_openml(
            name, version=version, return_X_y=True, as_frame=False, data_home=str(cache.directory() / "openml")
        )
    except (OSError, ValueError, ImportError) as error:
        raise DataUnavailable(f"fetch_openml({name!r}) failed: {error}") from error
    if x.shape != shape:
        raise DataError(f"OpenML's {name!r} has shape {x.shape}, expected {shape}.")
    return np.asarray(x), np.asarray(y)


def openml(
    name: str,
    shape: tuple[int, int],
    classes: tuple[str, ...],
    train: int,
    *,
    convert: Callable[[np.ndarray], np.ndarray] = np.asarray,
    version: int = 1,
    **known: Any,
) -> Source:
    """The source that reads OpenML's `name`, whose first `train` rows are the training set.

    convert : makes the rows of OpenML those of the set.
    known : fields of the `Source` that say what is known of the rows.
    """

    def read() -> Content:
        x, y = fetch(name, version, shape)
        return first_rows_train(convert(x.astype(np.float64, copy=False)), labels(y, classes), train)

    known = known or {"provenance": f"The first {train:,} rows of OpenML's copy; its row order is not verified."}
    return Source(kind="openml", origin=name, read=read, **known)


def labels(y: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Turn names of classes into numbers 0 .. classes-1, in the order of `names`."""
    number = {name: index for index, name in enumerate(names)}
    try:
        return np.array([number[str(value).strip()] for value in y], dtype=np.int64)
    except KeyError as error:
        raise DataError(f"unexpected class {error.args[0]!r}; expected one of {', '.join(names)}.") from error


def bundled(function: str) -> Content:
    """Read the set of this function of `sklearn.datasets`, its images brought from 0 .. 16 to [0, 1]."""
    from sklearn import datasets

    bunch = getattr(datasets, function)()
    labels, names = bunch["target"].astype(np.int64), tuple(map(str, bunch["target_names"]))
    if "images" in bunch:
        return seeded_split((bunch["images"][:, None] / 16.0).astype(np.float32), labels, class_names=names)
    features = tuple(map(str, bunch["feature_names"]))
    return seeded_split(bunch["data"].astype(np.float64), labels, class_names=names, feature_names=features)


def _entry(name: str, function: str, summary: str) -> Entry:
    origin = f"sklearn.datasets.{function}"
    source = Source(kind="bundled", origin=origin, read=partial(bundled, function), provenance=SPLIT, canonical=True)
    return Entry(name=name, summary=summary, sources=(source,))


ENTRIES = (
    _entry("digits", "load_digits", "1,797 grey 8x8 images of digits"),
    _entry("breast-cancer", "load_breast_cancer", "569 tumours, 30 measurements, malignant or benign"),
    _entry("wine", "load_wine", "178 wines, 13 measurements, three cultivars"),
)
