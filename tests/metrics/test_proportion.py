import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import binom, binomtest

from trustworthy.core.errors import InvalidInput
from trustworthy.metrics import clopper_pearson_lower, proportion_interval


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
