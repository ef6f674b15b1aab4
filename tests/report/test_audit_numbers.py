"""Numbers of an audit that once were not true, or said too little."""

import re

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score

from report.small_audit import Halves, audited, images, linear_of, table
from trustworthy.metrics import aupr, auroc
from trustworthy.report.findings.accuracy import Accuracy
from trustworthy.report.findings.saliency import Saliency, ranked_features
from trustworthy.report.markup import bar
from trustworthy.report.render import build, render
from trustworthy.report.saved import read

pytestmark = pytest.mark.usefixtures("_undrawn")


def found(record, name):
    return next(finding for finding in record.findings if finding.name == name)


def rare(n=400, positives=4):
    """A table whose first feature tells 1 % of positives from the rest but for some."""
    x = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    y = (np.arange(n) < positives).astype(np.int64)
    x[y == 1, 0] += 2.0
    return x, y


def by_first_feature(z):
    return torch.stack([0 * z[:, 0], 4 * (z[:, 0] - 2)], 1)


def test_a_rare_class_is_seen():
    x, y = rare()
    record = audited(by_first_feature, (x, y), "accuracy", "uncertainty.scores")
    logits = by_first_feature(torch.from_numpy(x))
    predicted, p = logits.argmax(1).numpy(), logits.double().softmax(1).numpy()[:, 1]
    accuracy, balanced = found(record, "accuracy"), found(record, "accuracy.balanced")
    assert_allclose(balanced.value, balanced_accuracy_score(y, predicted))
    assert_allclose(balanced.conditions["macro_f1"], f1_score(y, predicted, average="macro"))
    series = Accuracy.model_validate(accuracy.series)
    assert series.confusion == confusion_matrix(y, predicted).tolist()
    assert_allclose([row.f1 for row in series.per_class], f1_score(y, predicted, average=None))
    assert "Only 4 of these examples are of the class 1." in accuracy.statement
    assert_allclose(found(record, "uncertainty.auroc").value, auroc(p, y))
    assert_allclose(found(record, "uncertainty.aupr").value, aupr(p, y))
    assert "1, the rarer class (4 of 400)" in found(record, "uncertainty.aupr").statement
    few = found(audited(by_first_feature, (x, y), "accuracy", rows=100), "accuracy")
    assert "Only 1 of these examples is of the class 1; --limit 0 takes all 400 rows." in few.statement


def test_the_interval_of_balanced_accuracy_sees_that_three_examples_are_few():
    x, y = rare(positives=3)
    x[:, 0] = 10.0 * y
    record = audited(by_first_feature, (x, y), "accuracy")
    low, high = found(record, "accuracy.balanced").interval
    assert found(record, "accuracy.balanced").value == high == 1.0
    assert low == pytest.approx(1 - 0.5 * (1 - 0.025 ** (1 / 3)), abs=1e-3)


def test_a_negative_importance_is_ranked_last_and_leads_to_the_left():
    series = Saliency(features=["a", "b", "c"], importance=[-0.4, 0.1, 0.2])
    assert [name for name, *_ in ranked_features(series)] == ["c", "b", "a"]
    assert [share for *_, share in ranked_features(series)] == [0.5, 0.25, -1.0]
    length, start = map(float, re.findall(r"--v: ([\d.]+); --from: ([\d.]+)", bar(-1.0, -1.0))[0])
    assert (length, start) == (0.5, 0.0)
    length, start = map(float, re.findall(r"--v: ([\d.]+); --from: ([\d.]+)", bar(0.5, -1.0))[0])
    assert (length, start) == (0.25, 0.5)
    assert 'class="negative"' in bar(-1.0, -1.0)


def test_a_resumed_audit_shows_the_time_of_its_parts(tmp_path):
    x, y = table()
    first = audited(linear_of(x), (x, y), "robustness.linf", "interpretation", out=tmp_path)
    again = audited(linear_of(x), (x, y), "robustness.linf", "interpretation", out=tmp_path)
    seconds = sum(finding.wall_time for finding in first.findings)
    assert again.wall_time < seconds
    assert build(read(tmp_path))["wall_time"] == pytest.approx(seconds)


def test_an_attack_that_fools_nothing_says_so():
    x, y = images()
    (shown,) = audited(lambda z: 1e3 * Halves()(z), (x, y), "robustness.pictures", attacks={"linf": 1e-6}).findings
    assert shown.value == 0.0
    assert shown.interval[1] > 0.0
    assert re.match(
        r"None of \d+ attacked examples is misclassified after changes of up to 1e-06 \(linf", shown.statement
    )


def test_corruptions_that_change_no_pixel_are_left_out_and_named():
    x, y = np.full((6, 1, 8, 8), 0.5, np.float32), np.arange(6) // 5  # blur leaves them as they are
    (measured,) = audited(Halves(), (x, y), "robustness.corruptions", corruptions={"severities": [1]}).findings
    unchanged = [
        name
        for name, (cell,) in zip(measured.series["names"], measured.series["accuracy"], strict=True)
        if cell is None
    ]
    assert unchanged == ["defocus_blur", "glass_blur", "motion_blur", "contrast", "elastic_transform", "pixelate"]
    assert "Left out, as it changes no pixel here: defocus blur at severity 1, glass blur" in measured.statement
    kept = [cell for (cell,) in measured.series["accuracy"] if cell is not None]
    assert measured.value == pytest.approx(np.mean(kept))


def test_too_few_rows_for_a_threshold_is_not_said_to_be_a_high_error_rate(tmp_path):
    x = table(20)[0]
    model = linear_of(x).eval()
    right = model(torch.from_numpy(x)).argmax(1).numpy()
    audited(model, (x, right), "uncertainty.selective", out=tmp_path, selective={"target_risk": 0.05})
    page = render(tmp_path).read_text()
    assert "At no confidence" not in page
    assert "Too few rows to say: n = 20" in page
    assert "that needs about 38." in page
