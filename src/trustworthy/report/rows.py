"""The examples of an audit, drawn from a data set, an .npz file or arrays; what cannot be audited is refused."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from trustworthy.core import seeds
from trustworthy.core.digest import digest
from trustworthy.core.errors import InvalidInput, TrustworthyWarning
from trustworthy.report.domain import Domain, images, table

if TYPE_CHECKING:
    from trustworthy.datasets import Dataset


@dataclass(frozen=True, eq=False, kw_only=True)
class Examples:
    """Labelled rows that a model is audited on.

    x : in the units that the model takes; `domain` says what they are.
    y : true classes (n,).
    rows : index of each example in the test set it was drawn from, which had `available` rows.
    """

    name: str
    x: Float[Tensor, "n *shape"]
    y: Int[Tensor, " n"]
    rows: Int[np.ndarray, " n"]
    available: int
    domain: Domain
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    origin: dict[str, Any] = field(default_factory=dict)

    def class_name(self, label: int) -> str:
        """Name of a class, or its number where there are no names."""
        return self.class_names[label] if label < len(self.class_names) else str(label)

    def feature_name(self, column: int) -> str:
        """Name of a column of a table."""
        return self.feature_names[column] if column < len(self.feature_names) else f"feature {column}"

    def described(self) -> dict[str, Any]:
        """What `findings.json` says of the data."""
        n_classes = max(len(self.class_names), int(self.y.max()) + 1)
        return {
            "name": self.name, "rows": len(self.x), "available": self.available, "shape": list(self.x.shape[1:]),
            "classes": [self.class_name(label) for label in range(n_classes)], "units": self.domain.units,
            "fingerprint": self.fingerprint, **self.origin,
        }  # fmt: skip

    @cached_property
    def fingerprint(self) -> str:
        """Hash of inputs and labels."""
        return digest(self.x, self.y, self.domain.center, self.domain.spread)


def read_data(data: Any) -> Dataset:
    """Turn whatever the user named into a data set."""
    from trustworthy import datasets
    from trustworthy.datasets.npz import numbered

    if isinstance(data, datasets.Dataset):
        return data
    if isinstance(data, str | Path):
        is_file = str(data).endswith(".npz")
        return datasets.from_file(data) if is_file else datasets.load(str(data))
    if isinstance(data, tuple | list) and len(data) == 2:
        x, y = (part.detach().cpu().numpy() if isinstance(part, Tensor) else np.asarray(part) for part in data)
        (y,), class_names = numbered([y])
        return datasets.Dataset(
            name="arrays", task="classification", x_train=x[:0], y_train=y[:0], x_test=x, y_test=y,
            class_names=class_names, feature_names=tuple(map(str, getattr(data[0], "columns", ()))),
        )  # fmt: skip
    raise InvalidInput(
        f"data must be the name of a data set, an .npz file, a Dataset or a pair (x, y), got {type(data).__name__}."
    )


def draw_examples(dataset: Dataset, rows: int, seed: int) -> Examples:
    """Check the test rows of `dataset` and draw `rows` of them, in the proportions of the classes; all where
    `rows` is 0.

    Raises
    ------
    InvalidInput : what the rows are is not what an audit can use; the message says what to do.
    """
    if dataset.task != "classification":
        raise InvalidInput(f"data must be a classification set, {dataset.name!r} is a {dataset.task}.")
    x, y = _checked_inputs(dataset.x_test), _checked_labels(dataset.y_test, len(dataset.x_test))
    chosen = stratified_rows(y, rows, seed)
    domain = images(x.shape[1:]) if x.ndim == 4 else _table(dataset.x_train if len(dataset.x_train) else x)
    return Examples(
        name=dataset.name, x=torch.from_numpy(np.ascontiguousarray(x[chosen], np.float32)),
        y=torch.from_numpy(y[chosen]), rows=chosen, available=len(x), domain=domain,
        class_names=tuple(dataset.class_names), feature_names=tuple(dataset.feature_names),
        origin={"source": dataset.source, "provenance": dataset.provenance, "canonical": dataset.canonical},
    )  # fmt: skip


def stratified_rows(y: Int[np.ndarray, " n"], rows: int, seed: int) -> Int[np.ndarray, " kept"]:
    """Row numbers in ascending order, drawn at random with the classes in proportion; all if `rows` is 0.

    In proportion, because what is measured on them (accuracy, calibration, the threshold for a human) is said of the
    data as it is, rare classes and all.
    """
    if rows == 0 or rows >= len(y):
        return np.arange(len(y))
    shuffled = seeds.numpy_generator(seed, "examples").permutation(len(y))
    turn = np.empty(len(y))
    for label in np.unique(y):
        mine = y[shuffled] == label
        turn[mine] = (np.arange(mine.sum()) + 0.5) / mine.sum()
    return np.sort(shuffled[np.argsort(turn, kind="stable")[:rows]])


def _table(reference: Any) -> Domain:
    """Tables whose training rows, or test rows where there are no others, say what a typical change of a feature is."""
    wide = np.asarray(reference, np.float64)
    center, spread = (torch.from_numpy(f(wide, axis=0)).float() for f in (np.mean, np.std))
    spread = torch.where(spread > 0, spread, torch.ones_like(spread))
    # Models are shown float32 rows; where a feature varies by less than float32 resolves, that changes the rows.
    coarse = torch.nonzero(center.abs() > 1e5 * spread).flatten().tolist()
    if coarse:
        warnings.warn(
            f"features {coarse[:5]} vary by less than 1/100,000 of their size, which float32 hardly resolves; subtract "
            "an offset (of a time stamp, say) from the data and from what the model was trained on.",
            TrustworthyWarning,
            stacklevel=4,
        )
    return table(center, spread)


def _checked_inputs(x: Any) -> np.ndarray:
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "fiu":
        kind = getattr(x, "dtype", type(x).__name__)
        remedy = "use x.astype('float32')" if str(kind) == "bool" else "write words and categories as numbers"
        raise InvalidInput(f"x must be a dense array of numbers, images or a table, got {kind}; {remedy}.")
    if x.size == 0:
        raise InvalidInput(f"x must hold at least one example, got shape {x.shape}.")
    if x.ndim not in (2, 4):
        raise InvalidInput(
            f"x must be images (n, channels, h, w) or a table (n, features), got shape {x.shape}; "
            "grey images need a channel axis: x[:, None]."
        )
    if not np.isfinite(x).all():
        row = int(np.argwhere(~np.isfinite(x))[0, 0])
        raise InvalidInput(f"x must be finite, but row {row} holds NaN or infinity; drop or impute such rows.")
    return _checked_images(x) if x.ndim == 4 else x


def _checked_images(x: np.ndarray) -> Float[np.ndarray, "n channels h w"]:
    """Floating images in [0, 1] with the channels first; what lies outside by no more than rounding is cut."""
    _, first, between, last = x.shape
    if last in (1, 3, 4) and first > 4 and between > 4 and max(first, between) <= 4 * min(first, between):
        raise InvalidInput(
            f"images must be (n, channels, h, w), got shape {x.shape} with the channels last; use "
            "numpy.moveaxis(x, -1, 1), and a model that takes them so."
        )
    low, high = float(x.min()), float(x.max())
    if x.dtype.kind != "f":
        remedy = "x.astype('float32')" + (" / 255" if high > 1 else "")
        raise InvalidInput(f"images must be floating in [0, 1], got {x.dtype}; use {remedy}.")
    rounding = 4.0 * max(np.finfo(x.dtype).eps, np.finfo(np.float32).eps)
    if low < -rounding or high > 1.0 + rounding:
        raise InvalidInput(
            f"images must lie in [0, 1], got values in [{low:.9g}, {high:.9g}]; {_into_the_box(low, high)}."
        )
    return np.clip(x, 0.0, 1.0)


def _into_the_box(low: float, high: float) -> str:
    """What brings values that lie from `low` to `high` into [0, 1] without spoiling them."""
    if low >= 0.0 and 2.0 < high <= 255.0:
        return "divide by 255"
    if low >= -0.1 and high <= 1.1:
        return "cut what resampling left outside: numpy.clip(x, 0, 1)"
    return "make the normalisation a layer of the model, and give x as it was before"


def _checked_labels(y: Any, n: int) -> Int[np.ndarray, " n"]:
    labels = np.asarray(y)
    if labels.dtype.kind not in "iu":
        raise InvalidInput(f"y must be integer class indices or names, got {labels.dtype}; {_as_classes(labels)}.")
    if labels.shape != (n,):
        raise InvalidInput(f"y must have shape ({n},), one label for each row of x, got {labels.shape}.")
    if labels.min() < 0:
        raise InvalidInput(
            f"y must be >= 0, got {labels.min()}; number the classes by numpy.unique(y, return_inverse=True)[1], or "
            "give them as names, y.astype(str), to an estimator that was fitted on them."
        )
    return labels.astype(np.int64)


def _as_classes(labels: np.ndarray) -> str:
    """What makes classes of labels that are neither integers nor names."""
    whole = labels.dtype.kind == "b" or (
        labels.dtype.kind == "f" and bool(np.isfinite(labels).all() and (labels == np.floor(labels)).all())
    )
    return "use y.astype('int64')" if whole else "use names, y.astype(str), if these are classes"
