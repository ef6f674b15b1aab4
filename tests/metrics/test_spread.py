from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from reference import metrics as reference
from trustworthy.core.errors import InvalidInput
from trustworthy.metrics import (
    error_uncertainty_correlation,
    interval_coverage,
    sparsification_curve,
    spread_curve,
)


@st.composite
def judged(draw, largest: int = 12):
    """Uncertainties with many ties, and errors."""
    uncertainty = draw(st.lists(st.integers(0, 4), min_size=2, max_size=largest))
    error = draw(st.lists(st.sampled_from([0.0, 0.5, 2.0]), min_size=len(uncertainty), max_size=len(uncertainty)))
    return uncertainty, error


@given(judged(5))
def test_a_sparsification_curve_averages_over_the_orders_of_ties(case):
    uncertainty, error = case
    n = len(error)
    curve = sparsification_curve(uncertainty, error)
    assert_allclose(curve.removed, [taken / n for taken in range(n)], atol=1e-15)
    for measured, score in ((curve.error, uncertainty), (curve.oracle, error)):
        expected = [reference.sparsified(score, error, n - taken) for taken in range(n)]
        assert_allclose(measured, expected, atol=1e-13)


@given(judged())
def test_no_uncertainty_beats_the_oracle(case):
    uncertainty, error = case
    curve = sparsification_curve(uncertainty, error)
    assert (curve.oracle <= curve.error + 1e-12).all()
    assert curve.ause >= -1e-12
    assert sparsification_curve(error, error).ause == 0.0


def test_area_of_what_knows_nothing_and_of_the_worst():
    """Errors u uniform on (0, 1): the oracle keeps the mean (1 - s) / 2, no knowledge 1 / 2, the worst (1 + s) / 2."""
    error = (np.arange(100_000) + 0.5) / 100_000
    assert_allclose(sparsification_curve(np.zeros(100_000), error).ause, 0.99**2 / 4, rtol=1e-9)
    assert_allclose(sparsification_curve(-error, error).ause, 0.99**2 / 2, rtol=1e-9)


@given(judged())
def test_correlations_equal_their_definitions(case):
    uncertainty, error = case
    assume(len(set(uncertainty)) > 1 and len(set(error)) > 1)
    expected = reference.correlation(uncertainty, error)
    assert_allclose(error_uncertainty_correlation(uncertainty, error, method="pearson"), expected, atol=1e-12)
    expected = reference.correlation(*map(reference.mean_ranks, case))
    assert_allclose(error_uncertainty_correlation(uncertainty, error), expected, atol=1e-12)


def test_coverage_counts_both_ends_and_each_image_for_itself():
    assert interval_coverage([0, 0, 0, -math.inf], [1, 1, 1, math.inf], [0.0, 1.0, 1.5, 7.0]) == 0.75
    y = np.arange(12.0).reshape(2, 1, 2, 3)
    assert_array_equal(interval_coverage(y - 1, np.where(y > 8, y - 0.5, y + 1), y), [1.0, 0.5])


def test_the_spread_of_gaussian_errors_is_calibrated_once_it_is_scaled():
    generator = np.random.default_rng(0)
    std = np.exp(generator.normal(size=20_000))
    error = 2.0 * std * generator.normal(size=20_000)
    curve = spread_curve(std, error)
    assert abs(curve.scale - 2.0) < 3.3 * 2.0 / math.sqrt(2 * 20_000)  # its standard deviation, 0.999
    assert abs(curve.miscalibration - 1.0) < 0.05
    assert spread_curve(2.0 * std, error).miscalibration < 0.04  # 10 bins of 2,000 are off by 0.8 / sqrt(4,000) each


def test_bins_of_the_spread_hold_equally_many_and_keep_ties_together():
    curve = spread_curve([1, 1, 1, 2, 3, 3], [1, -1, 2, 2, 0, 6], bins=2)
    assert_array_equal(curve.count, [3, 3])
    assert_allclose(curve.std, [1.0, math.sqrt((4 + 9 + 9) / 3)])
    assert_allclose(curve.error, [math.sqrt(2.0), math.sqrt((4 + 0 + 36) / 3)])
    assert_allclose(curve.scale, math.sqrt((1 + 1 + 4 + 1 + 0 + 4) / 6))
    assert_array_equal(spread_curve([1, 1, 1, 1, 3, 3], np.ones(6), bins=3).count, [4, 2])
    assert_array_equal(spread_curve(np.arange(1, 11), np.ones(10), bins=4).count, [3, 2, 3, 2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sparsification_curve([1, 2], [0, -1]), "error must be >= 0, got -1; pass np.abs"),
        (lambda: sparsification_curve([1, math.nan], [0, 1]), "uncertainty must not contain NaN"),
        (lambda: sparsification_curve([1], [0, 1]), "got 1 for uncertainty, 2 for error"),
        (lambda: error_uncertainty_correlation([1, 1], [0, 1]), "uncertainty must not be constant"),
        (lambda: error_uncertainty_correlation([1, 2], [0, 1], method="kendall"), "unknown method 'kendall'"),
        (lambda: interval_coverage([1], [0], [0]), "lower must be <= upper, got 1 intervals the other way round"),
        (lambda: interval_coverage([1, 1], [2], [0]), "lower, upper and y must have one shape"),
        (lambda: spread_curve([0.0, 1.0], [1, 1]), "std must be > 0, got 0; add the noise"),
    ],
)
def test_refuses_what_has_no_answer(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()
