"""The threshold at which a case goes to a person: its guarantee over many samples, and its edges."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import beta, binom

from trustworthy.core.errors import InvalidInput
from trustworthy.metrics import risk_coverage_curve
from trustworthy.uncertainty.handoff import handoff_threshold


def sample(n, random, steps=None):
    """Confidences, uniform in [0, 1], and wrong answers with probability 0.4 (1 - confidence)."""
    confidence = random.random(n) if steps is None else random.integers(0, steps, n) / steps
    return confidence, random.random(n) < 0.4 * (1 - confidence)


def true_risk(threshold):
    return 0.2 * (1 - max(threshold, 0.0))


@pytest.mark.parametrize(("n", "risk"), [(1000, 0.1), (150, 0.05)])
def test_the_risk_holds_as_often_as_was_promised(n, risk):
    random, level = np.random.default_rng(0), 0.9
    fitted = [handoff_threshold(*sample(n, random), risk=risk, level=level) for _ in range(200)]
    broken = sum(true_risk(found.threshold) > risk for found in fitted)
    assert broken <= binom.ppf(0.999, 200, 1 - level)
    assert all(found.risk_bound <= risk for found in fitted if found.coverage)
    # The threshold that has the risk on the sample itself promises nothing.
    naive = [risk_coverage_curve(*sample(n, random)).at_risk(risk).threshold for _ in range(200)]
    assert sum(true_risk(threshold) > risk for threshold in naive) > binom.ppf(0.999, 200, 0.3)


def test_many_examples_come_close_to_the_best_coverage():
    found = handoff_threshold(*sample(50_000, np.random.default_rng(1)), risk=0.1, level=0.95)
    assert 0.4 <= found.coverage <= 0.5  # the risk of 0.1 is that of the upper half
    assert_allclose(1 - found.threshold, found.coverage, atol=0.01)


def test_answers_what_is_above_the_threshold_and_reports_that():
    confidence, wrong = sample(2000, np.random.default_rng(2), steps=40)
    found = handoff_threshold(confidence, wrong, risk=0.12)
    answered = found.answered(confidence)
    assert answered.tolist() == (confidence > found.threshold).tolist()
    assert_allclose(answered.mean(), found.coverage)
    errors, n = wrong[answered].sum(), answered.sum()
    assert beta.ppf(0.95, errors + 1, n - errors) < found.risk_bound <= 0.12


def test_answers_everything_or_nothing_where_that_is_right():
    confidence = np.linspace(0, 1, 100)
    everything = handoff_threshold(confidence, np.zeros(100), risk=0.1)
    assert (everything.threshold, everything.coverage) == (-np.inf, 1.0)
    nothing = handoff_threshold(confidence, np.ones(100), risk=0.1)
    assert (nothing.threshold, nothing.coverage, nothing.risk_bound) == (np.inf, 0.0, 1.0)
    assert not nothing.answered(confidence).any()
    # One confidence for all leaves one question, whether to answer everything.
    assert handoff_threshold(np.ones(100), np.arange(100) < 50, risk=0.1).coverage == 0.0


def test_says_how_many_examples_a_risk_needs():
    needed = 59  # 0.95 ** 59 < 0.05 < 0.95 ** 58
    with pytest.raises(InvalidInput, match=r"58 examples are too few .* at least 59 without an error"):
        handoff_threshold(np.arange(needed - 1), np.zeros(needed - 1), risk=0.05)
    assert handoff_threshold(np.arange(needed), np.zeros(needed), risk=0.05).coverage == 1.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"risk": 0.0}, "risk must be > 0"),
        ({"risk": 1.0}, "risk must be < 1"),
        ({"level": 1.0}, "level must be < 1"),
        ({"confidence": [np.nan] * 100}, "confidence must not contain NaN"),
        ({"wrong": [0.5] * 100}, "wrong must be true or false"),
        ({"wrong": [True]}, "one row per example"),
    ],
)
def test_refuses_what_makes_no_sense(change, said):
    with pytest.raises(InvalidInput, match=said):
        handoff_threshold(**{"confidence": np.arange(100), "wrong": np.zeros(100), "risk": 0.1} | change)
