"""Arrays of the user in .npz files: `trustworthy audit --data FILE.npz`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.datasets.dataset import Dataset
from trustworthy.datasets.reading import DAMAGE

_NUMBER = "number the classes 0, 1, 2, ... by numpy.unique({}, return_inverse=True)[1]."


def arrays_of(path: Path, *names: str) -> tuple[np.ndarray, ...]:
    """Return the named arrays of the file at `path`."""
    arrays = read_npz(path)
    missing = [name for name in names if name not in arrays]
    if missing:
        raise DataError(f"{path} has no array {_list(missing)}; it has {_list(arrays)}.")
    return tuple(arrays[name] for name in names)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Return every array of the file at `path`; arrays of Python objects are refused."""
    if not path.is_file():
        raise DataError(f"there is no file {path}.")
    try:
        with path.open("rb") as stream:  # opened here: given a path, np.load leaves a damaged file open
            loaded = np.load(stream, allow_pickle=False)
            if not isinstance(loaded, np.ndarray):
                return {name: _array(loaded, name, path) for name in loaded.files}
    except DataError:
        raise
    except DAMAGE as error:
        raise DataError(f"{path} is not a readable .npz file, perhaps truncated ({error}); write it again.") from error
    raise DataError(f"{path} is a single array; save named arrays with np.savez(path, x_test=..., y_test=...).")


def _array(loaded: Any, name: str, path: Path) -> np.ndarray:
    """One array; those of Python objects, which run code when they are read, are refused with what to write."""
    try:
        return loaded[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise DataError(
            f"{name} in {path} is an array of Python objects, which are not read; save it as text by "
            f"numpy.asarray({name}, dtype=str), or numbers by dtype=float."
        ) from error


def numbered(labels: Sequence[np.ndarray], class_names: Sequence[str] = ()) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Labels that are names as numbers, and the names; other labels as they are.

    The numbers are places among `class_names` where those hold every label, else in the sorted order of the names.
    """
    if not any(_are_names(some) for some in labels):
        return list(labels), tuple(class_names)
    texts = [some.astype(str) for some in labels]
    found = np.unique(np.concatenate(texts)).tolist()
    names = tuple(class_names) if set(found) <= set(class_names) else tuple(found)
    place = {name: number for number, name in enumerate(names)}
    return [np.array([place[text] for text in some.tolist()], np.int64) for some in texts], names


def _are_names(labels: np.ndarray) -> bool:
    objects = labels.dtype.kind == "O" and labels.size > 0 and all(isinstance(label, str) for label in labels.flat)
    return labels.ndim == 1 and (labels.dtype.kind in "US" or objects)


def from_file(path: str | os.PathLike[str]) -> Dataset:
    """Read a classification set from an .npz file.

    Parameters
    ----------
    path : file with the arrays `x_test` and `y_test` (or `x` and `y`), optionally `x_train` and `y_train`, and
        optionally `class_names` and `feature_names` as arrays of strings. Inputs are finite floating-point numbers
        of shape (n, *shape), images in [0, 1]; a table (n, features) may also hold integers. Labels are integers
        0 .. classes-1, or names, which are numbered: as in `class_names`, else in sorted order.

    Returns
    -------
    Dataset : without training rows where the file has none. Images become float32, tables float64.

    Raises
    ------
    DataError : the file is missing, truncated or lacks an array.
    InvalidInput : an array breaks its contract; the message names it.
    """
    file = Path(path)
    arrays = read_npz(file)
    test = ("x_test", "y_test") if "x_test" in arrays or "x" not in arrays else ("x", "y")
    train = [name for name in ("x_train", "y_train") if name in arrays]
    missing = [name for name in (*test, *(("x_train", "y_train") if train else ())) if name not in arrays]
    if missing:
        expected = "x_test and y_test (or x and y), and x_train and y_train together or not at all"
        raise DataError(f"{file} has no array {_list(missing)}; it has {_list(arrays) or 'none'}. Expected {expected}.")
    labels = [pair[1] for pair in (test, train) if pair]
    numbers, class_names = numbered([arrays[name] for name in labels], _names(arrays, "class_names"))
    arrays |= dict(zip(labels, numbers, strict=True))
    x_test, y_test = _rows(arrays, *test)
    x_train, y_train = _rows(arrays, *train) if train else (x_test[:0], y_test[:0])
    if x_train.shape[1:] != x_test.shape[1:]:
        raise InvalidInput(
            f"x_train must have examples of shape {x_test.shape[1:]} as {test[0]}, got {x_train.shape[1:]}."
        )
    return Dataset(
        name=file.stem, task="classification", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test,
        class_names=class_names, feature_names=_names(arrays, "feature_names"), source=str(file),
    )  # fmt: skip


def _rows(arrays: dict[str, np.ndarray], x_name: str, y_name: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = arrays[x_name], arrays[y_name]
    if x.ndim < 2 or 0 in x.shape:
        raise InvalidInput(f"{x_name} must be a non-empty array (n, *shape), got shape {x.shape}.")
    if y.ndim != 1 or len(y) != len(x):
        raise InvalidInput(f"{y_name} must have shape ({len(x)},), one label for each row of {x_name}, got {y.shape}.")
    if not np.issubdtype(y.dtype, np.integer):
        raise InvalidInput(f"{y_name} must hold integers, got {y.dtype}; {_NUMBER.format(y_name)}")
    if y.min() < 0:
        raise InvalidInput(f"{y_name} must hold labels from 0, got {y.min()}; {_NUMBER.format(y_name)}")
    table = x.ndim == 2
    if not (np.issubdtype(x.dtype, np.floating) or (table and np.issubdtype(x.dtype, np.integer))):
        raise InvalidInput(
            f"{x_name} must hold floating-point numbers, got {x.dtype}; "
            f"for 8-bit images write {x_name}.astype('float32') / 255."
        )
    if not np.isfinite(x).all():
        row = int(np.argwhere(~np.isfinite(x))[0, 0])
        raise InvalidInput(f"{x_name} must be finite, but row {row} holds NaN or infinity; drop or fill such rows.")
    return x.astype(np.float64 if table else np.float32), y.astype(np.int64)


def _names(arrays: dict[str, np.ndarray], key: str) -> tuple[str, ...]:
    return tuple(map(str, arrays[key])) if key in arrays else ()


def _list(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
