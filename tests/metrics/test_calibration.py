from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from reference import metrics as reference
from trustworthy.core.errors import InvalidInput, UnknownName
from trustworthy.metrics import accuracy, brier, ece, nll, reliability_curve


@st.composite
def predictions(draw):
    n, classes = draw(st.integers(1, 12)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return rng.dirichlet(np.ones(classes), n), rng.integers(0, classes, n)


@st.composite
def judged_confidences(draw):
    """Confidences with many ties, also on the bounds of the bins, 0 and 1 included."""
    twentieths = draw(st.lists(st.integers(0, 20), min_size=1, max_size=25))
    right = draw(st.lists(st.booleans(), min_size=len(twentieths), max_size=len(twentieths)))
    return np.array(twentieths) / 20, np.array(right)


@given(predictions())
def test_proper_scores_equal_their_definitions(case):
    p, y = case
    assert_allclose(nll(p, y), reference.nll(p, y), rtol=1e-13)
    assert_allclose(brier(p, y), reference.brier(p, y), rtol=1e-13)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_uniform_probabilities_score_log_k_and_one_minus_one_over_k(classes):
    p, y = np.full((classes, classes), 1 / classes), np.arange(classes)
    assert_allclose(nll(p, y), math.log(classes), rtol=1e-14)
    assert_allclose(brier(p, y), 1 - 1 / classes, rtol=1e-14)


def test_certainty_scores_zero_when_right_and_the_most_when_wrong():
    assert (nll(np.eye(3), [0, 1, 2]), brier(np.eye(3), [0, 1, 2])) == (0.0, 0.0)
    assert math.copysign(1.0, nll(np.eye(3), [0, 1, 2])) == 1.0
    assert (nll(np.eye(3), [1, 2, 0]), brier(np.eye(3), [1, 2, 0])) == (math.inf, 2.0)


def test_brier_of_two_classes_is_twice_the_binary_one():
    p = np.array([0.2, 0.7, 0.5])
    y = np.array([0, 1, 1])
    assert_allclose(brier(np.stack([1 - p, p], 1), y), 2 * ((p - y) ** 2).mean(), rtol=1e-14)


def test_scores_are_least_in_expectation_at_the_true_probabilities():
    """Proper scores: the mean over labels drawn from q, here exactly 1 : 3, is least at p = q."""
    y = [0, 1, 1, 1]
    for score in (nll, brier):
        values = [score(np.tile([1 - p, p], (4, 1)), y) for p in (0.6, 0.7, 0.75, 0.8, 0.9)]
        assert np.argmin(values) == 2


@given(judged_confidences(), st.integers(1, 12))
def test_ece_equals_its_definition_with_ties_and_edges(case, bins):
    confidence, right = case
    assert_allclose(ece(confidence, right, bins=bins), reference.ece(confidence, right, bins), atol=1e-12)


@pytest.mark.parametrize("bins", [1, 3, 7, 10, 49, 100])
def test_every_edge_belongs_to_the_bin_below_it(bins):
    edges = [m / bins for m in range(bins + 1)]
    count = reliability_curve(edges, np.ones(bins + 1), bins=bins).count
    assert_array_equal(count, [2] + [1] * (bins - 1))  # 0 joins the first bin


def test_ece_at_confidence_exactly_zero_and_one():
    assert ece([0.0, 1.0], [0, 1]) == 0.0
    assert ece([0.0, 1.0], [1, 0]) == 1.0
    assert ece([1.0, 1.0, 1.0, 1.0], [1, 1, 1, 0]) == 0.25
    assert ece(np.eye(3), [0, 1, 1]) == pytest.approx(1 / 3, rel=1e-15)


def test_ece_of_probabilities_judges_the_top_class():
    p = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.05, 0.05, 0.9]])
    y = np.array([0, 0, 2])
    assert ece(p, y) == ece([0.6, 0.7, 0.9], [1, 0, 1])
    assert_allclose(ece(p, y), (0.4 + 0.7 + 0.1) / 3, rtol=1e-14)


