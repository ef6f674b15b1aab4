"""Verdicts follow their table, and the units and radii follow the data."""

import numpy as np
import pytest
import torch

from report.small_audit import audited, images, linear_of, table
from trustworthy.report.case import Case
from trustworthy.report.findings import corruptions, robustness_curve
from trustworthy.report.findings.robustness_curve import radii
from trustworthy.report.findings.saliency import top_shares
from trustworthy.report.findings.selective import handover
from trustworthy.report.kind import NotApplicable
from trustworthy.report.plan import make_plan
from trustworthy.report.rows import draw_examples, read_data
from trustworthy.report.subject import examine


def case_of(shape, kind=robustness_curve.LINF, **attacks):
    y = np.arange(8, dtype=np.int64) % 2
    x = np.random.default_rng(0).uniform(size=(8, *shape)).astype(np.float32)
    examples = draw_examples(read_data((x, y)), 0, 0)
    cpu = torch.device("cpu")
    subject = examine("m", lambda z: 2 * z.flatten(1)[:, :2], examples, batch=8, seed=0, device=cpu)
    plan = make_plan(None, {"attacks": attacks})
    return Case(
        kind=kind, subject=subject, examples=examples, seed=0, device=cpu, batch=8, resamples=9, level=0.9,
        attacks=plan.attacks,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "linf", "l2"),
    [
        ((1, 8, 8), 0.1, 0.4),
        ((1, 28, 28), 0.1, 1.4),
        ((3, 32, 32), 8 / 255, 0.87),
        ((1, 64, 64), 8 / 255, 1.0),
        ((16,), 0.1, 0.2),
    ],
)
def test_headline_radii_follow_the_data(shape, linf, l2):
    case = case_of(shape)
    assert case.headline("linf") == linf
    assert case.headline("l2") == l2


def test_the_plan_overrules_the_radii():
    assert case_of((4,), linf=0.3).headline("linf") == 0.3
    assert radii(0.3, [2, 1, 0.1]) == [0.03, 0.3, 0.6]


def test_the_radius_of_a_table_is_in_standard_deviations_of_the_training_rows():
    from trustworthy.datasets import Dataset

    x, y = table()
    wide = Dataset(name="wide", task="classification", x_train=10 * x, y_train=y, x_test=x, y_test=y)
    examples = draw_examples(wide, 0, 0)
    np.testing.assert_allclose(examples.domain.spread, 10 * x.std(axis=0), rtol=1e-5)
    constant = draw_examples(read_data((np.ones_like(x), y)), 0, 0)
    assert torch.equal(constant.domain.spread, torch.ones(5))


def test_corruptions_say_why_they_do_not_apply():
    with pytest.raises(NotApplicable, match="1 or 3 channels from 8 pixels"):
        corruptions.KIND.measure(case_of((2, 8, 8), corruptions.KIND), corruptions.KIND.settings["quick"])


def test_top_shares_of_even_and_single_pixel_maps():
    np.testing.assert_allclose(top_shares(np.ones((3, 10, 10))), [0.1] * 3)
    single = np.zeros((2, 10, 10))
    single[0, 4, 4] = 5.0
    assert top_shares(single).tolist() == [1.0]  # the map that is zero everywhere says nothing
    assert len(top_shares(np.zeros((2, 10, 10)))) == 0


def test_the_handover_keeps_its_promise_on_other_examples():
    random = np.random.default_rng(0)
    confidence = random.uniform(0.5, 1.0, 4000)
    wrong = random.uniform(size=4000) > confidence
    found = handover(confidence, wrong, target=0.1)
    # Above t the error rate is (1 - t) / 2, so that 0.1 is reached from t = 0.8 on, by 40 % of the examples.
    assert found["threshold"] == pytest.approx(0.8, abs=0.02)
    assert found["coverage_at_threshold"] == pytest.approx(0.4, abs=0.04)
    assert found["risk_at_threshold"] == pytest.approx(0.1, abs=0.025)


