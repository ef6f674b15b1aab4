from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from trustworthy.core.errors import InvalidInput, TrustworthyWarning
from trustworthy.metrics import auroc, bootstrap, bootstrap_interval, nll


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20), st.floats(0.01, 0.99))
def test_interval_is_ordered_and_within_the_data(values, level):
    low, high = bootstrap_interval(np.mean, values, level=level, resamples=50, random_state=0)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20))
def test_a_higher_level_holds_a_lower_one(values):
    wide, narrow = (
        bootstrap_interval(np.mean, values, level=level, resamples=50, random_state=0) for level in (0.9, 0.5)
    )
    assert wide[0] <= narrow[0] <= narrow[1] <= wide[1]


@given(st.lists(st.integers(-100, 100), min_size=2, max_size=20))
def test_the_interval_of_the_negative_is_the_negative(values):
    low, high = bootstrap_interval(np.mean, values, resamples=100, random_state=0)
    assert bootstrap_interval(np.mean, np.negative(values), resamples=100, random_state=0) == (-high, -low)


def test_the_fast_mean_is_the_mean():
    values = np.random.default_rng(0).normal(size=37)
    fast = bootstrap_interval(np.mean, values, random_state=3)
    assert_allclose(fast, bootstrap_interval(lambda v: v.mean(), values, random_state=3), rtol=1e-13)


def test_working_in_chunks_changes_nothing(monkeypatch):
    values = np.random.default_rng(0).normal(size=37)
    whole = bootstrap_interval(np.mean, values, random_state=3)
    monkeypatch.setattr(bootstrap, "CHUNK", 100)
    assert bootstrap_interval(np.mean, values, random_state=3) == whole


def test_quantiles_of_all_resamples_of_three_values():
    """Of the 27 equally likely resamples of (0, 1, 5), the mean has the quantiles counted here one by one."""
    values = [0.0, 1.0, 5.0]
    means = np.sort([np.mean(resample) for resample in itertools.product(values, repeat=3)])
    low, high = bootstrap_interval(np.mean, values, level=0.8, resamples=20_000, random_state=0)
    assert_allclose((low, high), (means[2], means[24]), rtol=1e-14)  # the 10 % and 90 % points of 27


def test_the_mean_of_many_values_reaches_the_normal_interval():
    values = np.random.default_rng(1).normal(size=500)
    half = 1.959964 * values.std() / math.sqrt(len(values))
    interval = bootstrap_interval(np.mean, values, resamples=20_000, random_state=0)
    assert_allclose(interval, (values.mean() - half, values.mean() + half), atol=0.03 * half)


def test_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    trials, hits = 400, 0
    for _ in range(trials):
        low, high = bootstrap_interval(np.mean, rng.exponential(size=60), level=0.9, resamples=400, random_state=rng)
        hits += low <= 1.0 <= high
    assert 0.82 <= hits / trials <= 0.93  # the percentile interval of a skewed mean falls short by a few percent


def test_rows_stay_together():
    p = np.random.default_rng(0).random((20, 2))
    low, high = bootstrap_interval(lambda a, b: float(np.abs(a - b).max()), p, p.copy(), random_state=0)
    assert (low, high) == (0.0, 0.0)


def test_takes_statistics_of_labels_and_probabilities():
    p, y = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]]), np.array([0, 0, 1])
    low, high = bootstrap_interval(nll, p, y, resamples=200, random_state=0)
    assert -math.log(0.9) <= low < nll(p, y) < high <= -math.log(0.4)


def test_an_infinite_statistic_gives_an_infinite_end_and_not_nan():
    p, y = np.array([[0.5, 0.5]] * 5 + [[1.0, 0.0]]), np.array([0] * 5 + [1])
    assert bootstrap_interval(nll, p, y, resamples=200, random_state=0) == (pytest.approx(math.log(2)), math.inf)


@pytest.mark.parametrize("value", [0.1, 1.0, True, 3])
def test_constant_data_give_exactly_their_value(value):
    assert bootstrap_interval(np.mean, [value] * 10, random_state=0) == (np.mean([value] * 10),) * 2


def test_one_example_gives_a_point_and_a_warning():
    with pytest.warns(TrustworthyWarning, match="one example says nothing about spread"):
        assert bootstrap_interval(np.mean, [0.3]) == (0.3, 0.3)


def test_resamples_without_a_value_are_left_out():
    scores, truth = np.arange(10.0), np.arange(10) >= 8  # about one resample in ten has no positive
    assert bootstrap_interval(auroc, scores, truth, resamples=50, random_state=0) == (1.0, 1.0)


def test_a_statistic_that_is_mostly_undefined_is_refused():
    def fragile(values: np.ndarray) -> float:
        return 1.0 if len(np.unique(values)) == len(values) else math.nan

    with pytest.raises(InvalidInput, match=r"statistic must be defined on most resamples, got \d+ of 100"):
        bootstrap_interval(fragile, np.arange(8), resamples=100, random_state=0)


def test_other_errors_of_the_statistic_are_not_swallowed():
    def broken(values: np.ndarray) -> float:
        return 0.0 if values[0] == 0 else 1 / 0

    with pytest.raises(ZeroDivisionError):
        bootstrap_interval(broken, np.arange(8), resamples=100, random_state=0)


def test_a_seed_repeats_and_a_generator_moves_on():
    values = np.random.default_rng(0).normal(size=30)
    assert bootstrap_interval(np.mean, values, random_state=5) == bootstrap_interval(np.mean, values, random_state=5)
    rng = np.random.default_rng(5)
    first, second = (bootstrap_interval(np.mean, values, random_state=rng) for _ in range(2))
    assert first == bootstrap_interval(np.mean, values, random_state=5)
    assert second != first


def test_the_global_stream_is_used_only_without_a_seed():
    values = np.arange(10.0)
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[2]  # noqa: NPY002
    bootstrap_interval(np.mean, values, random_state=1)
    assert np.random.get_state()[2] == before  # noqa: NPY002
    first = bootstrap_interval(np.mean, values)
    np.random.seed(0)  # noqa: NPY002
    assert bootstrap_interval(np.mean, values) == first
    assert bootstrap_interval(np.mean, values) != first


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ([], {}, "arrays must hold at least one array, got none"),
        ([[]], {}, r"arrays\[0\] must hold at least one example"),
        ([3.0], {}, r"arrays\[0\] must hold at least one example"),
        ([[1.0, 2.0], [1.0]], {}, r"got 2 for arrays\[0\], 1 for arrays\[1\]"),
        ([[1.0, math.nan]], {}, "statistic must be defined on the arrays themselves, got NaN"),
        ([[1.0, 2.0]], {"level": 1.0}, "level must be < 1"),
        ([[1.0, 2.0]], {"level": 0.0}, "level must be > 0"),
        ([[1.0, 2.0]], {"resamples": 0}, "resamples must be >= 1"),
        ([[1.0, 2.0]], {"random_state": -1}, "random_state must be >= 0"),
    ],
)
def test_refuses_what_it_cannot_resample(arrays, options, message):
    with pytest.raises(InvalidInput, match=message):
        bootstrap_interval(np.mean, *arrays, **options)