@given(judged_confidences(), st.sampled_from(["width", "mass"]), st.integers(1, 30), st.randoms(use_true_random=False))
def test_reliability_is_bounded_complete_and_blind_to_order(case, binning, bins, random):
    confidence, right = case
    curve = reliability_curve(confidence, right, bins=bins, binning=binning)
    assert curve.count.sum() == len(confidence)
    assert 0.0 <= curve.error <= 1.0
    filled = curve.count > 0
    assert (curve.confidence[filled] <= curve.edges[1:][filled] + 1e-12).all()
    assert (curve.confidence[filled] >= curve.edges[:-1][filled] - 1e-12).all()
    assert np.isnan(curve.confidence[~filled]).all()
    assert np.isnan(curve.accuracy[~filled]).all()
    order = random.sample(range(len(right)), len(right))
    shuffled = reliability_curve(confidence[order], right[order], bins=bins, binning=binning)
    assert_array_equal(shuffled.count, curve.count)
    assert_allclose(shuffled.error, curve.error, atol=1e-12)


@given(st.integers(1, 60), st.integers(1, 12))
def test_equal_mass_bins_differ_by_at_most_one_without_ties(n, bins):
    confidence = np.random.default_rng(n).permutation(np.arange(n)) / n
    count = reliability_curve(confidence, np.ones(n), bins=bins, binning="mass").count
    assert len(count) == min(n, bins)
    assert count.max() - count.min() <= 1


@given(judged_confidences(), st.integers(1, 12))
def test_equal_mass_bins_keep_equal_confidences_together(case, bins):
    confidence, right = case
    curve = reliability_curve(confidence, right, bins=bins, binning="mass")
    assert (curve.count > 0).all()
    assert len(curve.count) <= min(bins, len(np.unique(confidence)))


def test_equal_mass_bins_by_hand():
    curve = reliability_curve([0.1, 0.2, 0.3, 0.9, 0.9, 0.9], [0, 1, 0, 1, 1, 0], bins=3, binning="mass")
    assert_array_equal(curve.edges, [0.1, 0.2, 0.9])  # the cut at 4 of 6 falls into the tie at the top
    assert_array_equal(curve.count, [2, 4])
    assert_allclose(curve.accuracy, [0.5, 0.5])
    assert_allclose(curve.error, (2 * abs(0.5 - 0.15) + 4 * abs(0.5 - 0.75)) / 6)


def test_constant_confidence_is_one_bin_of_equal_mass():
    curve = reliability_curve([0.5] * 4, [1, 0, 1, 1], bins=3, binning="mass")
    assert_array_equal(curve.edges, [0.5, 0.5])
    assert (curve.error, curve.count.tolist()) == (0.25, [4])


def test_a_calibrated_forecaster_has_small_error():
    rng, n = np.random.default_rng(0), 200_000
    confidence = rng.random(n)
    right = rng.random(n) < confidence
    for binning in ("width", "mass"):
        # Each of 10 gaps has a deviation of at most sqrt(1 / (4 n / 10)); the mean of ten is below two of them.
        assert ece(confidence, right, binning=binning) < 2 * math.sqrt(10 / (4 * n))
        assert ece(confidence**2, right, binning=binning) == pytest.approx(1 / 2 - 1 / 3, abs=0.005)


def test_takes_softmax_in_half_precision_and_torch_tensors():
    scores = torch.randn(8, 1000, generator=torch.Generator().manual_seed(0))
    p = torch.softmax(scores, 1).half()
    labels = torch.arange(8)
    assert_allclose(nll(p, labels), torch.nn.functional.cross_entropy(scores, labels).item(), rtol=1e-3)
    assert ece(torch.tensor([[1.0000001, 0.0]]), torch.tensor([0])) == 0.0


