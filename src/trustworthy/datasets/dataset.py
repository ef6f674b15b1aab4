"""A data set, ready for a model: arrays of training and test rows and what is known about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Float64, Int64
from scipy import sparse

from trustworthy.datasets.columns import Column

Task: TypeAlias = Literal["classification", "regression"]
Inputs: TypeAlias = np.ndarray | sparse.csr_array
Targets: TypeAlias = Int64[np.ndarray, " _"] | Float64[np.ndarray, " _"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """Training and test rows of one data set.

    name : name in the catalogue, or of the file it was read from.
    task : "classification" (labels 0 .. classes-1) or "regression".
    x_train, x_test : images float32 in [0, 1] of shape (n, channels, height, width); tables float64 (n, features) as
        published, since scaling is the caller's; word weights a float64 `scipy.sparse.csr_array` (n, features); text
        as an object array of strings; a set without training rows has an empty `x_train`.
    y_train, y_test : labels int64 (n,), or float64 targets in the unit of the published set.
    class_names, feature_names : in the order of labels and columns; empty where there are none.
    class_values : the labels as the source has them (strings, booleans, any integers), in the order of `class_names`.
    columns : of a table read from a frame or file, what each column is; `columns.decode` gives the frame back. Empty
        for arrays.
    rows : numbers of the test rows in the source, counted from 0, where they were drawn from more, and `available` how
        many there were; None and 0 where all were read.
    groups : the values (n,) of the column `group` of the test rows, which says what belongs together; None where none
        was named.
    source : where the rows came from, and `provenance` what to know of them (split, encoding, differences).
    sha256 : fingerprint of the stored arrays; empty where rows are read anew from local files at each call.
    canonical : these are known to be the published rows, and the published split where there is one.
    """

    name: str
    task: Task
    x_train: Inputs = field(repr=False)
    y_train: Targets = field(repr=False)
    x_test: Inputs = field(repr=False)
    y_test: Targets = field(repr=False)
    class_names: tuple[str, ...] = field(default=(), repr=False)
    feature_names: tuple[str, ...] = field(default=(), repr=False)
    class_values: tuple[Any, ...] = field(default=(), repr=False)
    columns: tuple[Column, ...] = field(default=(), repr=False)
    rows: Int64[np.ndarray, " _"] | None = field(default=None, repr=False)
    available: int = 0
    groups: np.ndarray | None = field(default=None, repr=False)
    group: str = ""
    source: str = ""
    provenance: str = ""
    sha256: str = field(default="", repr=False)
    canonical: bool = False

    def __post_init__(self) -> None:
        if self.columns:
            object.__setattr__(self, "feature_names", tuple(str(column.name) for column in self.columns))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return tuple(self.x_test.shape or ())[1:]

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 for a regression."""
        if self.task == "regression":
            return 0
        return len(self.class_names) or int(max(labels.max(initial=-1) for labels in (self.y_train, self.y_test))) + 1


def scaled(x: Inputs) -> Inputs:
    """Bring 8-bit images to [0, 1]; anything else passes through."""
    return np.divide(x, np.float32(255.0), dtype=np.float32) if isinstance(x, np.ndarray) and x.dtype == np.uint8 else x
