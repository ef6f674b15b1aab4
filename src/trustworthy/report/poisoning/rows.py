"""Rows of a data set as a graph learner takes them: numbers in comparable units, labels of two classes or in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int
from scipy import sparse

from trustworthy.core import checks, seeds
from trustworthy.core.digest import digest
from trustworthy.core.errors import InvalidInput, leaving_out
from trustworthy.datasets import Dataset
from trustworthy.datasets.columns import listed


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledRows:
    """Rows that a graph learner may be told the labels of.

    x : (n, features) float64, dense or CSR.
    y : (n,) 0 and 1 for the two `classes`, or numbers from 0 to 1, which stand for `label_range`.
    numbers : (n,) place of each row in `part` ("training" or "test") of the data set `name`.
    """

    name: str
    part: str
    x: Any
    y: np.ndarray
    numbers: Int[np.ndarray, " n"]
    classes: tuple[str, ...] = ()
    label_range: tuple[float, float] = (0.0, 1.0)

    @property
    def classifies(self) -> bool:
        """Whether the labels are classes."""
        return bool(self.classes)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of features and labels."""
        return digest(self.x, self.y, self.numbers)


def draw(
    dataset: Dataset, *, classes: Sequence[str | int] | None = None, rows: int | None = None, seed: int = 0
) -> LabelledRows:
    """Draw rows that a learner could be trained on: the training rows of the data set, or its test rows without any.

    classes : names or numbers of two classes; None for the two commonest.
    rows : how many are drawn at random; None for all.

    Tables are brought to mean 0 and standard deviation 1 over the rows drawn, images are pixels in [0, 1], word weights
    stay as they are. Columns of words are refused, because a category has no distance. Labels of a regression are
    brought to [0, 1].
    """
    words = [str(column.name) for column in dataset.columns if column.kind == "category"]
    if words:
        raise InvalidInput(
            f"a graph needs numbers, and the columns {listed(words, 10)} hold words or categories; leave them out by "
            f"{leaving_out(words)}, or write each as columns of 0 and 1: pandas.get_dummies(table)."
        )
    part, x, y = training_part(dataset)
    pair = _pair(dataset, y, classes)
    chosen = np.arange(len(y)) if pair is None else np.flatnonzero(np.isin(y, pair))
    if rows is not None:
        count = checks.integer("rows", rows, at_least=3)
        chosen = np.sort(seeds.numpy_generator(seed, "poisoning", "rows").permutation(chosen)[:count])
    _complete(x[chosen], chosen, dataset)
    features, labels = _features(x[chosen]), y[chosen]
    if pair is not None and len(np.unique(labels)) < 2:
        raise InvalidInput(f"rows must be enough for both classes, the {len(labels)} drawn are all of one.")
    given: Any = {"name": dataset.name, "part": part, "x": features, "numbers": chosen}
    if pair is not None:
        classes = (class_name(dataset, pair[0]), class_name(dataset, pair[1]))
        return LabelledRows(**given, y=(labels == pair[1]).astype(np.int64), classes=classes)
    low, high = float(labels.min()), float(labels.max())
    if not low < high:
        raise InvalidInput(f"data must have labels that differ, those of {dataset.name} are all {low:g}.")
    return LabelledRows(**given, y=(labels - low) / (high - low), label_range=(low, high))


def training_part(dataset: Dataset) -> tuple[str, Any, np.ndarray]:
    """Name, features and labels of what a learner is trained on: the test rows where the data have no others."""
    if len(dataset.y_train):
        return "training", dataset.x_train, dataset.y_train
    return "test", dataset.x_test, dataset.y_test


def class_name(dataset: Dataset, label: int) -> str:
    """Name of a class, or its number where there are no names."""
    return dataset.class_names[label] if label < len(dataset.class_names) else str(label)


def _pair(dataset: Dataset, y: np.ndarray, classes: Sequence[str | int] | None) -> tuple[int, int] | None:
    """Numbers of two classes, None for a regression."""
    if dataset.task == "regression":
        if classes is not None:
            raise InvalidInput(f"classes must be left out: {dataset.name} is a regression.")
        return None
    if y.dtype.kind not in "iu" or y.min(initial=0) < 0:
        raise InvalidInput(f"labels must be whole numbers from 0, got {y.dtype} from {y.min(initial=0):g}.")
    present = np.bincount(y)
    if np.count_nonzero(present) < 2:
        raise InvalidInput(f"data must have rows of at least two classes, {dataset.name} has those of one.")
    if classes is None:
        first, second = sorted(np.argsort(-present, kind="stable")[:2].tolist())
        return first, second
    names = {class_name(dataset, label): label for label in np.flatnonzero(present).tolist()}
    numbers = {str(label): label for label in names.values()}
    first, second = (checks.choice("class", str(label), numbers | names) for label in classes)
    if first == second:
        raise InvalidInput(f"classes must be two different ones, got {classes[0]} twice.")
    return first, second


def _complete(x: Any, numbers: Int[np.ndarray, " n"], dataset: Dataset) -> None:
    """Refuse missing values: a distance to them is not defined."""
    if sparse.issparse(x) or x.dtype.kind != "f" or np.isfinite(x).all():
        return
    strange = ~np.isfinite(x.reshape(len(x), -1))
    row = int(numbers[strange.any(1).argmax()])
    columns = [str(column.name) for column, some in zip(dataset.columns, strange.any(0), strict=False) if some]
    where = f" in the columns {listed(columns, 10)}" if columns else ""
    beside = f", or leave such columns out by {leaving_out(columns)}" if columns else ""
    raise InvalidInput(
        f"x must be finite, but {int(strange.any(1).sum()):,} of {len(x):,} rows, row {row} first, hold NaN or infinity"
        f"{where}; leave such rows out or fill them{beside}."
    )


def _features(x: Any) -> Any:
    if sparse.issparse(x):
        return x.tocsr().astype(np.float64)
    if x.dtype.kind not in "fiu":
        raise InvalidInput(f"data must be images, a table or word weights, got {x.dtype}; a graph needs numbers.")
    flat = x.reshape(len(x), -1).astype(np.float64)
    if x.ndim == 2:
        spread = flat.std(axis=0)
        return (flat - flat.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
    if flat.min() < 0.0 or flat.max() > 1.0:
        raise InvalidInput(
            f"images must lie in [0, 1], got values in [{flat.min():g}, {flat.max():g}]; give x / 255 of bytes."
        )
    return flat
