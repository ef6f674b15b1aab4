"""Sets through scikit-learn's OpenML client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from trustworthy.core.errors import DataError, DataUnavailable
from trustworthy.datasets import cache
from trustworthy.datasets.draw import first_rows_train
from trustworthy.datasets.entry import Content, Source


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


def source(
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
