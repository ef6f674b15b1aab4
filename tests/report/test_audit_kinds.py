"""Models without gradients or scores are audited with what they do give, and the rest is said to be left out."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from report.small_audit import SMALL, linear_of, table
from trustworthy.core.errors import ModelContractError
from trustworthy.report.audit import audit
from trustworthy.report.estimator import scores_of


def parts(record):
    return {finding.name for finding in record.findings}, {o.part: o.reason for o in record.omissions}


def test_an_estimator_with_probabilities_is_asked_for_them():
    x, y = table()
    model = LogisticRegression().fit(x, y)
    record = audit(model, (x, y), plan=SMALL)
    names, left_out = parts(record)
    assert names >= {"uncertainty.ece", "robustness.l2.accuracy", "robustness.l2.distortion", "robustness.l2.pictures"}
    assert "without gradients" in left_out["robustness.linf"]
    assert "evaluation.diagnosis" in left_out
    assert record.findings[0].value == pytest.approx(model.score(x, y))


def test_distances_of_the_decision_attack_bound_the_closed_form():
    x, y = table()
    model = LogisticRegression().fit(x, y)
    plan = {**SMALL, "robustness": {**SMALL["robustness"], "decision_attack": {"name": "BoundaryAttack", "steps": 300}}}
    (finding,) = (f for f in audit(model, (x, y), plan=plan).findings if f.kind == "distortion")
    weight = model.coef_[0] * x.std(axis=0)
    margin = np.abs(model.decision_function(x)) / np.linalg.norm(weight)
    assert finding.conditions["n"] <= 6
    assert margin.min() * 0.99 <= finding.value <= 1.5 * margin.max()


def test_an_estimator_without_probabilities_has_no_uncertainty():
    x, y = table()
    names, left_out = parts(audit(LinearSVC(random_state=0).fit(x, y), (x, y), plan=SMALL))
    assert not any(name.startswith("uncertainty") for name in names)
    assert "labels without probabilities" in left_out["uncertainty.calibration"]
    assert names >= {"accuracy", "robustness.l2.accuracy", "interpretation.importance"}


def test_a_callable_without_gradient_meets_the_square_attack_in_linf():
    x, y = table()
    inner = linear_of(x).eval()

    def scores(z):
        with torch.no_grad():
            return inner(z)

    plan = {**SMALL, "robustness": {**SMALL["robustness"], "attacks": [{"name": "SquareAttack", "steps": 5}]}}
    record = audit(scores, (x, y), plan=plan)
    finding = next(f for f in record.findings if f.name == "robustness.linf.accuracy")
    assert finding.conditions["n"] == 6
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

    attacks = [*SMALL["robustness"]["attacks"], {"name": "SquareAttack", "steps": 100}]
    plan = {**SMALL, "robustness": {**SMALL["robustness"], "attacks": attacks}}
    series = next(f for f in audit(Masked(), (x, y), plan=plan).findings if f.name == "robustness.linf.accuracy").series
    assert series["attacks"]["PGD"][2] > series["worst"][2]
    assert list(series["attacks"]) == ["PGD"]
    assert (np.diff(series["worst"]) <= 0).all()


def test_nothing_is_left_for_the_black_box_where_everything_is_broken():
    x, y = table()
    attacks = [*SMALL["robustness"]["attacks"], {"name": "SquareAttack", "steps": 2}]
    radii = {"headline": 50.0, "multiples": [0.001, 1.0]}
    plan = {**SMALL, "robustness": {**SMALL["robustness"], "attacks": attacks, "linf": radii, "l2": radii}}
    series = next(
        f for f in audit(linear_of(x), (x, y), plan=plan).findings if f.name == "robustness.linf.accuracy"
    ).series
    assert series["worst"][-1] == 0.0
    assert series["worst"][1] > 0.0


def test_labels_of_an_estimator_keep_their_numbers():
    x, y = table()
    scores = scores_of(LogisticRegression().fit(x, 2 * y + 1))(torch.from_numpy(x))
    assert scores.shape == (60, 4)
    assert set(scores.argmax(1).tolist()) == {1, 3}
    votes = scores_of(LinearSVC(random_state=0).fit(x, 2 * y))(torch.from_numpy(x))
    assert votes.shape == (60, 3)
    assert torch.equal(votes.sum(1), torch.ones(60))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (LogisticRegression(), "call fit"),
        (3, "callable or a scikit-learn"),
        (LogisticRegression().fit([[0.0], [1.0]], ["a", "b"]), "integers >= 0"),
    ],
)
def test_what_is_no_classifier_is_refused(model, message):
    with pytest.raises(ModelContractError, match=message):
        audit(model, table(), plan=SMALL)
