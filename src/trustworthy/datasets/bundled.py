"""Sets inside the scikit-learn package: always there, no download."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from trustworthy.datasets.entry import Content, Entry, Source
from trustworthy.datasets.split import seeded_split

SPLIT = "No published split: a quarter of the rows, stratified by class, seed 0, is the test set."


def digits() -> Content:
    """8x8 grey digits, 0 .. 16 brought to [0, 1]."""
    from sklearn.datasets import load_digits

    images, labels = map(np.asarray, load_digits(return_X_y=True))
    return seeded_split((images.reshape(-1, 1, 8, 8) / 16.0).astype(np.float32), labels.astype(np.int64))


def breast_cancer() -> Content:
    """Wisconsin diagnostic measurements of cell nuclei."""
    from sklearn.datasets import load_breast_cancer

    return _table(load_breast_cancer())


def wine() -> Content:
    """Chemical analyses of wines of three cultivars."""
    from sklearn.datasets import load_wine

    return _table(load_wine())


def _table(bunch: Any) -> Content:
    return seeded_split(
        bunch["data"].astype(np.float64),
        bunch["target"].astype(np.int64),
        class_names=tuple(map(str, bunch["target_names"])),
        feature_names=tuple(map(str, bunch["feature_names"])),
    )


def _source(function: str, read: Callable[[], Content]) -> Source:
    origin = f"sklearn.datasets.{function}"
    return Source(kind="bundled", origin=origin, read=read, provenance=SPLIT, canonical=True)


ENTRIES = (
    Entry(
        name="digits",
        summary="1,797 grey 8x8 images of digits",
        sources=(_source("load_digits", digits),),
        class_names=tuple("0123456789"),
    ),
    Entry(
        name="breast-cancer",
        summary="569 tumours, 30 measurements, malignant or benign",
        sources=(_source("load_breast_cancer", breast_cancer),),
    ),
    Entry(
        name="wine",
        summary="178 wines, 13 measurements, three cultivars",
        sources=(_source("load_wine", wine),),
    ),
)
