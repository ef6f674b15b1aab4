"""Data sets from arrays: pairs (x, y) in memory, and pairs of .npy files."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.datasets.assembly import assembled
from trustworthy.datasets.dataset import Dataset
from trustworthy.datasets.labels import Labels


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


def from_arrays(parts: Sequence[Arrays], known: Labels, chosen: np.ndarray) -> Dataset:
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
