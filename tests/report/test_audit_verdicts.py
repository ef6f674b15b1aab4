"""Verdicts follow their table, and the units and radii follow the data."""

import numpy as np
import pytest
import torch

from report.small_audit import audited, images, linear_of, table
from trustworthy.report.case import Case
from trustworthy.report.findings import corruptions, robustness_curve
from trustworthy.report.findings.robustness_curve import radii
from trustworthy.report.findings.saliency import concentration
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


def test_concentration_of_even_and_single_pixel_maps():
    assert concentration(np.ones((3, 10, 10))) == pytest.approx(0.1)
    single = np.zeros((2, 10, 10))
    single[0, 4, 4] = 5.0
    assert concentration(single) == 1.0  # the map that is zero everywhere says nothing
    assert concentration(np.zeros((2, 10, 10))) == 0.0


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
    assert "too few" in handover(sure, right, target=0.02)["rule"]
    assert handover(sure, right, target=0.02)["coverage_at_threshold"] is None
    hopeless = handover(np.ones(200), np.ones(200, dtype=bool), target=0.02)
    assert hopeless["threshold"] is None
    assert "every prediction should go to a human" in hopeless["rule"]


def test_one_example_has_no_interval():
    x, y = table()
    record = audited(linear_of(x), (x[:1], y[:1]), "accuracy", "uncertainty.calibration")
    assert [finding.interval for finding in record.findings] == [None] * 2


def test_class_and_feature_names_are_used():
    from trustworthy.datasets import Dataset

    x, y = images()
    named = Dataset(
        name="n", task="classification", x_train=x[:0], y_train=y[:0], x_test=x, y_test=y, class_names=("a", "b")
    )
    examples = draw_examples(named, 0, 0)
    assert [examples.class_name(label) for label in range(3)] == ["a", "b", "2"]
    assert examples.described()["classes"] == ["a", "b"]
