"""Models without gradients or scores are audited with what they do give, and the rest is said to be left out."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.svm import LinearSVC

from report.small_audit import audited, linear_of, table
from trustworthy.core.errors import ModelContractError, TrustworthyWarning


def parts(record):
    return {finding.name for finding in record.findings}, {o.part: o.reason for o in record.omissions}


def test_an_estimator_with_probabilities_is_asked_for_them():
    x, y = table()
    model = LogisticRegression().fit(x, y)
    steps = ("accuracy", "uncertainty.calibration", "robustness.l2", "robustness.distortion", "robustness.pictures",
             "robustness.linf", "evaluation.diagnosis")  # fmt: skip
    record = audited(model, (x, y), *steps)
    names, left_out = parts(record)
    assert names >= {"uncertainty.ece", "robustness.l2.accuracy", "robustness.l2.distortion", "robustness.l2.pictures"}
    assert "without gradients" in left_out["robustness.linf"]
    assert "evaluation.diagnosis" in left_out
    assert record.findings[0].value == pytest.approx(model.score(x, y))


def test_distances_of_the_decision_attack_bound_the_closed_form():
    x, y = table()
    model = LogisticRegression().fit(x, y)
    attacks = {"decision": {"name": "BoundaryAttack", "steps": 150}}
    (finding,) = audited(model, (x, y), "robustness.distortion", attacks=attacks).findings
    weight = model.coef_[0] * x.std(axis=0)
    margin = np.abs(model.decision_function(x)) / np.linalg.norm(weight)
    assert finding.conditions["n"] <= 6
    assert margin.min() * 0.99 <= finding.value <= 1.5 * margin.max()


def test_an_estimator_without_probabilities_has_no_uncertainty():
    x, y = table()
    steps = ("accuracy", "uncertainty.calibration", "uncertainty.scores", "robustness.l2", "interpretation")
    with pytest.warns(TrustworthyWarning, match="no probabilities; its margins are used as logits"):
        record = audited(LinearSVC(random_state=0).fit(x, y), (x, y), *steps)
    names, left_out = parts(record)
    assert not any(name.startswith("uncertainty") for name in names)
    assert "scores without probabilities" in left_out["uncertainty.calibration"]
    assert names >= {"accuracy", "robustness.l2.accuracy", "interpretation.importance"}


def test_a_callable_without_gradient_meets_the_square_attack_in_linf():
    x, y = table()
    inner = linear_of(x).eval()

    def scores(z):
        with torch.no_grad():
            return inner(z)

    with pytest.warns(TrustworthyWarning, match="no gradient reaches its input"):
        record = audited(scores, (x, y), "robustness.linf", attacks={"tried": [{"name": "SquareAttack", "steps": 5}]})
    (finding,) = record.findings
    assert [finding.conditions[key] for key in ("n", "attacked")] == [60, 6]
    assert list(finding.series["attacks"]) == ["SquareAttack"]
    assert record.models[0]["gives_gradients"] is False


def test_a_black_box_that_wins_lowers_the_worst_case():
    x, y = table()

    class Masked(torch.nn.Module):
        """A linear model whose gradient points the wrong way."""

        def __init__(self):
            super().__init__()
            self.inner = linear_of(x)

        def forward(self, z):
            return self.inner(2 * z.detach() - z)

    tried = [{"name": "PGD", "steps": 10}, {"name": "SquareAttack", "steps": 100}]
    (finding,) = audited(Masked(), (x, y), "robustness.linf", attacks={"tried": tried}).findings
    series = finding.series
    assert series["attacks"]["PGD"][2] > series["worst"][2]
    assert list(series["attacks"]) == ["PGD"]
    assert (np.diff(series["worst"]) <= 0).all()


def test_nothing_is_left_for_the_black_box_where_everything_is_broken():
    x, y = table()
    tried = [{"name": "PGD", "steps": 10}, {"name": "SquareAttack", "steps": 2}]
    changes = {"attacks": {"tried": tried, "linf": 50.0}, "linf": {"multiples": [0.001, 1.0]}}
    (finding,) = audited(linear_of(x), (x, y), "robustness.linf", **changes).findings
    series = finding.series
    assert series["worst"][-1] == 0.0
    assert series["worst"][1] > 0.0


@pytest.mark.parametrize("kind", [LogisticRegression, LinearSVC, NearestCentroid])
def test_labels_of_an_estimator_keep_their_numbers(kind):
    x, y = table()
    model = kind().fit(x, 2 * y + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrustworthyWarning)  # margins and votes are said to be no probabilities
        (accuracy, *_) = audited(model, (x, 2 * y + 1), "accuracy").findings
    assert accuracy.value == model.score(x, 2 * y + 1)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (LogisticRegression(), "call fit in the factory or before saving"),
        (3, "must be callable, or have predict and classes_"),
        (LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), "predicts numbers; only classifiers"),
    ],
)
def test_what_is_no_classifier_is_refused(model, message):
    with pytest.raises(ModelContractError, match=message):
        audited(model, table(), "accuracy")
