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
from trustworthy.graphs.affinity import LARGEST

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

    Raises InvalidInput where no row is labelled, or all that are have one class.
    """
    checks.choice("task", task, _TASKS)
    if y is None:
        raise InvalidInput("fit requires y to be passed, but the target y is None. Mark missing labels as -1 or NaN.")
    labels = as_labels(y, warn=True)
    if labels.dtype.kind == "f" and (np.abs(labels.astype(np.float64)) > LARGEST).any():
        raise InvalidInput(
            f"y must be finite and within {LARGEST:g} of 0, or NaN where a label is missing; got "
            f"{'infinity' if np.isinf(labels).any() else np.nanmax(np.abs(labels))}."
        )
    if task == "auto":
        task = "regression" if _looks_real(labels) else "classification"
    found = _real(labels) if task == "regression" else _classed(labels)
    if not found.known.any():
        raise InvalidInput(
            "y must hold at least one label, got none: every row is marked as unlabelled (-1 or NaN). Label some."
        )
    if found.classes is not None and len(found.classes) < 2:
        raise InvalidInput(
            f"y must hold at least two classes, got one class, {found.classes.tolist()[0]!r}: there is nothing to tell "
            "apart. (-1 marks a row as unlabelled, unless labels are floating numbers with NaN as the mark.)"
        )
    return found


def as_labels(y: ArrayLike, *, warn: bool = False) -> np.ndarray:
    """Labels as an array (n,) that keeps their marks: words next to -1 or NaN stay apart from "-1" and "nan".

    Objects that are real numbers, at least one of them no whole one, become floating numbers, with NaN for what is
    missing. Nullable and categorical columns, and masked arrays, are read as objects, whose kind missing ones do not
    change. warn : say so where y is a column.
    """
    given: Any = y
    if isinstance(given, np.ma.MaskedArray):
        given = np.where(np.ma.getmaskarray(given), np.array(None), given.data.astype(object))
    elif not all(isinstance(kind, np.dtype) for kind in _kinds(given)):
        given = np.asarray(given.astype(object) if hasattr(given, "astype") else given, dtype=object)
    if isinstance(given, list | tuple) and any(isinstance(label, str) for label in given):
        labels = np.empty(len(given), dtype=object)
        labels[:] = given
    else:
        labels = column_or_1d(given, warn=warn)
    if labels.dtype != object:
        return labels
    present = [label for label in labels if not _is_absent(label)]
    if any(isinstance(label, float | np.floating) for label in present) and all(map(_is_number, present)):
        return np.array([np.nan if _is_absent(label) else float(label) for label in labels])
    return labels


def _kinds(y: Any) -> list[Any]:
    """Types of the column, or columns, of labels that come with any."""
    kinds = getattr(y, "dtypes", getattr(y, "dtype", None))  # a table's are a column
    return [] if kinds is None else list(kinds) if hasattr(kinds, "__iter__") else [kinds]


def _of_one_kind(known: np.ndarray) -> np.ndarray:
    """Known labels out of an array of objects, as classes that can be sorted."""
    if all(isinstance(label, bool | np.bool_) for label in known):
        return known.astype(bool)
    if all(map(_is_number, known)):
        try:
            return known.astype(np.int64)
        except OverflowError as error:
            raise InvalidInput("y must hold whole numbers of 64 bits, got a larger one. Pass words.") from error
    if not all(isinstance(label, str) for label in known):
        kinds = sorted({type(label).__name__ for label in known})
        raise InvalidInput(f"y must hold labels of one kind, numbers or words, got {kinds}. Pass all of them as words.")
    return known


def _missing(labels: np.ndarray) -> Bool[np.ndarray, " n"]:
    if labels.dtype.kind == "f":
        nan = np.isnan(labels)
        return nan if nan.any() else labels == -1
    if labels.dtype.kind == "O":
        return np.array([_is_absent(label) or (_is_number(label) and label == -1) for label in labels], dtype=bool)
    return labels == -1 if labels.dtype.kind == "i" else np.zeros(len(labels), dtype=bool)


def _is_absent(label: Any) -> bool:
    """Whether it is None, NaN or pandas' NA, whose comparisons have no truth value."""
    try:
        return label is None or bool(label != label)
    except TypeError:
        return True


def _is_number(label: object) -> bool:
    return isinstance(label, int | float | np.integer | np.floating) and not isinstance(label, bool)


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


def _classed(labels: np.ndarray) -> Labels:
    present = ~_missing(labels)
    known = labels[present]
    if known.dtype == object:
        known = _of_one_kind(known)
    elif known.dtype.kind == "f" and len(known):
        check_classification_targets(known)
    classes, codes = np.unique(known, return_inverse=True)
    return Labels("classification", present, classes, np.eye(len(classes))[codes])
