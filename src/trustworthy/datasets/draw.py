"""Drawing some rows of many, with the classes in proportion."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Num

from trustworthy.core import seeds


def stratified_rows(y: Num[np.ndarray, " n"], rows: int, seed: int) -> Int[np.ndarray, " kept"]:
    """Row numbers in ascending order, drawn at random with the classes in proportion; all if `rows` is 0.

    Labels of a regression, which are floating, have no classes.

    In proportion, because what is measured on them (accuracy, calibration, the threshold for a human) is said of the
    data as it is, rare classes and all.
    """
    if rows == 0 or rows >= len(y):
        return np.arange(len(y))
    shuffled = seeds.numpy_generator(seed, "examples").permutation(len(y))
    y = np.zeros(len(y), np.int64) if y.dtype.kind == "f" else y
    turn = np.empty(len(y))
    for label in np.unique(y):
        mine = y[shuffled] == label
        turn[mine] = (np.arange(mine.sum()) + 0.5) / mine.sum()
    return np.sort(shuffled[np.argsort(turn, kind="stable")[:rows]])
