import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import binom, binomtest

from trustworthy.core.errors import InvalidInput
from trustworthy.metrics import clopper_pearson_lower, grouped_interval, proportion_interval


@given(st.integers(1, 3000), st.floats(0.0, 1.0), st.sampled_from([1e-4, 0.001, 0.05, 0.4]))
@example(3, 0.25, 1e-4)  # SciPy's root finder stops at 2e-9
def test_at_the_lower_bound_so_many_successes_have_the_probability_alpha(n, share, alpha):
    k = round(n * share)
    (low,) = clopper_pearson_lower(np.array([k]), n, alpha)
    if k:
        assert_allclose(binom.sf(k - 1, n, low), alpha, rtol=1e-9)
    else:
        assert low == 0.0


@given(st.integers(1, 500), st.floats(0.0, 1.0), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_the_interval_is_scipys_and_never_a_point(n, share, level):
    k = round(n * share)
    low, high = proportion_interval(k, n, level)
    exact = binomtest(k, n).proportion_ci(confidence_level=level, method="exact")
    assert_allclose((low, high), exact, atol=1e-7)  # as SciPy finds it; the test above is the sharp one
    assert 0.0 <= low <= k / n <= high <= 1.0
    assert low < high


@pytest.mark.parametrize("n", [1, 5, 20, 100])
def test_it_covers_the_probability_as_often_as_it_says(n):
    ends = np.array([proportion_interval(k, n, 0.9) for k in range(n + 1)])
    for p in np.linspace(0.0, 1.0, 201):
        inside = (ends[:, 0] <= p) & (p <= ends[:, 1])
        assert binom.pmf(np.arange(n + 1), n, p)[inside].sum() >= 0.9 - 1e-12


@pytest.mark.parametrize("given", [(0, 0), (3, 2), (-1, 2), (1, 2, 1.0), (1, 2, 0.0), (3, 2, 0.9)])
def test_it_refuses_nonsense(given):
    with pytest.raises(InvalidInput):
        proportion_interval(*given)


def test_groups_of_one_row_are_independent_trials():
    hits = np.arange(40) % 3 > 0
    assert_allclose(grouped_interval(hits, np.arange(40), 0.9), proportion_interval(int(hits.sum()), 40, 0.9))


def test_copies_of_a_row_tell_no_more_than_the_row():
    hits, groups = np.repeat(np.arange(20) % 4 > 0, 50), np.repeat(np.arange(20), 50)
    low, high = grouped_interval(hits, groups)
    once = proportion_interval(15, 20)
    assert low <= once[0] < once[1] <= high
    assert_allclose((low, high), once, atol=0.03)  # wider only by what Student's quantiles of 19 and 999 degrees differ
    assert_allclose(grouped_interval(hits | True, groups), proportion_interval(20, 20))
    assert grouped_interval(hits, np.zeros(len(hits))) == (0.0, 1.0)


def test_it_covers_the_share_of_groups_that_differ():
    """Twelve groups of 30 rows, whose own shares are uniform from 0.4 to 1; the exact interval holds 0.7 in 62%."""
    random = np.random.default_rng(0)
    groups, inside = np.repeat(np.arange(12), 30), 0
    for _ in range(400):
        hits = random.random(360) < np.repeat(random.uniform(0.4, 1.0, 12), 30)
        low, high = grouped_interval(hits, groups)
        inside += low <= 0.7 <= high
    assert inside >= 0.94 * 400
