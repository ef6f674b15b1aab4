"""Labels of any type as the numbers 0 .. classes-1, and the values that they stand for."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from trustworthy.core.errors import InvalidInput
from trustworthy.datasets.columns import row_numbers
from trustworthy.datasets.dataset import Targets, Task


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of one or more parts of a data set that share their classes.

    codes : of each part, the numbers 0 .. classes-1; of a regression the labels themselves.
    values : what each number stands for, as a Python value: sorted, or all categories of a pandas categorical
        and all columns of one-hot rows in their order, those without a row too. None of a regression.
    """

    codes: tuple[Targets, ...]
    values: tuple[Any, ...]

    @property
    def task(self) -> Task:
        """What the labels are of."""
        return "regression" if self.codes[0].dtype.kind == "f" else "classification"

    @property
    def names(self) -> tuple[str, ...]:
        """The values as text."""
        return tuple(map(str, self.values))

    def counts(self) -> str:
        """Rows of each class in the first part, the most frequent first, or the range of the labels."""
        if self.task == "regression":
            return f"{self.codes[0].min():g} to {self.codes[0].max():g}"
        count = Counter({name: int((self.codes[0] == code).sum()) for code, name in enumerate(self.names)})
        shown = ", ".join(f"{name!r} {n:,}" for name, n in count.most_common(20))
        return shown + (f", ... ({len(count)} classes)" if len(count) > 20 else "")


def number(*parts: Any, name: str = "y", task: Task | None = "classification") -> Labels:
    """Number the classes of labels.

    Parameters
    ----------
    parts : of the test set and of the training set, say: arrays, lists, pandas or Polars columns or tensors (n,) or
        (n, 1) of strings, booleans, integers or whole floats; or one-hot rows (n, classes) of 0 and 1, whose columns
        are named by a frame's header.
    name : of the labels, for messages.
    task : "regression" takes numbers as they are, None does so where some have fractions.

    Raises
    ------
    InvalidInput : labels are missing, of several types, no numbers in a regression, or fractional in a classification;
        the message lists rows, counted from 0.
    """
    distinct = [_distinct(part, name) for part in parts]
    for codes, found, _ in distinct:
        _present(codes, found, name)
    every = [value for _, found, _ in distinct for value in found]
    if task == "regression" or (task is None and any(map(_is_fraction, every))):
        return Labels(tuple(_numbers(codes, found, name) for codes, found, _ in distinct), ())
    values = [_classes(codes, found, name) for codes, found, _ in distinct]
    order = _order(values, [ordered for *_, ordered in distinct], name)
    rank = {value: code for code, value in enumerate(order)}
    renumbered = [np.array([rank[value] for value in found], np.int64) for found in values]
    return Labels(tuple(new[old] for new, (old, *_) in zip(renumbered, distinct, strict=True)), order)


def plain(data: Any) -> Any:
    """A tensor as an array and a frame or column of Polars or Arrow as one of pandas; anything else as it is."""
    if hasattr(data, "detach"):
        return data.detach().cpu().numpy()
    return data.to_pandas() if hasattr(data, "to_pandas") else data


def _distinct(y: Any, name: str) -> tuple[Int64[np.ndarray, " n"], list[Any], bool]:
    """Number of the value in each row (-1 where it is missing), the values, and whether their order means something."""
    y = plain(y)
    y = y if hasattr(y, "shape") else np.array(y, object)
    if len(y.shape) == 2 and y.shape[1] == 1:
        y = y.iloc[:, 0] if hasattr(y, "iloc") else y[:, 0]
    if len(y.shape) == 2:
        return _one_hot(y, name)
    if len(y.shape) != 1 or y.shape[0] == 0:
        raise InvalidInput(f"{name} must hold one label for each row, shape (n,), got {tuple(y.shape)}.")
    if hasattr(y, "cat") or hasattr(y, "categories"):
        category = getattr(y, "cat", y)
        return np.array(category.codes, np.int64), _python(category.categories), True
    if hasattr(y, "factorize"):
        codes, values = y.factorize()
        return codes.astype(np.int64), _python(values), False
    y = np.asarray(y)
    if y.dtype.kind != "O":
        values, codes = np.unique(y, return_inverse=True)
        missing = values != values  # NaN, which is sorted to the end
        return np.where(missing[codes], -1, codes), values[~missing].tolist(), False
    seen: dict[Any, int] = {}
    keys = [(type(value), value) for value in y.tolist()]  # True == 1 == 1.0, and a dictionary would merge them
    codes = [-1 if _is_missing(value) else seen.setdefault((kind, value), len(seen)) for kind, value in keys]
    return np.array(codes, np.int64), [value for _, value in seen], False


