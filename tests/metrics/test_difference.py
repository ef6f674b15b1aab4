import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binomtest, multinomial, norm

from trustworthy.core.errors import InvalidInput
from trustworthy.metrics import difference_interval, paired_share_interval, proportion_interval


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize("n", [5, 20, pytest.param(100, marks=pytest.mark.slow)])
def test_a_paired_interval_covers_the_change_as_often_as_it_says(n, level):
    outcomes = np.array([(b, c, n - b - c) for b in range(n + 1) for c in range(n + 1 - b)])
    low, high = np.array([paired_share_interval(int(b), int(c), n, level) for b, c, _ in outcomes]).T
    shares = (0.0, 0.001, 0.02, 0.1, 0.2, 0.3, 0.45, 0.7, 0.9)
    for lost, gained in ((p, q) for p in shares for q in shares if p + q <= 1.0):
        often = multinomial.pmf(outcomes, n, [lost, gained, max(1.0 - lost - gained, 0.0)])
        change = gained - lost
        assert often[(low <= change + 1e-12) & (change - 1e-12 <= high)].sum() >= level
        if lost == gained:
            assert often[high < 0.0].sum() <= (1.0 - level) / 2  # a gate that sees a drop where there is none


def test_a_paired_interval_sees_a_change_where_the_exact_test_of_mcnemar_does():
    differ = []
    for lost in range(1, 25):
        for gained in range(lost):
            drop = paired_share_interval(lost, gained, 1000)[1] < 0.0
            if drop != (binomtest(lost, lost + gained).pvalue <= 0.05):
                differ.append((lost, gained))
    assert differ == [(5, 0), (11, 3), (16, 6), (19, 8), (22, 10)]


@pytest.mark.parametrize(("lost", "gained", "n"), [(0, 0, 30), (3, 3, 30), (30, 0, 30), (0, 1, 1), (10, 20, 30)])
def test_a_paired_interval_is_never_a_point_nor_beyond_one(lost, gained, n):
    low, high = paired_share_interval(lost, gained, n)
    assert -1.0 <= low <= (gained - lost) / n <= high <= 1.0
    assert low < high
    assert_allclose(paired_share_interval(gained, lost, n), (-high, -low))


def test_independent_intervals_of_normal_estimates_combine_as_variances_do():
    z = norm.ppf(0.975)
    low, high = difference_interval(1.0, (1.0 - 3 * z, 1.0 + 3 * z), 3.0, (3.0 - 4 * z, 3.0 + 4 * z))
    assert_allclose((low, high), (2.0 - 5 * z, 2.0 + 5 * z))
    low, high = difference_interval(1.0, (1.0 - 3 * z, 1.0 + 3 * z), 3.0, (3.0 - 4 * z, 3.0 + 4 * z), correlation=1.0)
    assert_allclose((low, high), (2.0 - z, 2.0 + z))


def test_the_interval_of_independent_shares_uses_the_ends_that_face_each_other():
    before, after = proportion_interval(0, 20), proportion_interval(20, 20)
    low, high = difference_interval(0.0, before, 1.0, after)
    assert high == 1.0
    assert_allclose(low, 1.0 - np.hypot(1.0 - after[0], before[1]))


@pytest.mark.parametrize("given", [(0, 0, 0), (-1, 0, 5), (3, 3, 5), (0, 6, 5)])
def test_counts_that_cannot_be_are_refused(given):
    with pytest.raises(InvalidInput):
        paired_share_interval(*given)


def test_an_interval_beside_its_value_is_refused():
    with pytest.raises(InvalidInput, match="interval_after must hold after"):
        difference_interval(0.5, (0.4, 0.6), 0.5, (0.6, 0.7))


def test_a_correlation_beyond_one_is_refused():
    with pytest.raises(InvalidInput, match="correlation must be <= 1"):
        difference_interval(0.5, (0.4, 0.6), 0.5, (0.4, 0.6), correlation=2.0)
