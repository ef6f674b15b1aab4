"""The examples of an audit, drawn from a data set, an .npz file or arrays; what cannot be audited is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from trustworthy.core.digest import digest
from trustworthy.core.errors import InvalidInput, warn
from trustworthy.datasets.arrays import check_numbers
from trustworthy.datasets.columns import Column, decode
from trustworthy.datasets.draw import stratified_rows
from trustworthy.models.names import knows, plain
from trustworthy.report.columns import Feature, Plans, column_name, features_of
from trustworthy.report.domain import Domain, images, table

if TYPE_CHECKING:
    from trustworthy.datasets import Dataset


@dataclass(frozen=True, eq=False, kw_only=True)
class Examples:
    """Labelled rows that a model is audited on.

    x : in the units that the model takes; `domain` says what they are.
    y : true classes (n,).
    rows : index of each example in the test set it was drawn from, which had `available` rows.
    class_values : labels as the source has them, in the order of `class_names`; empty where they are the class indices.
    columns : of a table that is more than numbers to a model that was fitted on a frame.
    groups : what each row belongs to, as the column `group` of the source says it; empty where none was named.
    features : of a table, what each column is and which values it may take.
    """

    name: str
    x: Float[Tensor, "n *shape"]
    y: Int[Tensor, " n"]
    rows: Int[np.ndarray, " n"]
    available: int
    domain: Domain
    class_names: tuple[str, ...] = ()
    class_values: tuple[Any, ...] = ()
    feature_names: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    groups: tuple[str, ...] = ()
    group: str = ""
    features: tuple[Feature, ...] = ()
    origin: dict[str, Any] = field(default_factory=dict)

    def class_name(self, label: int) -> str:
        """Name of a class, or its number where there are no names."""
        return self.class_names[label] if label < len(self.class_names) else str(label)

    def feature_name(self, column: int) -> str:
        """Name of a column of a table."""
        return column_name(self.feature_names, column)

    @property
    def labelled_features(self) -> list[str]:
        """Names of the columns of a table with their units, as they stand beside values."""
        return [f"{each.name} ({each.unit})" if each.unit else each.name for each in self.features]

    @property
    def decode(self) -> Callable[[Tensor], Any] | None:
        """From rows to the frame that they were read from; None where they were read as numbers."""
        return (lambda x: decode(x.cpu().numpy(), self.columns)) if self.columns else None

    def take(self, places: Int[np.ndarray, " some"]) -> Examples:
        """Some of the rows."""
        kept = torch.from_numpy(places)
        groups = tuple(self.groups[place] for place in places) if self.groups else ()
        return replace(self, x=self.x[kept], y=self.y[kept], rows=self.rows[places], groups=groups)

    def described(self) -> dict[str, Any]:
        """What `findings.json` says of the data."""
        n_classes = max(len(self.class_names), int(self.y.max()) + 1)
        spreads = [] if self.domain.spread is None or not self.features else self.domain.spread.tolist()
        columns = [feature.described(spread) for feature, spread in zip(self.features, spreads, strict=True)]
        return {
            "name": self.name, "rows": len(self.x), "available": self.available, "shape": list(self.x.shape[1:]),
            "classes": [self.class_name(label) for label in range(n_classes)], "units": self.domain.units,
            "fingerprint": self.fingerprint, **self.origin, **({"columns": columns} if columns else {}),
            **({"groups": f"{len(set(self.groups)):,} of {self.group}"} if self.groups else {}),
        }  # fmt: skip

    @cached_property
    def fingerprint(self) -> str:
        """Hash of inputs, labels and groups."""
        return digest(self.x, self.y, self.domain.center, self.domain.spread, *self.groups)


def read_data(data: Any, rows: int = 0, seed: int = 0, **given: Any) -> Dataset:
    """Turn whatever the user named into a data set; of a file of many rows or pictures only `rows` (0: all) are kept.

    given : `label`, `drop`, `group`, `train` and `size` of `datasets.read`.
    """
    from trustworthy import datasets

    few = rows if isinstance(data, str | Path) and Path(data).exists() and Path(data).suffix != ".npz" else 0
    return datasets.read(data, rows=few, seed=seed, **given)


def inputs_of(dataset: Dataset, models: Mapping[str, Any]) -> Dataset:
    """`dataset` without the column of its groups, which is no input but of models that were fitted with it by name.

    Raises
    ------
    InvalidInput : some were, and some were not.
    """
    names = [str(column.name) for column in dataset.columns]
    if dataset.groups is None or dataset.group not in names:
        return dataset
    knowing = [name for name, model in models.items() if knows(model, dataset.group)]
    if len(knowing) == len(models):
        return dataset
    if knowing:
        raise InvalidInput(
            f"group names the column {dataset.group!r}, an input of {', '.join(knowing)} and of no other model; audit "
            "models with other inputs apart."
        )
    place = names.index(dataset.group)
    kept = [column for column in range(len(names)) if column != place]
    told = f"The column {dataset.group!r} says which rows belong together and is no input."
    if not kept:
        raise InvalidInput(f"group names {dataset.group!r}, the only column beside the label; leave group out.")
    return replace(
        dataset, x_test=dataset.x_test[:, kept], x_train=dataset.x_train[:, kept],
        columns=tuple(dataset.columns[column] for column in kept),
        provenance=f"{dataset.provenance} {told}",
    )  # fmt: skip


def draw_examples(dataset: Dataset, rows: int, seed: int, plans: Plans | None = None) -> Examples:
    """Check the test rows of `dataset` and draw `rows` of them, in the proportions of the classes; all where
    `rows` is 0.

    plans : what the plan says of columns, by their names.

    Raises
    ------
    InvalidInput : what the rows are is not what an audit can use; the message says what to do.
    """
    if dataset.task != "classification":
        raise InvalidInput(
            f"data must be a classification set, {dataset.name!r} is a {dataset.task}; give data with classes, or see "
            "`trustworthy poison`, which takes both."
        )
    x, (y, values) = _checked_inputs(dataset.x_test), _class_indices(dataset)
    chosen = stratified_rows(y, rows, seed)
    features = () if x.ndim == 4 else features_of(dataset, plans or {})
    domain = images(x.shape[1:]) if x.ndim == 4 else _table(dataset, features)
    kept = np.ascontiguousarray(x[chosen], np.float64 if dataset.columns else np.float32)
    return Examples(
        name=dataset.name, x=torch.from_numpy(kept), y=torch.from_numpy(y[chosen]),
        rows=chosen if dataset.rows is None else dataset.rows[chosen], available=max(dataset.available, len(x)),
        domain=domain, class_names=() if dataset.class_values and not values else tuple(dataset.class_names),
        class_values=values, feature_names=tuple(dataset.feature_names), columns=dataset.columns, features=features,
        groups=() if dataset.groups is None else group_names(dataset.groups[chosen]), group=dataset.group or "group",
        origin={"source": dataset.source, "provenance": dataset.provenance, "canonical": dataset.canonical},
    )  # fmt: skip


def group_names(groups: np.ndarray) -> tuple[str, ...]:
    """Text of each group; rows without one are a group of their own."""
    values = groups.astype(object).tolist()
    return tuple("(missing)" if value is None or value != value else str(plain(value)) for value in values)


def _class_indices(dataset: Dataset) -> tuple[Int[np.ndarray, " n"], tuple[Any, ...]]:
    """Class index of each test row, and the label of each index; whole labels >= 0 are indices themselves.

    A network of ten outputs may be audited on rows of three of the ten classes.
    """
    y, values = _checked_labels(dataset.y_test, len(dataset.x_test)), dataset.class_values
    if values and all(type(value) is int and value >= 0 for value in values):
        return np.array(values)[y], ()
    return y, values


def _table(dataset: Dataset, features: tuple[Feature, ...]) -> Domain:
    """Tables whose training rows, or test rows where there are no others, say what a typical change of a feature is."""
    reference = dataset.x_train if len(dataset.x_train) else dataset.x_test
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any value has neither mean nor spread
        wide = np.asarray(reference, np.float64)
        center, spread = (torch.from_numpy(f(wide, axis=0)).nan_to_num(nan=0.0) for f in (np.nanmean, np.nanstd))
    spread = torch.where(spread > 0, spread, torch.ones_like(spread))
    if dataset.columns:
        return table(center, spread, features)
    center, spread = center.float(), spread.float()
    # Models are shown float32 rows; where a feature varies by less than float32 resolves, that changes the rows.
    coarse = torch.nonzero(center.abs() > 1e5 * spread).flatten().tolist()
    if coarse:
        warn(
            f"features {coarse[:5]} vary by less than 1/100,000 of their size, which float32 hardly resolves; subtract "
            "an offset (of a time stamp, say) from the data and from what the model was trained on."
        )
    return table(center, spread, features)


def _checked_inputs(x: Any) -> np.ndarray:
    check_numbers(x)
    if x.ndim not in (2, 4):
        raise InvalidInput(
            f"x must be images (n, channels, h, w) or a table (n, features), got shape {x.shape}; "
            "grey images need a channel axis: x[:, None]."
        )
    if x.ndim == 4:
        check_finite(torch.from_numpy(np.asarray(x, np.float64)))
        return _checked_images(x)
    if np.isinf(x).any():
        row = int(np.argwhere(np.isinf(x))[0, 0])
        raise InvalidInput(f"x must be finite or missing, but row {row} holds infinity; drop or impute such rows.")
    return x


def check_finite(x: Float[Tensor, "n *shape"]) -> None:
    """Refuse missing values where no estimator is asked, which may know what to do with them."""
    rows = torch.nonzero(~x.isfinite().flatten(1).all(1)).flatten()
    if len(rows):
        raise InvalidInput(f"x must be finite, but row {int(rows[0])} holds NaN or infinity; drop or impute such rows.")


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
        raise InvalidInput(
            f"y_test of a Dataset must be integer class indices, got {labels.dtype}; read labels of another type with "
            "datasets.read((x, y))."
        )
    if labels.shape != (n,):
        raise InvalidInput(f"y must have shape ({n},), one label for each row of x, got {labels.shape}.")
    if labels.min() < 0:
        raise InvalidInput(
            f"y_test of a Dataset must be >= 0, got {labels.min()}; read any labels with datasets.read((x, y))."
        )
    return labels.astype(np.int64)
