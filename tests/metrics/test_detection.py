from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from reference import metrics as reference
from trustworthy.core.errors import InvalidInput
from trustworthy.metrics import area_under_curve, aupr, auroc, fpr_at_recall, partial_auroc, precision_at_k, recall_at_k

CUTS = [0.05, 0.2, 0.25, 0.5, 1.0]


@st.composite
def ranked(draw, largest: int = 12):
    """Scores with many ties, and at least one example of each class."""
    scores = draw(st.lists(st.integers(0, 4), min_size=2, max_size=largest))
    truth = draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    assume(any(truth) and not all(truth))
    return scores, truth


@given(ranked(), st.sampled_from(CUTS))
def test_areas_equal_their_definitions(case, cut):
    scores, truth = case
    assert_allclose(auroc(scores, truth), reference.auroc(scores, truth), rtol=1e-13)
    assert_allclose(aupr(scores, truth), reference.average_precision(scores, truth), rtol=1e-13)
    area = partial_auroc(scores, truth, max_fpr=cut)
    assert_allclose(area, reference.partial_auroc(scores, truth, cut), rtol=1e-12, atol=1e-15)


@given(ranked(24), st.sampled_from([0.05, 0.5, 0.9, 0.95, 1.0]))
def test_false_positives_are_counted_at_the_highest_threshold_that_finds_enough(case, recall):
    scores, truth = case
    assert_allclose(fpr_at_recall(scores, truth, recall=recall), reference.fpr_at_recall(scores, truth, recall))


def test_a_recall_is_what_its_digits_say():
    """55 of 100 positives are 55 %, although 0.55 * 100 is 55.00000000000001."""
    scores, truth = [*range(100), 44.5], [True] * 100 + [False]
    assert fpr_at_recall(scores, truth, recall=0.55) == 0.0
    assert fpr_at_recall(scores, truth, recall=0.56) == 1.0


@given(ranked(6), st.data())
def test_top_k_averages_over_the_orders_of_ties(case, data):
    scores, truth = case
    k = data.draw(st.integers(1, len(scores)))
    expected = reference.true_positives_at(scores, truth, k)
    assert_allclose(precision_at_k(scores, truth, k), expected / k, rtol=1e-13)
    assert_allclose(recall_at_k(scores, truth, k), expected / sum(truth), rtol=1e-13)


@settings(max_examples=25)
@given(ranked(), st.sampled_from(CUTS), st.randoms(use_true_random=False))
def test_only_the_order_of_the_scores_matters(case, cut, random):
    scores, truth = np.array(case[0]), np.array(case[1])
    order = random.sample(range(len(scores)), len(scores))
    k = random.randint(1, len(scores))
    for metric in (
        auroc,
        aupr,
        lambda s, t: partial_auroc(s, t, max_fpr=cut),
        lambda s, t: precision_at_k(s, t, k),
        lambda s, t: recall_at_k(s, t, k),
    ):
        value = metric(scores, truth)
        assert 0.0 <= value <= 1.0
        assert metric(scores[order], truth[order]) == value
        assert metric(np.exp(3.0 * scores) - 7.0, truth) == value


@settings(max_examples=40)
@given(ranked(), st.sampled_from(CUTS))
def test_the_opposite_score_has_the_opposite_area(case, cut):
    scores, truth = np.array(case[0]), np.array(case[1])
    assert_allclose(auroc(-scores, truth), 1.0 - auroc(scores, truth), atol=1e-14)
    assert_allclose(partial_auroc(scores, truth, max_fpr=1.0), auroc(scores, truth), atol=1e-14)
    assert partial_auroc(scores, truth, max_fpr=cut) <= min(cut, auroc(scores, truth)) + 1e-14


@pytest.mark.parametrize("cut", CUTS)
def test_partial_area_of_a_perfect_a_constant_and_a_reversed_score(cut):
    truth = np.arange(10) < 5
    perfect, constant = truth.astype(float), np.zeros(10)
    assert_allclose(partial_auroc(perfect, truth, max_fpr=cut), cut, rtol=1e-14)
    assert_allclose(partial_auroc(perfect, truth, max_fpr=cut, normalised=True), 1.0, rtol=1e-14)
    assert_allclose(partial_auroc(constant, truth, max_fpr=cut), cut**2 / 2, rtol=1e-14)
    assert_allclose(partial_auroc(constant, truth, max_fpr=cut, normalised=True), 0.5, rtol=1e-14)
    assert partial_auroc(-perfect, truth, max_fpr=cut) == pytest.approx(0.0, abs=1e-15)


def test_the_scale_of_table_5_1():
    """At max_fpr = 0.2 the best is 0.2 and chance is 0.02, the scale on which 0.112 stands."""
    truth = np.arange(100) % 2
    assert_allclose(partial_auroc(truth, truth, max_fpr=0.2), 0.2, rtol=1e-14)
    assert_allclose(partial_auroc(np.zeros(100), truth, max_fpr=0.2), 0.02, rtol=1e-14)


def test_normalised_partial_area_is_that_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    scores, truth = rng.normal(size=200).round(1), rng.random(200) < 0.3
    for cut in (0.01, 0.2, 0.7):
        ours = partial_auroc(scores, truth, max_fpr=cut, normalised=True)
        assert_allclose(ours, roc_auc_score(truth, scores, max_fpr=cut), rtol=1e-12)


