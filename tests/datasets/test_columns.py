"""The way from a frame to numbers and back."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from trustworthy.core.errors import InvalidInput
from trustworthy.datasets.columns import Column, columns_of, decode, encode, unseen

NUMBERS = st.floats(allow_nan=True, width=64)
WORDS = st.text(max_size=4)
DATES = st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1))
CELLS = {
    "float64": NUMBERS,
    "float32": st.floats(allow_nan=True, width=32),
    "int8": st.integers(-128, 127),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "Int64": st.none() | st.integers(-(2**63), 2**63 - 1),
    "bool": st.booleans(),
    "boolean": st.none() | st.booleans(),
    "str": st.just(np.nan) | WORDS,
    "string": st.none() | WORDS,
    "datetime64[us]": st.none() | DATES,
    "datetime64[us, UTC]": st.none() | DATES.map(lambda date: date.replace(tzinfo=datetime.UTC)),
}


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.integers(1, 6))
    names = draw(st.lists(st.text(max_size=3) | st.integers(0, 9), min_size=1, max_size=4, unique_by=str))
    kinds = draw(st.lists(st.sampled_from([*CELLS, "category"]), min_size=len(names), max_size=len(names)))
    return pd.DataFrame({name: _series(draw, kind, rows) for name, kind in zip(names, kinds, strict=True)})


def _series(draw: st.DrawFn, kind: str, rows: int) -> pd.Series:
    if kind == "category":
        categories = draw(st.lists(WORDS, min_size=1, max_size=4, unique=True))
        codes = draw(st.lists(st.integers(-1, len(categories) - 1), min_size=rows, max_size=rows))
        return pd.Series(pd.Categorical.from_codes(codes, categories, ordered=draw(st.booleans())))
    return pd.Series(draw(st.lists(CELLS[kind], min_size=rows, max_size=rows)), dtype=kind)


@given(frames())
def test_a_frame_comes_back_as_it_was(frame: pd.DataFrame) -> None:
    columns = columns_of(frame)
    x = encode(frame, columns)
    assert x.dtype == np.float64
    np.testing.assert_array_equal(np.isnan(x), frame.isna())
    assert_frame_equal(decode(x, columns), frame, check_exact=True)


def test_what_columns_are_and_how_they_are_encoded() -> None:
    frame = pd.DataFrame(
        {
            "fraction": [0.5, np.nan, 2.0],
            "count": [3, 1, 2],
            "holes": [3.0, np.nan, 2.0],
            "flag": [True, False, True],
            "maybe": pd.Series([True, None, False], dtype=object),
            "word": ["b", None, "a"],
            "size": pd.Categorical(["mid", "low", None], ["low", "mid", "high"], ordered=True),
            "key": [2**60 + 1, 2**60, 2**60 + 1],
            "price": [Decimal("1.25"), Decimal(2), None],
            "empty": [np.nan, np.nan, np.nan],
        }
    )
    columns = columns_of(frame)
    assert {column.name: column.kind for column in columns} == {
        "fraction": "numeric", "count": "integer", "holes": "integer", "flag": "boolean", "maybe": "boolean",
        "word": "category", "size": "category", "key": "category", "price": "numeric", "empty": "numeric",
    }  # fmt: skip
    assert [column.categories for column in columns[5:8]] == [("a", "b"), ("low", "mid", "high"), (2**60, 2**60 + 1)]
    nan = np.nan
    np.testing.assert_array_equal(
        encode(frame, columns),
        np.array(
            [
                [0.5, 3, 3, 1, 1, 1, 1, 1, 1.25, nan],
                [nan, 1, nan, 0, nan, nan, 0, 0, 2, nan],
                [2, 2, 2, 1, 0, 0, nan, 1, nan, nan],
            ]
        ),
    )


def test_moved_whole_numbers_are_not_rounded() -> None:
    columns = columns_of(pd.DataFrame({"count": [1, 2], "flag": [True, False]}))
    assert decode(np.array([[1.5, 1.0], [2.0, np.nan]]), columns).to_dict("list") == {
        "count": [1.5, 2.0],
        "flag": [True, pytest.approx(np.nan, nan_ok=True)],
    }


@pytest.mark.parametrize(
    ("dtype", "number"), [("int8", 128.0), ("uint8", -1.0), ("Int16", -32769.0), ("int64", 2.0**63)]
)
def test_whole_numbers_beyond_their_dtype_do_not_wrap_around(dtype: str, number: float) -> None:
    columns = columns_of(pd.DataFrame({"a": pd.Series([1, 2], dtype=dtype)}))
    assert decode(np.array([[number], [2.0]]), columns)["a"].to_list() == [number, 2.0]


@pytest.mark.parametrize(
    ("values", "new"),
    [
        (["b", "a"], "unseen"),
        (["unseen", "a"], "unseen_"),
        (pd.Categorical([4, 7], [7, 4]), 8),
        ([datetime.datetime(2026, 5, 4), datetime.datetime(2026, 5, 1)], datetime.datetime(2026, 5, 5)),
        ([b"b", b"a"], None),
        ([True, False], None),
        (pd.Categorical([None, None], []), None),
    ],
)
def test_a_category_that_a_column_never_had(values: object, new: object) -> None:
    frame = pd.DataFrame({"a": values})
    (column,) = columns = columns_of(frame)
    assert unseen(column) == new
    one_more = np.array([[float(len(column.categories))], [0.0]])
    if new is None:
        with pytest.raises(InvalidInput, match="must hold indices of its"):
            decode(one_more, columns)
    else:
        assert decode(one_more, columns)["a"].to_list() == [new, column.categories[0]]


WRONG = {
    "a lacking column": (lambda c: encode(pd.DataFrame({"b": [1]}), c), "the table lacks 'a'; it has the columns 'b'"),
    "an unseen category": (lambda c: encode(pd.DataFrame({"a": ["z"]}), c), "'a' holds 'z', but has .* 'x', 'y'"),
    "another width": (lambda c: decode(np.zeros((2, 2)), c), r"shape \(n, 1\).*got \(2, 2\)"),
    "half a category": (lambda c: decode(np.array([[0.5]]), c), r"indices of its 2 categories or NaN, .*\[0.5, 0.5\]"),
    "two beyond": (lambda c: decode(np.array([[3.0]]), c), r"indices of its 2 categories or NaN, .*\[3, 3\]"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_the_columns_is_refused(case: str) -> None:
    call, message = WRONG[case]
    with pytest.raises(InvalidInput, match=message):
        call((Column(name="a", kind="category", categories=("x", "y"), dtype=object),))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([1, "many", 3], r"'a' mixes int \(row 0: 1\), str \(row 1: 'many'\); make .* --drop a"),
        ([[1], [2], [3]], r"'a' holds list \(row 0: \[1\]\), which has no order"),
        ([1j, 2j, 0j], "'a' holds complex numbers"),
    ],
)
def test_cells_without_an_order_are_refused(cells: list[object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        columns_of(pd.DataFrame({"a": cells}))
