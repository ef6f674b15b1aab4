"""Scores of the benchmark on predictions whose scores are known."""

import numpy as np
import pytest

from trustworthy import metrics
from trustworthy.report.benchmark import scores
from trustworthy.report.benchmark.meaning import METRICS, SHARES


@pytest.fixture(scope="module")
def pixels():
    """Uncertainty that is higher in a square of foreign pixels, with noise and ties, of two images."""
    random = np.random.default_rng(0)
    foreign = np.zeros((2, 20, 20), dtype=bool)
    foreign[0, 4:10, 4:12] = True  # 48 pixels; the second image has none
    return (random.normal(size=foreign.shape) + 1.5 * foreign).round(1), foreign


def test_detection_ranks_the_pixels_of_all_images_together(pixels):
    uncertainty, foreign = pixels
    found = scores.detection(uncertainty, foreign)
    flat, truth = uncertainty.ravel(), foreign.ravel()
    assert found.values["auroc"] == metrics.auroc(flat, truth)
    assert found.values["partial_auroc"] == pytest.approx(metrics.partial_auroc(flat, truth, max_fpr=0.2), abs=1e-12)
    assert found.values["precision@5%"] == metrics.precision_at_k(flat, truth, 40)
    assert found.values["recall@10%"] == metrics.recall_at_k(flat, truth, 80)
    assert found.values["recall@5%"] * truth.sum() == pytest.approx(found.values["precision@5%"] * 40)


def test_the_curve_is_the_area_and_chance_is_what_table_5_1_says(pixels):
    uncertainty, foreign = pixels
    found = scores.detection(uncertainty, foreign)
    roc = found.curves["roc"]
    early = np.asarray(roc.x) <= 0.2
    area = metrics.area_under_curve(np.asarray(roc.x)[early], np.asarray(roc.y)[early])
    assert area == pytest.approx(found.values["partial_auroc"], abs=2e-3)  # the curve is thinned
    blind = scores.detection(np.zeros(foreign.shape), foreign)
    assert blind.values["partial_auroc"] == pytest.approx(0.02)
    assert blind.values["partial_auroc_normalised"] == pytest.approx(0.5)
    assert blind.values["precision@1%"] == pytest.approx(foreign.mean())
    best = scores.detection(foreign.astype(float), foreign)
    assert best.values["partial_auroc"] == pytest.approx(0.2)


def test_correlation_is_a_mean_over_images_and_a_constant_prediction_has_none():
    target = np.random.default_rng(1).normal(size=(3, 1, 6, 6))
    prediction = np.stack([2 * target[0] + 1, -target[1], np.zeros((1, 6, 6))])
    found = scores.correlation(prediction, target)
    assert found.values["pearson"] == pytest.approx(0.0)
    assert found.values["pearson_deviation"] == pytest.approx(np.sqrt(2 / 3))


def test_errors_are_found_where_the_members_differ():
    random = np.random.default_rng(4)
    target = random.normal(size=(2, 1, 10, 10))
    std = random.uniform(0.1, 1.0, size=target.shape)
    exact = scores.errors(target + std * np.sign(random.normal(size=target.shape)), std, target)
    assert exact.values["mae"] == pytest.approx(std.mean())
    assert exact.values["error_uncertainty"] == pytest.approx(1.0)
    assert exact.values["sparsification"] == pytest.approx(0.0, abs=1e-12)
    assert exact.curves["sparsification"].y == pytest.approx(exact.curves["oracle"].y)
    assert exact.curves["sparsification"].y[0] == pytest.approx(std.mean())
    blind = scores.errors(target + std, np.ones_like(std), target)
    assert (blind.values["error_uncertainty"], blind.values["sparsification"], blind.curves) == (None, None, {})


def test_coverage_is_of_pixels_and_takes_integers():
    target = np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2)
    found = scores.coverage(np.full(target.shape, 1.0), np.full(target.shape, 4.5), target)
    assert found.values == {"coverage": 0.5, "width": 3.5}


def test_members_are_averaged_as_probabilities_or_as_logits():
    random = np.random.default_rng(2)
    members, labels = 3 * random.normal(size=(4, 50, 3)), random.integers(3, size=50)
    each = np.exp(members) / np.exp(members).sum(axis=2, keepdims=True)
    found = scores.classes(members, labels)
    pooled = each.mean(axis=0)
    for name in ("accuracy", "nll", "brier", "ece"):
        assert found.values[name] == pytest.approx(getattr(metrics, name)(pooled, labels)), name
    assert found.values["auroc_wrong"] == pytest.approx(
        metrics.auroc(1 - pooled.max(axis=1), pooled.argmax(axis=1) != labels)
    )
    released = np.exp(members.mean(axis=0))
    released /= released.sum(axis=1, keepdims=True)
    assert scores.classes(members, labels, "logits").values["nll"] == pytest.approx(metrics.nll(released, labels))
    with pytest.raises(ValueError, match="unknown average 'mean'"):
        scores.classes(members, labels, "mean")


def test_a_certain_model_without_mistakes_has_no_ranking_of_mistakes_and_finite_nats():
    members = np.full((2, 4, 2), -2000.0)
    labels = np.array([0, 1, 0, 1])
    members[:, np.arange(4), labels] = 2000.0
    assert scores.classes(members, labels).values == {
        "accuracy": 1.0, "nll": 0.0, "ece": 0.0, "brier": 0.0, "auroc_wrong": None
    }  # fmt: skip
    assert scores.classes(members, 1 - labels).values["nll"] == pytest.approx(4000.0)


def test_foreign_rows_are_those_of_high_entropy():
    own = np.zeros((2, 5, 3))
    own[:, :, 0] = 5.0
    assert scores.foreign_rows(own, np.zeros((2, 4, 3))).values["auroc_foreign"] == 1.0
    assert scores.foreign_rows(own, own[:, :2]).values["auroc_foreign"] == 0.5
    disagreeing = np.stack([own[0, :3], np.roll(own[1, :3], 1, axis=1)])  # each member certain of another class
    assert scores.foreign_rows(own, disagreeing).values["auroc_foreign"] == 1.0


def test_every_score_says_what_it_means(pixels):
    found = scores.joined(
        scores.detection(*pixels), scores.correlation(*np.random.default_rng(3).normal(size=(2, 2, 1, 5, 5)))
    )
    assert set(found.values) <= set(METRICS)
    assert [f"recall@{share:.0%}" in found.values for share in SHARES] == [True] * 3
    assert all(metric.says.endswith(".") for metric in METRICS.values())
