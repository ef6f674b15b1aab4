"""Sets inside the scikit-learn package: always there, no download."""

from __future__ import annotations

from functools import partial

import numpy as np

from trustworthy.datasets.draw import seeded_split
from trustworthy.datasets.entry import Content, Entry, Source

SPLIT = "No published split: a quarter of the rows, stratified by class, seed 0, is the test set."


def read(function: str) -> Content:
    """Read the set of this function of `sklearn.datasets`, its images brought from 0 .. 16 to [0, 1]."""
    from sklearn import datasets

    bunch = getattr(datasets, function)()
    labels, names = bunch["target"].astype(np.int64), tuple(map(str, bunch["target_names"]))
    if "images" in bunch:
        return seeded_split((bunch["images"][:, None] / 16.0).astype(np.float32), labels, class_names=names)
    features = tuple(map(str, bunch["feature_names"]))
    return seeded_split(bunch["data"].astype(np.float64), labels, class_names=names, feature_names=features)


def _entry(name: str, function: str, summary: str) -> Entry:
    origin = f"sklearn.datasets.{function}"
    source = Source(kind="bundled", origin=origin, read=partial(read, function), provenance=SPLIT, canonical=True)
    return Entry(name=name, summary=summary, sources=(source,))


ENTRIES = (
    _entry("digits", "load_digits", "1,797 grey 8x8 images of digits"),
    _entry("breast-cancer", "load_breast_cancer", "569 tumours, 30 measurements, malignant or benign"),
    _entry("wine", "load_wine", "178 wines, 13 measurements, three cultivars"),
)
