"""Drawing some rows of many, with the classes in proportion or by turns."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int, Int64, Num

from trustworthy.core import seeds


def stratified_rows(y: Num[np.ndarray, " n"], rows: int, seed: int) -> Int[np.ndarray, " kept"]:
    """Row numbers in ascending order, drawn at random with the classes in proportion; all if `rows` is 0.

    In proportion, because what is measured on them (accuracy, calibration, the threshold for a human) is said of the
    data as it is, rare classes and all.
    """
    if rows == 0 or rows >= len(y):
        return np.arange(len(y))
    shuffled = seeds.numpy_generator(seed, "examples").permutation(len(y))
    turn, size = turns(y[shuffled])
    return np.sort(shuffled[np.argsort((turn + 0.5) / size, kind="stable")[:rows]])


def turns(y: Num[np.ndarray, " n"]) -> tuple[Int64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """For each row: how many rows of its class come before it, and how many there are; one class for a regression."""
    classes = y if np.issubdtype(y.dtype, np.integer) else np.zeros(len(y), dtype=np.int64)
    _, group, size = np.unique(classes, return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    turn = np.empty(len(y), dtype=np.int64)
    turn[order] = np.arange(len(y)) - (size.cumsum() - size)[group[order]]
    return turn, size[group].astype(np.float64)
