"""Data sets from arrays: pairs (x, y) in memory, pairs of .npy files, and .npz files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.datasets import labels
from trustworthy.datasets.assembly import assembled
from trustworthy.datasets.columns import listed
from trustworthy.datasets.dataset import Dataset, Task
from trustworthy.datasets.reading import DAMAGE


@dataclass(frozen=True)
class Arrays:
    """Examples (n, *shape) and their labels; refused where x holds no numbers, or they are not equally many."""

    x: Any
    y: Any
    name: str = "arrays"
    source: str = ""
    labels: ClassVar = "y"

    def __post_init__(self) -> None:
        check_numbers(self.x)
        check_lengths(self.x, self.y)


def from_arrays(parts: Sequence[Arrays], known: labels.Labels, chosen: np.ndarray) -> Dataset:
    """The `chosen` rows of the first part, and all of the second, the training rows, where there is one."""
    test, *train = parts
    for part in train:
        if part.x.shape[1:] != test.x.shape[1:]:
            raise InvalidInput(f"train must have rows of shape {test.x.shape[1:]}, got {part.x.shape[1:]}.")
    x = [converted(test.x[chosen]), *(converted(part.x[:]) for part in train)]
    return assembled(name=test.name, source=test.source, notes=[], known=known, chosen=chosen, x=x)


def check_lengths(x: Sized, y: Sized) -> None:
    """Refuse rows without a label, and labels without a row."""
    if len(x) != len(y):
        raise InvalidInput(
            f"x and y must have as many rows, got {len(x):,} and {len(y):,}; give one label for each row."
        )


def check_numbers(x: Any) -> None:
    """Refuse what is no dense array of numbers with at least one row."""
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "fiub":
        kind = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        remedy = "use x.toarray()" if hasattr(x, "toarray") else "write words and categories as numbers"
        raise InvalidInput(f"x must be a dense array of numbers, images or a table, got {kind}; {remedy}.")
    if x.size == 0:
        raise InvalidInput(f"x must hold at least one example, got shape {x.shape}.")


def converted(x: np.ndarray) -> np.ndarray:
    """Tables as float64, others in float32, or in half precision as they are, which says what rounding did."""
    if x.ndim == 2:
        return x.astype(np.float64)
    return x.astype(np.float32) if x.dtype == np.float64 else np.asarray(x)


def load_npy(path: Path) -> np.ndarray:
    """View of the array in a .npy file."""
    with _reading(path, ".npy file of numbers or text"):
        return np.load(path, mmap_mode="r", allow_pickle=False)


@contextmanager
def _reading(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except DAMAGE as error:
        # Of a file that does not begin as its own NumPy says that it may be a pickle, which misleads.
        why = "it does not begin as one" if "contains pickled" in str(error) else error
        raise DataError(f"{path} is not a readable {kind} ({why}); write it again.") from error


def arrays_of(path: Path, *names: str) -> tuple[np.ndarray, ...]:
    """Return the named arrays of the file at `path`."""
    arrays = read_npz(path)
    missing = [name for name in names if name not in arrays]
    if missing:
        raise DataError(f"{path} has no array {listed(missing)}; it has {listed(arrays)}.")
    return tuple(arrays[name] for name in names)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Return every array of the file at `path`; arrays of Python objects are refused."""
    if not path.is_file():
        raise DataError(f"there is no file {path}.")
    # Opened here: given a path, np.load leaves a damaged file open.
    with _reading(path, ".npz file, perhaps truncated"), path.open("rb") as stream:
        loaded = np.load(stream, allow_pickle=False)
        if not isinstance(loaded, np.ndarray):
            return {name: _array(loaded, name, path) for name in loaded.files}
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


def from_file(path: str | os.PathLike[str], *, task: Task | None = "classification") -> Dataset:
    """Read labelled arrays from an .npz file.

    Parameters
    ----------
    path : file with the arrays `x_test` and `y_test` (or `x` and `y`), optionally `x_train` and `y_train`, and
        optionally `class_names` and `feature_names` as arrays of strings. Inputs are finite floating-point numbers
        of shape (n, *shape), images in [0, 1]; a table (n, features) may also hold integers, and NaN where a value is
        missing. Labels are of any type that `read` takes; `class_names` names the classes 0, 1, ..., or holds all
        labels in the order of the classes.
    task : of the labels, as `read` takes it.

    Returns
    -------
    Dataset : without training rows where the file has none. Tables become float64, images float32, or stay float16.

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
        raise DataError(
            f"{file} has no array {listed(missing)}; it has {listed(arrays) or 'none'}. Expected {expected}."
        )
    x_test, x_train = (_inputs(arrays, *pair) for pair in (test, train or test))
    if not train:
        x_train = x_train[:0]
    if x_train.shape[1:] != x_test.shape[1:]:
        raise InvalidInput(
            f"x_train must have examples of shape {x_test.shape[1:]} as {test[0]}, got {x_train.shape[1:]}."
        )
    known = labels.number(*(arrays[pair[1]] for pair in (test, train) if pair), name=test[1], task=task)
    codes, class_names, class_values = _named(known, _names(arrays, "class_names"))
    return Dataset(
        name=file.stem, task=known.task, x_train=x_train, y_train=codes[1] if train else codes[0][:0],
        x_test=x_test, y_test=codes[0], class_names=class_names, class_values=class_values,
        feature_names=_names(arrays, "feature_names"), source=str(file),
    )  # fmt: skip


def _named(known: labels.Labels, names: tuple[str, ...]) -> tuple[list[np.ndarray], tuple[str, ...], tuple[Any, ...]]:
    """Numbers, names and values of the classes, in the order of `names` where they name the labels or hold them."""
    if known.task == "regression":
        return list(known.codes), (), ()
    if names and all(type(value) is int and 0 <= value < len(names) for value in known.values):
        places, values = np.array(known.values), ()
    elif set(known.names) <= set(names):
        places, values = np.array([names.index(name) for name in known.names]), names
    else:
        return list(known.codes), known.names, known.values
    return [places[codes] for codes in known.codes], names, values


def _inputs(arrays: dict[str, np.ndarray], x_name: str, y_name: str) -> np.ndarray:
    x, y = arrays[x_name], arrays[y_name]
    if x.ndim < 2 or 0 in x.shape:
        raise InvalidInput(f"{x_name} must be a non-empty array (n, *shape), got shape {x.shape}.")
    if not y.ndim or len(y) != len(x):
        raise InvalidInput(f"{y_name} must have shape ({len(x)},), one label for each row of {x_name}, got {y.shape}.")
    table = x.ndim == 2
    if x.dtype.kind not in ("fiu" if table else "f"):
        remedy = (
            f"for 8-bit images write {x_name}.astype('float32') / 255" if x.dtype.kind in "iu" else "write real numbers"
        )
        raise InvalidInput(f"{x_name} must hold floating-point numbers, got {x.dtype}; {remedy}.")
    strange = np.isinf(x) if table else ~np.isfinite(x)
    if strange.any():
        row = int(np.argwhere(strange)[0, 0])
        raise InvalidInput(f"{x_name} must be finite, but row {row} holds NaN or infinity; drop or fill such rows.")
    return converted(x)


def _names(arrays: dict[str, np.ndarray], key: str) -> tuple[str, ...]:
    return tuple(map(str, arrays[key])) if key in arrays else ()
