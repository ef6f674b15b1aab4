"""Rows of a data set as a graph learner takes them: numbers in comparable units, labels of two classes or in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from scipy import sparse

from trustworthy.core import checks, seeds
from trustworthy.core.digest import digest
from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.datasets import Dataset, from_file, load
from trustworthy.datasets.npz import read_npz


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


def read(data: str | Path | Dataset) -> Dataset:
    """The data set of a name, or of an .npz file, which is a regression where its labels are floating numbers."""
    if isinstance(data, Dataset):
        return data
    if not isinstance(data, str | Path):
        raise InvalidInput(
            f"data must be the name of a data set, an .npz file or a Dataset, got {type(data).__name__}. Save arrays "
            "with numpy.savez(file, x=features, y=labels)."
        )
    path = Path(data)
    if path.suffix != ".npz":
        return load(str(data))
    arrays = read_npz(path)
    for x, y in (("x_train", "y_train"), ("x_test", "y_test"), ("x", "y")):
        if y in arrays and arrays[y].dtype.kind == "f":
            if x not in arrays:
                raise DataError(f"{path} has labels {y!r} but no array {x!r}; it has {', '.join(map(repr, arrays))}.")
            _check_regression(x, arrays[x], y, arrays[y])
            features, values = arrays[x].astype(np.float64), arrays[y].astype(np.float64)
            return Dataset(
                name=path.stem, task="regression", x_train=features, y_train=values, x_test=features[:0],
                y_test=values[:0], source=str(path),
            )  # fmt: skip
    return from_file(path)


def draw(
    dataset: Dataset, *, classes: Sequence[str | int] | None = None, rows: int | None = None, seed: int = 0
) -> LabelledRows:
    """Draw rows that a learner could be trained on: the training rows of the data set, or its test rows without any.

    classes : names or numbers of two classes; None for the two commonest.
    rows : how many are drawn at random; None for all.

    Tables are brought to mean 0 and standard deviation 1 over the rows drawn, images are pixels in [0, 1], word weights
    stay as they are. Labels of a regression are brought to [0, 1].
    """
    part, x, y = training_part(dataset)
    pair = _pair(dataset, y, classes)
    chosen = np.arange(len(y)) if pair is None else np.flatnonzero(np.isin(y, pair))
    if rows is not None:
        count = checks.integer("rows", rows, at_least=3)
        chosen = np.sort(seeds.numpy_generator(seed, "poisoning", "rows").permutation(chosen)[:count])
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


def _features(x: Any) -> Any:
    if sparse.issparse(x):
        return x.tocsr().astype(np.float64)
    if x.dtype.kind not in "fiu":
        raise InvalidInput(f"data must be images, a table or word weights, got {x.dtype}; a graph needs numbers.")
    flat = x.reshape(len(x), -1).astype(np.float64)
    if not np.isfinite(flat).all():
        raise InvalidInput("data must be finite, but some row holds NaN or infinity; drop or fill such rows.")
    if x.ndim == 2:
        spread = flat.std(axis=0)
        return (flat - flat.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
    if flat.min() < 0.0 or flat.max() > 1.0:
        raise InvalidInput(f"images must lie in [0, 1], got values in [{flat.min():g}, {flat.max():g}]; scale them.")
    return flat


def _check_regression(x_name: str, x: np.ndarray, y_name: str, y: np.ndarray) -> None:
    if x.ndim < 2 or 0 in x.shape or x.dtype.kind not in "fiu":
        raise InvalidInput(f"{x_name} must be numbers of shape (n, *shape), got {x.dtype} of shape {x.shape}.")
    if y.shape != (len(x),):
        raise InvalidInput(f"{y_name} must have shape ({len(x)},), one label for each row of {x_name}, got {y.shape}.")
    for name, array in ((x_name, x), (y_name, y)):
        if not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0, 0])
            raise InvalidInput(f"{name} must be finite, but row {row} holds NaN or infinity; drop or fill such rows.")
