import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import binom, binomtest

from trustworthy.core.errors import InvalidInput
from trustworthy.metrics import clopper_pearson_lower, proportion_interval


@given(st.integers(1, 3000), st.floats(0.0, 1.0), st.sampled_from([1e-4, 0.001, 0.05, 0.4]))
def test_the_lower_bound_is_clopper_and_pearsons(n, share, alpha):
    k = round(n * share)
    exact = binomtest(k, n).proportion_ci(confidence_level=1 - 2 * alpha, method="exact").low
    assert_allclose(clopper_pearson_lower(np.array([k]), n, alpha), [exact], rtol=1e-9, atol=1e-300)


@given(st.integers(1, 500), st.floats(0.0, 1.0), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_the_interval_is_scipys_and_never_a_point(n, share, level):
    k = round(n * share)
    low, high = proportion_interval(k, n, level)
    exact = binomtest(k, n).proportion_ci(confidence_level=level, method="exact")
    assert_allclose((low, high), exact, rtol=1e-9, atol=1e-12)
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