def test_a_cut_on_a_vertical_step_keeps_what_lies_left_of_it():
    scores, truth = [5, 4, 3, 2, 1], [0, 1, 1, 0, 1]  # the curve rises from 0 to 2/3 at a false-positive rate of 1/2
    assert partial_auroc(scores, truth, max_fpr=0.5) == 0.0
    assert_allclose(partial_auroc(scores, truth, max_fpr=0.75), 0.25 * 2 / 3, rtol=1e-14)


def test_infinite_and_nearly_equal_scores_keep_their_order():
    assert auroc([-math.inf, 0.0, math.inf, math.inf], [0, 0, 1, 1]) == 1.0
    assert auroc([1.0, math.nextafter(1.0, 2.0)], [0, 1]) == 1.0
    assert auroc([0.0, 5e-324], [0, 1]) == 1.0


def test_binormal_scores_reach_their_closed_form():
    """AUROC of N(1, 1) against N(0, 1) is Phi(1 / sqrt 2)."""
    rng, n = np.random.default_rng(0), 50_000
    truth = np.arange(2 * n) < n
    expected = (1.0 + math.erf(0.5)) / 2
    assert abs(auroc(rng.normal(size=2 * n) + truth, truth) - expected) < 4 / math.sqrt(12 * n) * 2


def test_top_k_by_hand():
    scores, truth = [0.9, 0.8, 0.8, 0.8, 0.1], [1, 1, 0, 0, 1]
    assert precision_at_k(scores, truth, 1) == 1.0
    assert_allclose(precision_at_k(scores, truth, 3), (1 + 2 / 3) / 3)
    assert recall_at_k(scores, truth, 5) == 1.0
    assert precision_at_k(scores, [0] * 5, 2) == 0.0


@pytest.mark.parametrize("truth", [[0, 0, 0], [1, 1, 1]])
def test_areas_need_both_classes(truth):
    for area in (auroc, lambda s, t: partial_auroc(s, t, max_fpr=0.2)):
        with pytest.raises(InvalidInput, match=f"must hold both classes, got {sum(truth)} positives in 3 examples"):
            area([1.0, 2.0, 3.0], truth)


def test_recall_and_precision_recall_need_a_positive():
    for metric in (aupr, lambda s, t: recall_at_k(s, t, 1)):
        with pytest.raises(InvalidInput, match="at least one positive, got none in 2"):
            metric([1.0, 2.0], [0, 0])


@pytest.mark.parametrize("k", [0, 4, -1, True])
def test_k_must_select_some_of_the_examples(k):
    for metric in (precision_at_k, recall_at_k):
        with pytest.raises(InvalidInput, match="k must be"):
            metric([1.0, 2.0, 3.0], [0, 1, 1], k)


@pytest.mark.parametrize("cut", [0.0, -0.1, 1.1, math.nan])
def test_max_fpr_must_be_a_rate(cut):
    with pytest.raises(InvalidInput, match="max_fpr must be"):
        partial_auroc([1.0, 2.0], [0, 1], max_fpr=cut)


@pytest.mark.parametrize(
    ("scores", "positives", "message"),
    [
        ([1.0, math.nan], [0, 1], "scores must not contain NaN"),
        ([1.0, 2.0], [0, 2], "positives must be true or false"),
        ([1.0, 2.0], [0, 1, 1], "got 2 for scores, 3 for positives"),
        ([], [], "scores must not be empty"),
        ([[1.0], [2.0]], [0, 1], r"scores must have shape \(n,\), got \(2, 1\)"),
    ],
)
def test_refuses_what_it_cannot_rank(scores, positives, message):
    for metric in (auroc, aupr, lambda s, t: partial_auroc(s, t, max_fpr=0.2), lambda s, t: precision_at_k(s, t, 1)):
        with pytest.raises(InvalidInput, match=message):
            metric(scores, positives)


def test_straight_lines_are_exact():
    x = np.array([0.0, 0.1, 0.7, 1.0])
    assert_allclose(area_under_curve(x, 3 * x + 1), 2.5, rtol=1e-15)


def test_a_vertical_step_adds_nothing():
    assert area_under_curve([0, 1, 1, 2], [0, 0, 1, 1]) == 1.0


def test_converges_with_order_two():
    errors = []
    for n in (10, 20, 40):
        x = np.linspace(0, 1, n + 1)
        errors.append(abs(area_under_curve(x, np.exp(x)) - (math.e - 1)))
    assert_allclose(np.log2([errors[0] / errors[1], errors[1] / errors[2]]), 2.0, atol=0.01)


@given(st.lists(st.integers(-50, 50), min_size=3, max_size=20).map(sorted), st.data())
def test_areas_of_adjacent_parts_add_up(x, data):
    y = data.draw(st.lists(st.integers(-50, 50), min_size=len(x), max_size=len(x)))
    cut = data.draw(st.integers(1, len(x) - 2))
    whole = area_under_curve(x, y)
    assert area_under_curve(x[: cut + 1], y[: cut + 1]) + area_under_curve(x[cut:], y[cut:]) == whole


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([0, 2, 1], [0, 0, 0], r"x must be in ascending order; sort both with order = np.argsort\(x\)"),
        ([0], [1], "x must hold at least two points"),
        ([0, 1], [1], "got 2 for x, 1 for y"),
        ([0, math.inf], [1, 1], "x must be finite"),
        ([0, 1], [1, math.nan], "y must not contain NaN"),
        ([], [], "x must not be empty"),
    ],
)
def test_refuses_what_is_no_curve(x, y, message):
    with pytest.raises(InvalidInput, match=message):
        area_under_curve(x, y)
