from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from trustworthy.core.errors import InvalidInput
from trustworthy.metrics import area_under_curve


def test_straight_lines_are_exact():
    x = np.array([0.0, 0.1, 0.7, 1.0])
    assert_allclose(area_under_curve(x, 3 * x + 1), 2.5, rtol=1e-15)


def test_a_vertical_step_adds_nothing():
    assert area_under_curve([0, 1, 1, 2], [0, 0, 1, 1]) == 1.0


def test_converges_with_order_two():
    errors = []
    for n in (10, 20, 40):
        x = np.linspace(0, 1, n + 1)
        errors.append(abs(area_under_curve(x, np.exp(x)) - (math.e - 1)))
    assert_allclose(np.log2([errors[0] / errors[1], errors[1] / errors[2]]), 2.0, atol=0.01)


@given(st.lists(st.integers(-50, 50), min_size=3, max_size=20).map(sorted), st.data())
def test_areas_of_adjacent_parts_add_up(x, data):
    y = data.draw(st.lists(st.integers(-50, 50), min_size=len(x), max_size=len(x)))
    cut = data.draw(st.integers(1, len(x) - 2))
    whole = area_under_curve(x, y)
    assert area_under_curve(x[: cut + 1], y[: cut + 1]) + area_under_curve(x[cut:], y[cut:]) == whole


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([0, 2, 1], [0, 0, 0], r"x must be in ascending order; sort both with order = np.argsort\(x\)"),
        ([0], [1], "x must hold at least two points"),
        ([0, 1], [1], "got 2 for x, 1 for y"),
        ([0, math.inf], [1, 1], "x must be finite"),
        ([0, 1], [1, math.nan], "y must not contain NaN"),
        ([], [], "x must not be empty"),
    ],
)
def test_refuses_what_is_no_curve(x, y, message):
    with pytest.raises(InvalidInput, match=message):
        area_under_curve(x, y)
