"""What the columns of a table are, and the way from a table of any dtypes to an array of numbers and back."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Float64

from trustworthy.core.errors import InvalidInput, leaving_out
from trustworthy.core.extras import required

Kind: TypeAlias = Literal["numeric", "integer", "boolean", "category"]
Frame: TypeAlias = Any
"""A pandas.DataFrame; pandas is imported where a table is read, and not to start a command."""
EXACT = 2**53  # whole numbers beyond it are not all float64


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table.

    name : as the table has it.
    kind : "numeric" and "integer" (whole numbers, of whichever dtype) stand for themselves in an array, "boolean" and
        "category" by their index into `categories`.
    categories : the values seen, in the order of the dtype where it has one, else sorted.
    dtype : of pandas, which `decode` gives back.
    """

    name: Hashable
    kind: Kind
    categories: tuple[Any, ...] = field(default=(), repr=False)
    dtype: Any = "float64"


def columns_of(frame: Frame) -> tuple[Column, ...]:
    """Say what each column of `frame` is.

    Numbers are integers where all of them are whole. Whatever is neither a number nor a boolean is a category: words,
    dates, and whole numbers beyond 2^53, which float64 would round.

    Raises
    ------
    InvalidInput : a column mixes types, or holds what has no order or no hash; the message names its rows.
    """
    return tuple(_column(name, frame[name]) for name in frame.columns)


def encode(frame: Frame, columns: Sequence[Column]) -> Float64[np.ndarray, "n d"]:
    """Numbers of the `columns` of `frame`; NaN where a value is missing.

    Raises
    ------
    InvalidInput : the frame lacks a column, or a category was never seen.
    """
    absent = [column.name for column in columns if column.name not in frame.columns]
    if absent:
        raise InvalidInput(f"the table lacks {listed(absent)}; it has the columns {listed(frame.columns)}.")
    x = np.empty((len(frame), len(columns)))
    for position, column in enumerate(columns):
        x[:, position] = _encoded(frame[column.name], column)
    return x


def decode(x: np.ndarray, columns: Sequence[Column]) -> Frame:
    """Table with the names, dtypes and categories of `columns`: the inverse of `encode`.

    Whole numbers that were moved to a fraction or out of their dtype, or are missing where the dtype has no missing
    value, come back as float64, as pandas itself would have them. One more than the largest index of a category stands
    for `unseen(column)`, by which a dtype of categories is widened.

    Raises
    ------
    InvalidInput : `x` has another number of columns, or a value that is the index of no category.
    """
    pd = required("pandas")

    if x.ndim != 2 or x.shape[1] != len(columns):
        raise InvalidInput(f"x must have shape (n, {len(columns)}), one column for each of `columns`, got {x.shape}.")
    decoded = [_decoded(np.asarray(x[:, position], np.float64), column) for position, column in enumerate(columns)]
    frame = pd.DataFrame(dict(enumerate(decoded)), index=pd.RangeIndex(len(x)))
    frame.columns = pd.Index([column.name for column in columns])
    return frame


def unseen(column: Column) -> Any:
    """A value that a column of categories never had: the word "unseen" among words, else the largest and one (day).

    None where there is no such value.
    """
    known = column.categories
    if column.kind != "category" or not known:
        return None
    if all(isinstance(value, str) for value in known):
        return next(word for word in ("unseen" + "_" * more for more in count()) if word not in known)
    for step in (1, timedelta(days=1)):
        with suppress(TypeError):
            return max(known) + step
    return None


def listed(names: Any, most: int = 20) -> str:
    """Quoted names with commas, and how many there are beyond the first `most`."""
    names = list(names)
    shown = ", ".join(repr(str(name)) for name in names[:most])
    return shown + (f", ... ({len(names):,} in all)" if len(names) > most else "")


def row_numbers(rows: Any) -> str:
    """Numbers of the first rows of some, for messages."""
    rows = list(rows)
    return f"row{'s' * (len(rows) > 1)} {', '.join(map(str, rows[:5]))}{', ...' * (len(rows) > 5)}"