def _one_hot(y: Any, name: str) -> tuple[Int64[np.ndarray, " n"], list[Any], bool]:
    values = _python(y.columns) if hasattr(y, "columns") else list(range(y.shape[1]))
    array = np.asarray(y)
    if not (array.size and np.isin(array, (0, 1)).all() and (array.sum(1) == 1).all()):
        raise InvalidInput(
            f"{name} must hold one label for each row, shape (n,) or (n, 1), or one-hot rows with a single 1, "
            f"got shape {array.shape}; several labels for one row cannot be audited."
        )
    return array.argmax(1).astype(np.int64), values, True


def _present(codes: Int64[np.ndarray, " n"], values: list[Any], name: str) -> None:
    """Refuse rows without a label."""
    blank = [code for code, value in enumerate(values) if isinstance(value, str) and not value.strip()]
    missing = np.flatnonzero(np.isin(codes, [-1, *blank]))
    if len(missing):
        remedy = "leave these rows out, or give them a class of their own, such as 'unknown'"
        if len(missing) == len(codes):
            remedy = "give labels, or name the column that holds them with --label COLUMN"
        raise InvalidInput(
            f"{name} has no label in {len(missing):,} of {len(codes):,} rows "
            f"({row_numbers(missing)}, counted from 0; in a text file NA, None and null mean missing, too); {remedy}."
        )


def _is_fraction(value: Any) -> bool:
    return isinstance(value, float) and not value.is_integer()


def _numbers(codes: Int64[np.ndarray, " n"], values: list[Any], name: str) -> Float64[np.ndarray, " n"]:
    """The labels of a regression."""
    strange = [value for value in values if isinstance(value, bool) or not isinstance(value, int | float)]
    strange += [value for value in values if isinstance(value, float) and not math.isfinite(value)]
    if strange:
        rows = np.flatnonzero(codes == values.index(strange[0]))
        raise InvalidInput(
            f"{name} must hold finite numbers in a regression, got {strange[0]!r} ({row_numbers(rows)}, counted from "
            "0); name a column of numbers with --label COLUMN, or leave these rows out."
        )
    return np.array(values, np.float64)[codes]


def _classes(codes: Int64[np.ndarray, " n"], values: list[Any], name: str) -> list[Any]:
    """The values, whole floats as integers."""
    fractions = [value for value in values if _is_fraction(value)]
    if fractions:
        rows = np.flatnonzero(codes == values.index(fractions[0]))
        if math.isinf(fractions[0]):
            raise InvalidInput(
                f"{name} must hold classes, got {fractions[0]} ({row_numbers(rows)}); leave these rows out."
            )
        raise InvalidInput(
            f"{name} must hold classes, got the number {fractions[0]:g} ({row_numbers(rows)}, counted from 0): numbers "
            "with fractions are a regression, which cannot be audited; name a column of classes with --label COLUMN, "
            "or use names, y.astype(str), if these are classes."
        )
    return [int(value) if isinstance(value, float) else value for value in values]


def _order(values: list[list[Any]], ordered: list[bool], name: str) -> tuple[Any, ...]:
    every = list(dict.fromkeys(value for part in values for value in part))
    kinds = {type(value): value for part in values for value in part}
    if len(kinds) > 1:
        examples = ", ".join(f"{kind.__name__} ({value!r})" for kind, value in kinds.items())
        raise InvalidInput(f"{name} must hold labels of one type, got {examples}; write all of them as words.")
    return tuple(every if any(ordered) else sorted(every))


def _python(values: Any) -> list[Any]:
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas' NA, whose comparisons have no truth value
        return True
