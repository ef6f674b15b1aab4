"""Data sets from arrays: pairs (x, y) in memory, and pairs of .npy files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.datasets import labels
from trustworthy.datasets.assembly import assembled
from trustworthy.datasets.dataset import Dataset
from trustworthy.datasets.draw import stratified_rows


@dataclass(frozen=True)
class Arrays:
    """Examples (n, *shape) and their labels."""

    x: Any
    y: Any
    name: str = "arrays"
    source: str = ""


def from_arrays(test: Arrays, train: Arrays | None, *, rows: int, seed: int) -> Dataset:
    """Draw `rows` rows of `test` (0: all) in the proportions of the classes, and take all of `train`."""
    parts = [test] if train is None else [test, train]
    known = labels.number(*(part.y for part in parts))
    for part, codes in zip(parts, known.codes, strict=True):
        if part.x.shape[0] != len(codes):
            raise InvalidInput(f"x and y must have as many rows, got {part.x.shape[0]:,} and {len(codes):,}.")
        if part.x.shape[1:] != test.x.shape[1:]:
            raise InvalidInput(f"train must have rows of shape {test.x.shape[1:]}, got {part.x.shape[1:]}.")
    chosen = stratified_rows(known.codes[0], rows, seed)
    x = [_converted(test.x[chosen]), *(_converted(part.x[:]) for part in parts[1:])]
    return assembled(name=test.name, source=test.source, notes=[], known=known, chosen=chosen, x=x)


def load_npy(path: Path) -> np.ndarray:
    """View of the array in a .npy file."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} is not a readable .npy file of numbers or text ({error}); write it again.") from error


def _converted(x: Any) -> Any:
    """Tables as float64 and pictures as float32; other arrays as they are."""
    if x.ndim == 2:
        return x.astype(np.float64)
    return x.astype(np.float32) if x.dtype.kind == "f" else np.asarray(x)