def test_the_handover_counts_one_error_more_than_it_saw():
    confidence, wrong = np.full(100, 0.9), np.zeros(100, dtype=bool)
    assert handover(confidence, wrong, target=0.02)["threshold"] == 0.9
    wrong[7] = True  # one of the fifty that choose: 2 %, and 4 % with one more
    assert handover(confidence, wrong, target=0.02)["threshold"] is None


def test_the_handover_admits_what_it_cannot_know():
    sure, right = np.ones(20), np.zeros(20, dtype=bool)
    assert "Too few rows to say: n = 20" in handover(sure, right, target=0.02)["rule"]
    assert handover(sure, right, target=0.02)["coverage_at_threshold"] is None
    hopeless = handover(np.ones(200), np.ones(200, dtype=bool), target=0.02)
    assert hopeless["threshold"] is None
    assert hopeless["coverage_at_threshold"] == 0.0
    assert "every prediction should go to a human" in hopeless["rule"]


@pytest.mark.parametrize("n", [1, 2, 37, 38, 60])
def test_with_as_many_rows_as_it_says_the_handover_finds_a_threshold(n):
    rule = handover(np.ones(n), np.zeros(n, dtype=bool), target=0.05)["rule"]
    assert ("that needs about 38." in rule) == (n < 38)
    assert ("Send predictions" in rule) == (n >= 38)


def test_one_error_more_than_seen_is_no_verdict_on_the_model():
    found = handover(np.linspace(1.0, 0.5, 60), np.arange(60) == 3, target=0.05)
    assert "Too few rows to say: n = 60" in found["rule"]  # one error of thirty, two of 31
    assert found["coverage_at_threshold"] is None


def test_one_example_has_an_exact_interval_of_a_share_and_no_other():
    x, y = table()
    record = audited(linear_of(x), (x[:1], y[:1]), "accuracy", "uncertainty.calibration")
    accuracy, calibration = record.findings
    assert accuracy.value == 0.0
    assert accuracy.interval == pytest.approx((0.0, 0.975))
    assert calibration.interval is None
    assert "spread" in calibration.conditions["no_interval"]


def test_class_and_feature_names_are_used():
    from trustworthy.datasets import Dataset

    x, y = images()
    named = Dataset(
        name="n", task="classification", x_train=x[:0], y_train=y[:0], x_test=x, y_test=y, class_names=("a", "b")
    )
    examples = draw_examples(named, 0, 0)
    assert [examples.class_name(label) for label in range(3)] == ["a", "b", "2"]
    assert examples.described()["classes"] == ["a", "b"]


@pytest.mark.parametrize("headline", [50.0, pytest.param(1e4, marks=pytest.mark.slow)])
def test_radii_past_the_cliff_are_joined_by_those_around_the_median(headline):
    """A linear model loses half of its right predictions at the median of margin / l1 norm of the weights."""
    x, y = table()
    model, at = linear_of(x), (x - x.mean(0)) / x.std(0)
    changes = {"attacks": {"linf": headline}, "linf": {"multiples": [0.5, 1.0]}}
    (found,) = audited(model, (x, y), "robustness.linf", **changes).findings
    weight = model.weight.detach().numpy() * x.std(0)
    score = at @ weight + x.mean(0) @ model.weight.detach().numpy() + model.bias
    median = np.median((np.abs(score) / np.abs(weight).sum())[(score > 0) == y])
    eps, worst = np.array(found.series["eps"]), np.array(found.series["worst"])
    assert found.series["headline_eps"] == headline
    assert found.value == 0.0
    lost = int((worst > worst[0] / 2).sum())
    assert f"half of the right predictions are lost between {eps[lost - 1]:.3g} and {eps[lost]:.3g}." in found.statement
    if headline == 50.0:
        assert eps[lost - 1] < median <= eps[lost] <= 1.5 * eps[lost - 1]
    else:
        assert eps[1] == pytest.approx(headline / 2 / 2**8, rel=1e-2)  # as far as it goes
    (usual,) = audited(model, (x, y), "robustness.linf", attacks={"linf": 0.05}).findings
    assert usual.series["eps"] == [0.0, 0.025, 0.05, 0.1]
