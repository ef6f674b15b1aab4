"""Labels of all types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from trustworthy.datasets.labels import number

WORDS = ["dog", "cat", "dog", "emu"]
GIVEN: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "list": (WORDS, ("cat", "dog", "emu")),
    "objects": (np.array(WORDS, object), ("cat", "dog", "emu")),
    "text array": (np.array(WORDS), ("cat", "dog", "emu")),
    "series": (pd.Series(WORDS, index=[3, 1, 2, 0]), ("cat", "dog", "emu")),
    "one column": (pd.DataFrame({"y": WORDS}), ("cat", "dog", "emu")),
    "integers with gaps": ([7, -3, 7, 50], (-3, 7, 50)),
    "bytes": (np.array([7, 3, 7, 50], np.uint8), (3, 7, 50)),
    "tensor": (torch.tensor([2, 1, 2, 5]), (1, 2, 5)),
    "whole floats": (np.array([2.0, -1.0, 2.0, 5.0]), (-1, 2, 5)),
    "float column": (pd.Series([2.0, -1.0, 2.0, 5.0]), (-1, 2, 5)),
    "(n, 1)": (np.array([[2], [1], [2], [5]]), (1, 2, 5)),
}


@pytest.mark.parametrize("case", GIVEN)
def test_labels_are_numbered_in_the_order_of_their_values(case: str) -> None:
    y, values = GIVEN[case]
    found = number(y)
    np.testing.assert_array_equal(found.codes[0], [1, 0, 1, 2])
    assert found.codes[0].dtype == np.int64
    assert (found.values, found.names) == (values, tuple(map(str, values)))
    assert all(type(value) in (int, str) for value in found.values)


def test_booleans() -> None:
    for y in ([True, False], np.array([True, False]), pd.Series([True, False]), pd.Series([True, False], dtype=object)):
        found = number(y)
        assert (found.codes[0].tolist(), found.values) == ([1, 0], (False, True))


def test_categories_and_one_hot_columns_keep_their_order_and_those_without_rows() -> None:
    sizes = pd.Categorical(["mid", "low", "mid"], ["low", "mid", "high"])
    for y in (sizes, pd.Series(sizes), pd.get_dummies(pd.Series(sizes)), pd.get_dummies(sizes, dtype=float)):
        found = number(y)
        assert (found.codes[0].tolist(), found.values) == ([1, 0, 1], ("low", "mid", "high"))
    assert found.counts() == "'mid' 2, 'low' 1, 'high' 0"
    assert number(np.eye(3)[[2, 0]]).values == (0, 1, 2)


def test_parts_share_their_classes() -> None:
    found = number(np.array([3.0, 1.0]), [2, 3])
    assert ([codes.tolist() for codes in found.codes], found.values) == ([[2, 0], [1, 2]], (1, 2, 3))
