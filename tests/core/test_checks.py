from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, UnknownName


@pytest.mark.parametrize("value", [0.5, 1, np.float32(0.25), np.float64(2), np.int64(3), Fraction(1, 2)])
def test_real_numbers_of_every_kind_become_floats(value):
    number = checks.real("eps", value)
    assert (type(number), number) == (float, float(value))


@pytest.mark.parametrize("value", [True, np.bool_(True), "1", None, 1j, [1.0], torch.tensor(1.0), np.ones(1)])
def test_what_is_no_real_number_is_refused(value):
    with pytest.raises(InvalidInput, match="eps must be a real number, got "):
        checks.real("eps", value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan"), 10**400])
def test_infinities_and_nan_are_refused(value):
    with pytest.raises(InvalidInput, match="eps must be finite, got "):
        checks.real("eps", value)


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ({"above": 0}, 0.0, "eps must be > 0, got 0.0"),
        ({"at_least": 0}, -1e-9, "eps must be >= 0, got -1e-09"),
        ({"at_most": 1}, 1.5, "eps must be <= 1, got 1.5"),
        ({"above": 0, "at_most": 1}, 2, "eps must be <= 1, got 2"),
    ],
)
def test_real_numbers_out_of_range_are_refused(limit, value, message):
    with pytest.raises(InvalidInput, match=message):
        checks.real("eps", value, **limit)


def test_the_ends_of_a_closed_range_belong_to_it():
    assert checks.real("eps", 0, at_least=0) == 0.0
    assert checks.real("eps", 1, at_most=1, above=0) == 1.0
    assert checks.integer("k", 3, at_least=3, at_most=3) == 3


@pytest.mark.parametrize("value", [0, -4, np.int32(7), 10**30])
def test_whole_numbers_of_every_kind_become_ints(value):
    number = checks.integer("k", value)
    assert (type(number), number) == (int, value)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, torch.tensor(1)])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(InvalidInput, match="k must be a whole number, got "):
        checks.integer("k", value)


@pytest.mark.parametrize(
    ("limit", "message"), [({"at_least": 6}, "k must be >= 6, got 5"), ({"at_most": 4}, "k must be <= 4, got 5")]
)
def test_whole_numbers_out_of_range_are_refused(limit, message):
    with pytest.raises(InvalidInput, match=message):
        checks.integer("k", 5, **limit)


def test_a_choice_is_looked_up():
    assert checks.choice("loss", "ce", {"ce": 1, "dlr": 2}) == 1


def test_an_unknown_choice_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown loss 'dlrr'; did you mean 'dlr'\? Known: ce, dlr\."):
        checks.choice("loss", "dlrr", {"ce": 1, "dlr": 2})
