"""The data of the dissertation, prepared as its chapter 3 says."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from reproduce.runner import Setting
from trustworthy import datasets

BYTES = ("mnist", "fashion-mnist")
"""Images that are only divided by 255, which the library has done."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Split:
    """Rows in [0, 1] as (n, features): the training set in its order, the test set shuffled."""

    name: str
    source: str
    x_train: np.ndarray = field(repr=False)
    y_train: np.ndarray = field(repr=False)
    x_test: np.ndarray = field(repr=False)
    y_test: np.ndarray = field(repr=False)


@functools.lru_cache(maxsize=1)
def prepared(name: str, seed: int = 42) -> Split:
    """Load and scale a data set; min-max is fitted on the training rows, so test rows may leave [0, 1] a little."""
    found = datasets.load(name)
    x_train, x_test = (np.asarray(x).reshape(len(x), -1) for x in (found.x_train, found.x_test))
    y_train, y_test = np.asarray(found.y_train), np.asarray(found.y_test)
    if name == "splice":
        (x_train, y_train), (x_test, y_test) = _two_classes(x_train, y_train), _two_classes(x_test, y_test)
    if name not in BYTES:
        low, high = x_train.min(0), x_train.max(0)
        span = np.where(high > low, high - low, 1)
        x_train, x_test = (x_train - low) / span, (x_test - low) / span
    order = np.random.RandomState(seed).permutation(len(x_test))
    return Split(
        name=name,
        source=without_folder(found.source),
        x_train=np.ascontiguousarray(x_train),
        y_train=y_train,
        x_test=np.ascontiguousarray(x_test[order]),
        y_test=y_test[order],
    )


def without_folder(source: str) -> str:
    """Where the data came from, without the folders of this machine: records are for all."""
    kind, told, place = source.partition(": ")
    return f"{kind}: {Path(place).name}" if told and kind == "local" else source


def _two_classes(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Splice as LIBSVM has it: a boundary (EI or IE) or none, without rows that have an ambiguous base (0)."""
    kept = (x > 0).all(1)
    return x[kept], (y[kept] == 2).astype(np.int64)


def rows(split: Split, limit: int | None) -> tuple[np.ndarray, np.ndarray]:
    """First rows of the training set of a scale that takes fewer than all."""
    return split.x_train[:limit], split.y_train[:limit]


def correct(split: Split, predict: Callable[[np.ndarray], np.ndarray], points: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `points` test rows that are classified correctly."""
    found: list[np.ndarray] = []
    for start in range(0, len(split.y_test), 250):
        stop = min(start + 250, len(split.y_test))
        found.append(start + np.flatnonzero(predict(split.x_test[start:stop]) == split.y_test[start:stop]))
        if sum(map(len, found)) >= points:
            break
    index = np.concatenate(found)[:points]
    return split.x_test[index], split.y_test[index]


def in_chunks(
    setting: Setting,
    measure: Callable[[np.ndarray, np.ndarray], np.ndarray],
    x: np.ndarray,
    y: np.ndarray,
    size: int = 50,
) -> np.ndarray:
    """Concatenate `measure` over chunks of rows, telling the share done."""
    parts = []
    for start in range(0, len(x), size):
        parts.append(measure(x[start : start + size], y[start : start + size]))
        setting.tell(min(start + size, len(x)) / len(x))
    return np.concatenate(parts)
