from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from reference import metrics as reference
from trustworthy.core.errors import InvalidInput
from trustworthy.metrics import OperatingPoint, risk_coverage_curve


@st.composite
def answers(draw, largest: int = 15):
    confidence = draw(st.lists(st.integers(0, 4), min_size=1, max_size=largest))
    loss = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=len(confidence), max_size=len(confidence)))
    return np.array(confidence), np.array(loss)


@given(answers(6))
def test_area_averages_over_the_orders_of_ties(case):
    confidence, loss = case
    assert_allclose(risk_coverage_curve(confidence, loss).area, reference.aurc(confidence, loss), atol=1e-13)


@given(answers())
def test_each_point_is_the_mean_loss_at_or_above_its_threshold(case):
    confidence, loss = case
    curve = risk_coverage_curve(confidence, loss)
    assert_array_equal(curve.threshold, sorted(set(confidence), reverse=True))
    for threshold, coverage, risk in zip(curve.threshold, curve.coverage, curve.risk, strict=True):
        assert_allclose(coverage, (confidence >= threshold).mean(), rtol=1e-14)
        assert_allclose(risk, loss[confidence >= threshold].mean(), rtol=1e-14, atol=1e-15)


@given(answers(), st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]))
def test_the_operating_point_is_the_widest_that_keeps_the_risk(case, target):
    confidence, loss = case
    point = risk_coverage_curve(confidence, loss).at_risk(target)
    allowed = [t for t in set(confidence) if loss[confidence >= t].mean() <= target]
    if point is None:
        assert not allowed
    else:
        answered = confidence >= point.threshold
        assert point.threshold == min(allowed)
        assert_allclose((point.coverage, point.risk), (answered.mean(), loss[answered].mean()), atol=1e-14)


@given(answers(), st.randoms(use_true_random=False))
def test_the_curve_is_blind_to_order_and_scale(case, random):
    confidence, loss = case
    order = random.sample(range(len(loss)), len(loss))
    curve = risk_coverage_curve(confidence, loss)
    other = risk_coverage_curve(np.exp(confidence[order]), loss[order])
    assert_array_equal(other.answered, curve.answered)
    assert_allclose(other.risk, curve.risk, atol=1e-15)
    assert 0.0 <= curve.area <= 1.0


def test_area_of_the_best_and_the_worst_order():
    """With w of n wrong: the best order has sum (k - (n - w)) / k over the last w, the worst sum min(k, w) / k."""
    n, w = 20, 6
    loss = np.arange(n) < w
    k = np.arange(1, n + 1)
    best = np.maximum(k - (n - w), 0) / k
    worst = np.minimum(k, w) / k
    assert_allclose(risk_coverage_curve(np.arange(n), loss).area, best.mean(), rtol=1e-13)
    assert_allclose(risk_coverage_curve(-np.arange(n), loss).area, worst.mean(), rtol=1e-13)
    assert_allclose(risk_coverage_curve(np.zeros(n), loss).area, w / n, rtol=1e-13)


def test_a_tie_is_answered_or_refused_as_a_whole():
    curve = risk_coverage_curve([0.9, 0.8, 0.8, 0.7], [0, 0, 1, 0])
    assert curve.at_risk(0.0) == OperatingPoint(threshold=0.9, coverage=0.25, risk=0.0)
    assert curve.at_risk(0.3) == OperatingPoint(threshold=0.7, coverage=1.0, risk=0.25)


def test_no_point_reaches_the_risk_where_the_most_confident_are_wrong():
    assert risk_coverage_curve([1.0, 0.5], [1, 0]).at_risk(0.4) is None


def test_takes_infinite_confidence():
    assert_array_equal(risk_coverage_curve([math.inf, 0.0, -math.inf], [0, 0, 1]).answered, [1, 2, 3])


@pytest.mark.parametrize(
    ("confidence", "loss", "message"),
    [
        ([0.5, math.nan], [0, 1], "confidence must not contain NaN"),
        ([0.5, 0.1], [0, math.inf], "loss must be finite"),
        ([0.5, 0.1], [0, -1], "loss must be >= 0, got -1"),
        ([0.5, 0.1], [0], "got 2 for confidence, 1 for loss"),
        ([], [], "confidence must not be empty"),
        ([[0.5, 0.5]], [0], r"confidence must have shape \(n,\), got \(1, 2\)"),
    ],
)
def test_refuses_what_it_cannot_order(confidence, loss, message):
    with pytest.raises(InvalidInput, match=message):
        risk_coverage_curve(confidence, loss)


def test_the_target_must_be_a_number():
    with pytest.raises(InvalidInput, match="risk must be finite"):
        risk_coverage_curve([0.5], [0]).at_risk(math.nan)
