"""Drawing some rows of many, with the classes in proportion or by turns, and splits for sets that come without one."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int, Int64, Num

from trustworthy.core import checks, seeds
from trustworthy.core.errors import InvalidInput
from trustworthy.datasets.dataset import Inputs, Targets
from trustworthy.datasets.entry import Content

SEED = 0
"""Of splits and samples of published sets, by `numpy.random.RandomState`, whose stream NumPy has frozen: they are the
same rows with every version."""


def stratified_rows(y: Num[np.ndarray, " n"], rows: int, seed: int) -> Int[np.ndarray, " kept"]:
    """Row numbers in ascending order, drawn at random with the classes in proportion; all if `rows` is 0.

    In proportion, because what is measured on them (accuracy, calibration, the threshold for a human) is said of the
    data as it is, rare classes and all.
    """
    if rows == 0 or rows >= len(y):
        return np.arange(len(y))
    shuffled = seeds.numpy_generator(seed, "examples").permutation(len(y))
    return np.sort(shuffled[_proportional(y[shuffled])[:rows]])


def seeded_split(x: Inputs, y: Targets, *, test: int | None = None, **names: tuple[str, ...]) -> Content:
    """Split rows at random, shares of classes by Sainte-Lague's rule where `y` holds labels; parts come back shuffled.

    test : number of rows, in [1, len(y) - 1], that become the test set; a quarter of them by default.
    names : `class_names` and `feature_names` of the `Content`.
    """
    if len(y) < 2:
        raise InvalidInput(f"a split needs at least 2 rows, got {len(y)}.")
    count = checks.integer("test", max(1, len(y) // 4) if test is None else test, at_least=1, at_most=len(y) - 1)
    random = np.random.RandomState(SEED)
    rows = random.permutation(len(y))
    chosen = np.zeros(len(y), dtype=bool)
    chosen[_proportional(y[rows])[:count]] = True
    train_rows, test_rows = random.permutation(rows[~chosen]), random.permutation(rows[chosen])
    return Content(x[train_rows], y[train_rows], x[test_rows], y[test_rows], **names)


def first_rows_train(x: Inputs, y: Targets, train: int) -> Content:
    """The first `train` rows for training, the others for testing."""
    return Content(x[:train], y[:train], x[train:], y[train:])


def sample_rows(y: Targets, limit: int | None) -> Int64[np.ndarray, " kept"]:
    """Return at most `limit` row numbers in ascending order, drawn at random, as many of each class as there are."""
    rows = np.arange(len(y), dtype=np.int64)
    if limit is None or limit >= len(y):
        return rows
    rows = shuffled(rows)
    turn, _ = turns(y[rows])
    return np.sort(rows[np.argsort(turn, kind="stable")[:limit]])


def shuffled(rows: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Return the row numbers in a random order, seed 0."""
    return rows[np.random.RandomState(SEED).permutation(len(rows))]


def turns(y: Num[np.ndarray, " n"]) -> tuple[Int64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """For each row: how many rows of its class come before it, and how many there are; one class for a regression."""
    classes = y if np.issubdtype(y.dtype, np.integer) else np.zeros(len(y), dtype=np.int64)
    _, group, size = np.unique(classes, return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    turn = np.empty(len(y), dtype=np.int64)
    turn[order] = np.arange(len(y)) - (size.cumsum() - size)[group[order]]
    return turn, size[group].astype(np.float64)


def _proportional(y: Num[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Row numbers in an order any beginning of which holds the classes in proportion."""
    turn, size = turns(y)
    return np.argsort((turn + 0.5) / size, kind="stable")
