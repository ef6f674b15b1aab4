"""The Boundary Attack: any callable, the distance to a linear boundary, starting points, budget."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import minmax_scale

from trustworthy.attacks import BoundaryAttack
from trustworthy.core.errors import InvalidInput, ModelContractError


def seeded():
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def tabular():
    x, y = load_breast_cancer(return_X_y=True)
    return minmax_scale(x), y


@pytest.fixture(scope="module")
def logistic(tabular):
    return LogisticRegression().fit(*tabular)


@pytest.mark.parametrize(("steps", "excess"), [(1000, 0.25), pytest.param(2000, 0.001, marks=pytest.mark.slow)])
def test_approaches_the_boundary_of_a_linear_scikit_learn_model(tabular, logistic, steps, excess):
    x, y = tabular[0][:20], tabular[1][:20]
    right = logistic.predict(x) == y
    distance = np.abs(logistic.decision_function(x)) / np.linalg.norm(logistic.coef_)
    weight, bias = logistic.coef_[0], logistic.intercept_
    # Asked a thousand times: without the checks that scikit-learn makes each time.
    predict = lambda z: (z @ weight + bias > 0).astype(int)  # noqa: E731
    result = BoundaryAttack(bounds=None, steps=steps)(predict, x, y, generator=seeded())
    assert result.success.all()
    assert_array_equal(logistic.predict(result.adversarial) != y, True)
    assert (result.distance[right] < (1 + excess) * distance[right]).all()
    assert (result.distance[right] >= distance[right]).all()
    assert (result.distance[~right] == 0).all()
    assert result.queries.max() <= 1.2 * steps + 14 + 100


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_labels_and_scores_lead_to_the_same_walk(tabular, logistic, method):
    x, y = tabular[0][:5], tabular[1][:5]
    attack = BoundaryAttack(steps=50)
    expected = attack(logistic.predict, x, y, generator=seeded())
    result = attack(getattr(logistic, method), x, y, generator=seeded())
    assert_array_equal(result.adversarial, expected.adversarial)


def test_starts_from_the_nearest_given_point_of_another_class(tabular):
    x, y = tabular
    neighbours = KNeighborsClassifier(1).fit(x, y)
    rows = [0, 1, 19, 20]
    result = BoundaryAttack(starts=x, steps=0)(neighbours.predict, x[rows], y[rows], generator=seeded())
    assert result.success.all()
    for i, row in enumerate(rows):
        others = x[y != y[row]]
        nearest = others[np.linalg.norm(x[row] - others, axis=1).argmin()]
        way, moved = nearest - x[row], result.adversarial[i] - x[row]
        share = moved @ way / (way @ way)
        np.testing.assert_allclose(moved, share * way, atol=1e-12)
        # Up to the middle of the way the input itself is nearer than any point of another class.
        assert 0.5 <= share <= 1


def test_starts_serve_a_target(tabular):
    x, y = tabular
    model = KNeighborsClassifier(3).fit(x, y)
    result = BoundaryAttack(starts=x, steps=20)(model.predict, x[:4], y[:4], target=1 - y[:4], generator=seeded())
    assert_array_equal(model.predict(result.adversarial), 1 - y[:4])


def test_starts_of_another_shape_are_refused(tabular, logistic):
    x, y = tabular
    with pytest.raises(InvalidInput, match=r"starts must have shape \(any, 30\)"):
        BoundaryAttack(starts=x[:, :3])(logistic.predict, x[:2], y[:2])
    with pytest.raises(InvalidInput, match="starts must be finite"):
        BoundaryAttack(starts=np.full((2, 30), np.nan))(logistic.predict, x[:2], y[:2])


def test_more_steps_come_closer():
    torch.manual_seed(2)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 30), torch.nn.Tanh(), torch.nn.Linear(30, 3))
    x = torch.rand(10, 3, 2, 2)
    y = model(x).argmax(1)
    means = [
        BoundaryAttack(bounds=None, steps=steps)(model, x, y, generator=seeded()).distance.mean()
        for steps in (0, 100, 600)
    ]
    assert means[0] > 1.1 * means[1] > 1.1 * means[2]


def test_a_walk_that_has_converged_asks_no_more():
    def model(z):
        return torch.stack([z[:, 0] - 0.2, 0.2 - z[:, 0]], 1)

    x = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
    result = BoundaryAttack(steps=20_000)(model, x, torch.tensor([0]), generator=seeded())
    assert result.queries < 3000
    assert 0.3 <= float(result.distance) < 0.3 * (1 + 1e-3)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: np.array(["a"] * len(x)), "class indices"),
        (lambda x: np.full(len(x), -1), "class indices"),
        (lambda x: np.full(len(x), 0.3), r"columns \(0, s\)"),
        (lambda x: np.full((len(x), 2), "a"), "dtype"),
    ],
)
def test_answers_that_are_no_classes_are_refused(answer, message):
    with pytest.raises(ModelContractError, match=message):
        BoundaryAttack()(answer, np.full((2, 3), 0.5), np.array([0, 1]))


def test_a_label_that_the_model_never_predicts_is_a_wrong_prediction():
    x = np.full((2, 3), 0.5)
    result = BoundaryAttack()(lambda z: np.zeros(len(z), dtype=int), x, np.array([5, 0]))
    assert_array_equal(result.success, [True, False])


@pytest.mark.parametrize(
    "wrong", [{"norm": "l1"}, {"steps": -1}, {"spherical_step": 0.0}, {"source_step": 0.0}], ids=str
)
def test_refuses_nonsense(wrong):
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        BoundaryAttack(**wrong)
