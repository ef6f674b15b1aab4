"""Splits for sets that come without one, and smaller samples of large ones: the same rows with every version.

The draws are `numpy.random.RandomState(0).permutation`, whose stream NumPy has frozen.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.datasets.dataset import Inputs, Targets
from trustworthy.datasets.draw import turns
from trustworthy.datasets.entry import Content

SEED = 0


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
    turn, size = turns(y[rows])
    chosen = np.zeros(len(y), dtype=bool)
    chosen[np.argsort((turn + 0.5) / size, kind="stable")[:count]] = True
    train_rows, test_rows = random.permutation(rows[~chosen]), random.permutation(rows[chosen])
    return Content(x[train_rows], y[train_rows], x[test_rows], y[test_rows], **names)


def first_rows_train(x: Inputs, y: Targets, train: int) -> Content:
    """The first `train` rows for training, the others for testing."""
    return Content(x[:train], y[:train], x[train:], y[train:])


def sample_rows(y: Targets, limit: int | None) -> Int64[np.ndarray, " kept"]:
    """Return at most `limit` row numbers in ascending order, drawn at random, as many of each class as there are."""
    if limit is None or limit >= len(y):
        return np.arange(len(y), dtype=np.int64)
    rows = shuffled(np.arange(len(y), dtype=np.int64))
    turn, _ = turns(y[rows])
    return np.sort(rows[np.argsort(turn, kind="stable")[:limit]])


def shuffled(rows: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Return the row numbers in a random order, seed 0."""
    return rows[np.random.RandomState(SEED).permutation(len(rows))]