def test_does_not_write_into_what_it_is_given():
    p = np.full((2, 2), 0.5)
    brier(p, [0, 1])
    assert_array_equal(p, 0.5)


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        ([[2.0, -1.0]], [0], "these look like logits; apply softmax"),
        ([[0.5, 0.6]], [0], r"sums in \[1.1, 1.1\]; these look like logits; apply softmax"),
        ([[1.1, -0.1]], [0], "a least value of -0.1"),
        ([[0.5, np.nan]], [0], "probabilities must not contain NaN"),
        ([[0.5, np.inf]], [0], "probabilities must be finite, got 1 infinite"),
        (np.zeros((0, 2)), [], "probabilities must not be empty"),
        ([[0.5, 0.5]], [2], r"labels must be class indices in 0\.\.1, got 2\.\.2"),
        ([[0.5, 0.5]], [0.0], "labels must be class indices of an integer dtype"),
        ([[0.5, 0.5]], [0, 1], "got 1 for probabilities, 2 for labels"),
        (np.full((1, 1, 2), 0.5), [0], "probabilities must have shape"),
    ],
)
def test_refuses_what_are_not_probabilities_of_classes(probabilities, labels, message):
    for score in (nll, brier, ece):
        with pytest.raises(InvalidInput, match=message):
            score(probabilities, labels)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([1.5, 0.2], [1, 0]), {}, r"probabilities must lie in \[0, 1\], .* apply the sigmoid"),
        (([0.5, 0.2], [1, 2]), {}, r"labels must be true or false \(1 or 0\), got values in \[1, 2\]"),
        (([0.5, 0.2], [1]), {}, "got 2 for probabilities, 1 for labels"),
        (([0.5], [1]), {"bins": 0}, "bins must be >= 1, got 0"),
    ],
)
def test_refuses_bad_confidences_and_bins(arguments, options, message):
    with pytest.raises(InvalidInput, match=message):
        ece(*arguments, **options)


def test_suggests_the_binning_that_was_meant():
    with pytest.raises(UnknownName, match="did you mean 'width'"):
        ece([0.5], [1], binning="widht")


def test_counts_the_rows_whose_largest_score_is_the_label():
    assert accuracy([[0.1, 0.9], [3.0, -1.0], [0.2, 0.8], [1.0, 0.0]], [1, 0, 0, 1]) == 0.5


def test_the_first_of_equal_scores_is_the_prediction():
    assert accuracy([[1.0, 1.0], [1.0, 1.0]], [0, 1]) == 0.5


def test_takes_predicted_classes():
    assert accuracy([0, 1, 2, 2], [0, 1, 2, 0]) == 0.75


def test_takes_torch_tensors_and_infinite_scores():
    scores = torch.tensor([[0.0, torch.inf], [1.0, -torch.inf]])
    assert accuracy(scores, torch.tensor([1, 0])) == 1.0


@pytest.mark.parametrize(
    ("predictions", "labels", "message"),
    [
        ([[0.0, np.nan]], [0], "predictions must not contain NaN, got 1 of 2"),
        (np.zeros((0, 3)), [], r"predictions must not be empty, got shape \(0, 3\)"),
        (np.zeros((2, 2, 2)), [0, 1], r"predictions must have shape \(n,\) or \(n, classes\), got \(2, 2, 2\)"),
        (np.zeros((2, 3)), [0], "one row per example each, got 2 for predictions, 1 for labels"),
        (np.zeros((2, 3)), [0, 3], r"labels must be class indices in 0\.\.2, got 0\.\.3"),
        (np.zeros((2, 3)), [0, -1], r"labels must be class indices in 0\.\.2, got -1\.\.0"),
        ([0, 1], [0, -1], r"labels must be class indices >= 0, got -1\.\.0"),
        (np.zeros((2, 3)), [0.0, 1.0], "labels must be class indices of an integer dtype, got float64; cast"),
        (np.zeros((2, 2)), np.eye(2), r"labels must have shape \(n,\), got \(2, 2\)"),
        (np.zeros((2, 2)), np.array(["a", "b"]), "labels must hold real numbers, got dtype <U1"),
        ([[1.0, 2.0], [3.0]], [0, 1], "predictions cannot be read as an array"),
        (torch.zeros(2, 2, requires_grad=True), [0, 1], "predictions cannot be read as an array"),
    ],
)
def test_refuses_what_it_cannot_judge(predictions, labels, message):
    with pytest.raises(InvalidInput, match=message):
        accuracy(predictions, labels)
