"""Data sets from arrays: pairs (x, y) in memory, and pairs of .npy files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.datasets import labels
from trustworthy.datasets.assembly import assembled
from trustworthy.datasets.dataset import Dataset, Task
from trustworthy.datasets.draw import stratified_rows


@dataclass(frozen=True)
class Arrays:
    """Examples (n, *shape) and their labels."""

    x: Any
    y: Any
    name: str = "arrays"
    source: str = ""


def from_arrays(test: Arrays, train: Arrays | None, *, rows: int, seed: int, task: Task | None) -> Dataset:
    """Draw `rows` rows of `test` (0: all) in the proportions of the classes, and take all of `train`."""
    parts = [test] if train is None else [test, train]
    for part in parts:  # what is wrong with x is said before what is wrong with labels
        check_numbers(part.x)
        if len(part.x) != len(part.y):
            raise InvalidInput(
                f"x and y must have as many rows, got {len(part.x):,} and {len(part.y):,}; give one label for each row."
            )
    known = labels.number(*(part.y for part in parts), task=task)
    for part in parts:
        if part.x.shape[1:] != test.x.shape[1:]:
            raise InvalidInput(f"train must have rows of shape {test.x.shape[1:]}, got {part.x.shape[1:]}.")
    chosen = stratified_rows(known.codes[0], rows, seed)
    x = [converted(test.x[chosen]), *(converted(part.x[:]) for part in parts[1:])]
    return assembled(name=test.name, source=test.source, notes=[], known=known, chosen=chosen, x=x)


def check_numbers(x: Any) -> None:
    """Refuse what is no dense array of numbers with at least one row."""
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "fiub":
        kind = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        remedy = "use x.toarray()" if hasattr(x, "toarray") else "write words and categories as numbers"
        raise InvalidInput(f"x must be a dense array of numbers, images or a table, got {kind}; {remedy}.")
    if x.size == 0:
        raise InvalidInput(f"x must hold at least one example, got shape {x.shape}.")


def load_npy(path: Path) -> np.ndarray:
    """View of the array in a .npy file."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"{path} is not a readable .npy file of numbers or text ({why(error)}); write it again."
        ) from error


def why(error: Exception) -> str:
    """What NumPy says of a file; of one that does not begin as its own that it may be a pickle, which misleads."""
    return "it does not begin as one" if "contains pickled" in str(error) else str(error)


def converted(x: np.ndarray) -> np.ndarray:
    """Tables as float64, others in float32, or in half precision as they are, which says what rounding did."""
    if x.ndim == 2:
        return x.astype(np.float64)
    return x.astype(np.float32) if x.dtype == np.float64 else np.asarray(x)
