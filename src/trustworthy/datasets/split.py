"""Splits for sets that come without one, and smaller samples of large ones; always the same rows for the same set."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from trustworthy.datasets.dataset import Inputs, Targets
from trustworthy.datasets.entry import Content

SEED = 0


def seeded_split(
    x: Inputs, y: Targets, *, test: float | int = 0.25, class_names: tuple[str, ...] = (), feature_names: tuple[str, ...] = ()
) -> Content:
    """Split rows at random with seed 0, stratified by class where `y` holds labels.

    test : share of the rows, in (0, 1), or number of rows that become the test set.
    """
    from sklearn.model_selection import train_test_split

    stratify = y if np.issubdtype(y.dtype, np.integer) else None
    train_rows, test_rows = train_test_split(np.arange(len(y)), test_size=test, random_state=SEED, stratify=stratify)
    return Content(
        x_train=x[train_rows], y_train=y[train_rows], x_test=x[test_rows], y_test=y[test_rows],
        class_names=class_names, feature_names=feature_names,
    )  # fmt: skip


def sample_rows(y: Targets, limit: int | None) -> Int64[np.ndarray, " kept"]:
    """Return at most `limit` row numbers in ascending order, drawn with seed 0, as evenly over the classes as they allow."""
    if limit is None or limit >= len(y):
        return np.arange(len(y), dtype=np.int64)
    shuffled = np.random.RandomState(SEED).permutation(len(y))
    if not np.issubdtype(y.dtype, np.integer):
        return np.sort(shuffled[:limit]).astype(np.int64)
    labels = y[shuffled]
    order = np.argsort(labels, kind="stable")
    first = np.searchsorted(labels[order], labels[order])
    turn = np.empty(len(y), dtype=np.int64)  # the how-many-th of its class each shuffled row is
    turn[order] = np.arange(len(y)) - first
    return np.sort(shuffled[np.argsort(turn, kind="stable")[:limit]]).astype(np.int64)