def _column(name: Hashable, series: Any) -> Column:
    pd = required("pandas")
    types = pd.api.types

    if types.is_object_dtype(series.dtype) and types.infer_dtype(series) == "decimal":
        series = series.astype(np.float64)
    dtype, present = series.dtype, series.dropna()
    if isinstance(dtype, pd.CategoricalDtype):
        return Column(name=name, kind="category", categories=tuple(dtype.categories), dtype=dtype)
    if types.is_bool_dtype(dtype) or (types.is_object_dtype(dtype) and types.infer_dtype(series) == "boolean"):
        return Column(name=name, kind="boolean", categories=(False, True), dtype=dtype)
    if types.is_complex_dtype(dtype):
        raise InvalidInput(f"column {str(name)!r} holds complex numbers; split it into two columns of real ones.")
    if types.is_numeric_dtype(dtype):
        numbers = present.to_numpy(np.float64)
        if types.is_float_dtype(dtype) or not len(numbers) or np.abs(numbers).max() <= EXACT:
            whole = len(numbers) > 0 and bool((numbers == np.round(numbers)).all())
            return Column(name=name, kind="integer" if whole else "numeric", dtype=dtype)
    return Column(name=name, kind="category", categories=_categories(name, present), dtype=dtype)


def _categories(name: Hashable, present: Any) -> tuple[Any, ...]:
    try:
        values = set(present.astype(object))
        if len({type(value) for value in values}) > 1:
            raise TypeError
        return tuple(sorted(values))
    except TypeError:
        raise InvalidInput(_why_no_category(name, present)) from None


def _why_no_category(name: Hashable, present: Any) -> str:
    kinds: dict[str, tuple[int, Any]] = {}
    for row, value in zip(present.index, present.astype(object), strict=True):
        kinds.setdefault(type(value).__name__, (row, value))
    examples = ", ".join(f"{kind} (row {row}: {value!r})" for kind, (row, value) in kinds.items())
    found = (
        f"mixes {examples}; make all of them one type" if len(kinds) > 1 else f"holds {examples}, which has no order"
    )
    return f"column {str(name)!r} {found}, or leave the column out with {leaving_out([name])}. Rows count from 0."


def _encoded(series: Any, column: Column) -> Float64[np.ndarray, " n"]:
    pd = required("pandas")

    if column.kind in ("numeric", "integer"):
        return series.to_numpy(np.float64, na_value=np.nan)
    values = series.astype(object)
    codes = pd.Index(column.categories, dtype=object).get_indexer(values)
    unseen = (codes < 0) & values.notna().to_numpy()
    if unseen.any():
        strange = sorted(set(map(str, values[unseen])))
        raise InvalidInput(
            f"column {str(column.name)!r} holds {listed(strange)}, but has the categories {listed(column.categories)}."
        )
    return np.where(codes < 0, np.nan, codes)


def _decoded(x: Float64[np.ndarray, " n"], column: Column) -> Any:
    pd = required("pandas")
    types = pd.api.types

    missing = np.isnan(x)
    if column.kind in ("numeric", "integer"):
        if types.is_integer_dtype(column.dtype):
            limits, present = np.iinfo(getattr(column.dtype, "numpy_dtype", column.dtype)), x[~missing]
            lossy = (present != np.round(present)) | (present < limits.min) | (present >= limits.max + 1.0)
            if lossy.any() or (missing.any() and isinstance(column.dtype, np.dtype)):
                return pd.Series(x)
        return pd.Series(x).astype(column.dtype)
    codes, known, dtype = np.where(missing, -1, x), list(column.categories), column.dtype
    if (codes == len(known)).any() and (new := unseen(column)) is not None:
        known.append(new)
        dtype = pd.CategoricalDtype(known, dtype.ordered) if isinstance(dtype, pd.CategoricalDtype) else dtype
    if not np.isin(codes, np.arange(-1, len(known))).all():
        raise InvalidInput(
            f"column {str(column.name)!r} must hold indices of its {len(column.categories)} categories or NaN, "
            f"got values in [{np.nanmin(x):g}, {np.nanmax(x):g}]."
        )
    values, places = pd.Series(known, dtype=dtype), codes.astype(np.int64)
    # To reindex finds the dtype in which a value may be missing; to take alone is three times as fast.
    return values.reindex(places).array if missing.any() else values.array.take(places)
