"""Labels of which some are missing, read once for every graph learner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput

Task = Literal["classification", "regression"]
_TASKS: dict[str, None] = dict.fromkeys(("auto", *get_args(Task)))


@dataclass(frozen=True)
class Labels:
    """Known labels in numbers.

    task : "classification" or "regression".
    known : (n,) whether a row is labelled.
    classes : the classes, sorted; None in regression.
    values : (known, columns) in the order of rows: the values in one column, or a column of 0 and 1 for each class.
    """

    task: Task
    known: Bool[np.ndarray, " n"]
    classes: np.ndarray | None
    values: Float[np.ndarray, "known columns"]


def read_labels(y: ArrayLike | None, task: str) -> Labels:
    """Read labels y (n,), with missing ones marked -1, or NaN where they are floating numbers.

    task : "classification", "regression" or "auto": regression where y holds floating numbers and NaN or fractions.
        In regression only NaN marks a row; in floating labels of classes -1 marks one unless there is NaN.
    """
    checks.choice("task", task, _TASKS)
    given: Any = y
    if given is None:
        raise InvalidInput("fit requires y to be passed, but the target y is None. Mark missing labels as -1 or NaN.")
    labels = column_or_1d(given, warn=True)
    if labels.dtype.kind == "f" and np.isinf(labels).any():
        raise InvalidInput("y must be finite, or NaN where a label is missing; got infinity.")
    missing = _missing(labels, regression=task == "regression")
    if task == "auto":
        task = "regression" if _looks_real(labels) else "classification"
    if task == "regression":
        return _real(labels)
    known = labels[~missing]
    if known.dtype == object and all(isinstance(label, int | np.integer) for label in known):
        known = known.astype(np.int64)
    if len(known):
        check_classification_targets(known)
    classes, codes = np.unique(known, return_inverse=True)
    return Labels("classification", ~missing, classes, np.eye(len(classes))[codes])


def _missing(labels: np.ndarray, *, regression: bool) -> Bool[np.ndarray, " n"]:
    if labels.dtype.kind == "f":
        nan = np.isnan(labels)
        return nan if regression or nan.any() else labels == -1
    if labels.dtype.kind == "O":
        return np.array([label is None or label != label or _is_minus_one(label) for label in labels], dtype=bool)
    return labels == -1 if labels.dtype.kind == "i" else np.zeros(len(labels), dtype=bool)


def _is_minus_one(label: object) -> bool:
    return isinstance(label, int | float | np.number) and label == -1


def _looks_real(labels: np.ndarray) -> bool:
    return labels.dtype.kind == "f" and bool((np.isnan(labels) | (labels != np.floor(labels))).any())


def _real(labels: np.ndarray) -> Labels:
    try:
        values = labels.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"y must hold real numbers for regression, NaN where missing, got {labels.dtype}."
        ) from error
    known = ~np.isnan(values)
    return Labels("regression", known, None, values[known][:, None])
