"""Intervals of numbers: coverage over many calibrations, widths that say which they are, and refusals."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import norm

from trustworthy.core.errors import InvalidInput
from trustworthy.core.predictive import Predictive
from trustworthy.uncertainty.conformal import Intervals, calibrate_intervals, calibrate_quantiles


def sample(n, random):
    """A prediction, its true standard deviation by the row, and the truth."""
    mean, std = random.normal(size=n), random.uniform(0.2, 2.0, n)
    return mean, std, mean + std * random.normal(size=n)


def absolute(cal, new, level):
    return calibrate_intervals(cal[0], cal[2], level=level)(new[0])


def scaled(cal, new, level):
    return calibrate_intervals(cal[0], cal[2], std=5 * cal[1], level=level)(new[0], 5 * new[1])


def quantiles(cal, new, level):
    """A model whose quantiles are far too narrow."""
    return calibrate_quantiles(cal[0] - 0.3 * cal[1], cal[0] + 0.3 * cal[1], cal[2], level=level)(
        new[0] - 0.3 * new[1], new[0] + 0.3 * new[1]
    )


@pytest.mark.parametrize("kind", [absolute, scaled, quantiles])
@pytest.mark.parametrize("repetitions", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_intervals_hold_the_truth_as_often_as_was_promised(kind, repetitions):
    random, held = np.random.default_rng(0), []
    for _ in range(repetitions):
        new = sample(2000, random)
        held.append(kind(sample(100, random), new, 0.8).covered(new[2]).mean())
    error = 4 * np.std(held) / np.sqrt(repetitions)
    assert 0.8 - error < np.mean(held) < 0.8 + 1 / 101 + error


def test_scaled_intervals_are_those_of_the_normal_distribution():
    random = np.random.default_rng(0)
    mean, std, y = sample(20_000, random)
    found = calibrate_intervals(mean, y, std=std, level=0.9)(mean, std)
    assert_allclose(found.half_width, norm.ppf(0.95) * std, rtol=0.03)
    assert_allclose(found.center, mean, atol=1e-12)


@given(st.integers(0, 20), st.booleans())
def test_half_of_the_width_goes_there_and_back(seed, single):
    random = np.random.default_rng(seed)
    center, half = (random.normal(size=(3, 4)) ** k for k in (1, 2))
    if single:
        center, half = center.astype(np.float32), half.astype(np.float32)
    found = Intervals.around(center, half, 0.9)
    assert found.lower.dtype == center.dtype
    assert_allclose(found.half_width, half, atol=1e-6)
    assert_allclose(found.upper - found.lower, 2 * half, atol=1e-6)
    assert_allclose(found.center, center, atol=1e-6)
    assert found.covered(center).all()
    assert not found.covered(center + 1.1 * half + 1e-5).any()


def test_the_draws_of_a_posterior_give_the_width():
    random = np.random.default_rng(0)
    members = torch.tensor(random.normal(size=(5, 40, 1)))
    y = random.normal(size=(40, 1))
    mean, std = members.mean(0).numpy(), members.std(0, correction=0).numpy()
    ours = calibrate_intervals(Predictive(members), y)(Predictive(members))
    assert_allclose(ours.upper, calibrate_intervals(mean, y, std=std)(mean, std).upper, rtol=1e-12)
    one = Predictive(members[:1])
    assert np.ptp(calibrate_intervals(one, y)(one).half_width) < 1e-12


def test_a_correction_beyond_the_middle_leaves_a_point():
    wide, y = np.linspace(0, 1, 20), np.zeros(20)
    found = calibrate_quantiles(-wide - 5, wide + 5, y, level=0.5)(np.full(2, -1.0), np.full(2, 3.0))
    assert found.lower.tolist() == found.upper.tolist() == [1.0, 1.0]


TEN = np.arange(10.0)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: calibrate_intervals(TEN[:9], TEN[:9]), "level=0.9 needs at least 10 calibration rows, got 9"),
        (lambda: calibrate_quantiles(TEN, TEN, TEN, level=0.95), "needs at least 20 calibration rows, got 10"),
        (lambda: calibrate_intervals(np.ones((10, 2)), TEN), "all of a row together by calibrate_maps"),
        (lambda: calibrate_intervals(TEN, TEN + 1, std=TEN), "std is 0 in 1 rows"),
        (lambda: calibrate_intervals(TEN, [np.nan] * 10), "y must not contain NaN"),
        (lambda: calibrate_intervals(TEN, TEN[:9]), "one row per example"),
        (lambda: calibrate_intervals(TEN, TEN)(TEN, TEN + 1), "std must be given only where"),
        (lambda: calibrate_intervals(TEN, TEN, std=TEN + 1)(TEN), "std must be given as it was"),
        (lambda: calibrate_quantiles(TEN + 1, TEN, TEN), "10 rows where it is not"),
        (lambda: calibrate_intervals(TEN, TEN)(TEN).covered(TEN[:3]), "y must have the shape of the intervals"),
    ],
)
def test_refuses_what_makes_no_sense(call, said):
    with pytest.raises(InvalidInput, match=said):
        call()
