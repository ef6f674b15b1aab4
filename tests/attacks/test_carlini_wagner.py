"""Carlini and Wagner: the closed-form distance to a linear boundary, the box, confidence, and the sweep over c."""

import pytest
import torch
from torch.testing import assert_close

from trustworthy.attacks import CarliniWagner
from trustworthy.attacks.losses import margin
from trustworthy.core.errors import InvalidInput


def linear(features, dtype, scale, spread=0.25):
    torch.manual_seed(1)
    weight = (torch.randn(2, features) * scale).to(dtype)
    x = (torch.rand(20, features) * 2 * spread + 0.5 - spread).to(dtype)

    def model(z):
        return (z - 0.5) @ weight.T

    logits = model(x)
    distance = (logits[:, 0] - logits[:, 1]).abs() / (weight[0] - weight[1]).norm()
    return model, x, logits.argmax(1), distance


@pytest.mark.parametrize(
    ("features", "scale", "bounds", "dtype", "steps"),
    [
        (10, 30.0, (0.0, 1.0), torch.float32, 200),
        (100, 0.003, None, torch.float64, 200),
        *(
            pytest.param(*steep_or_flat, bounds, dtype, 300, marks=pytest.mark.slow)
            for steep_or_flat, bounds, dtype in (
                ((10, 30.0), (0.0, 1.0), torch.float32),
                ((10, 30.0), (0.0, 1.0), torch.float64),
                ((10, 30.0), None, torch.float32),
                ((10, 30.0), None, torch.float64),
                ((100, 0.003), (0.0, 1.0), torch.float32),
                ((100, 0.003), (0.0, 1.0), torch.float64),
                ((100, 0.003), None, torch.float32),
                ((100, 0.003), None, torch.float64),
            )
        ),
    ],
)
def test_reaches_the_distance_to_a_linear_boundary(features, scale, bounds, dtype, steps):
    model, x, y, distance = linear(features, dtype, scale)
    result = CarliniWagner(bounds=bounds, steps=steps)(model, x, y)
    assert result.success.all()
    assert (result.distance <= 1.01 * distance).all()
    assert (result.distance >= (1 - 1e-5) * distance).all()


def test_two_classes_make_a_target_the_same_problem():
    model, x, y, distance = linear(10, torch.float64, 1.0)
    result = CarliniWagner(steps=200, searches=3)(model, x, y, target=1 - y)
    assert result.success.all()
    assert (result.distance <= 1.01 * distance).all()


def test_coordinates_on_the_bounds_are_free_to_move():
    """The nearest adversarial point needs every coordinate, and all of them start on a bound."""
    x = torch.tensor([[0.0, 0.0, 1.0, 1.0]], dtype=torch.float64)
    weight = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64)

    def model(z):
        return torch.stack([1.0 - z @ weight - 2.0, 0 * z[:, 0]], 1)

    result = CarliniWagner(steps=100)(model, x, torch.tensor([0]))
    assert_close(result.adversarial, torch.tensor([[0.25, 0.25, 0.75, 0.75]], dtype=torch.float64), atol=1e-3, rtol=0)


def test_reaches_points_on_the_bounds():
    """Once the heavier coordinate is used up, the nearest point lies on a face, which tanh alone never meets."""
    x = torch.tensor([[0.8, 0.5]], dtype=torch.float64)

    def model(z):
        return torch.stack([2.4 - 2 * z[:, 0] - z[:, 1], 0 * z[:, 0]], 1)

    result = CarliniWagner(bounds=(0.0, 0.85), steps=150)(model, x, torch.tensor([0]))
    assert_close(result.adversarial, torch.tensor([[0.85, 0.7]], dtype=torch.float64), atol=1e-3, rtol=0)


def test_confidence_is_the_margin_of_the_wrong_class():
    model, x, y, _ = linear(10, torch.float64, 1.0)
    result = CarliniWagner(kappa=0.3, steps=50)(model, x, y)
    assert result.success.all()
    assert_close(margin(model(result.adversarial), y), torch.full((20,), 0.3, dtype=torch.float64), rtol=0.01, atol=0)


def test_a_small_fixed_weight_fails_and_a_larger_one_moves_further():
    """At the optimum of (2.2) a linear model moves by c |w| / 2 at most, so below c = 2 d / |w| it cannot arrive."""
    model, x, y, distance = linear(10, torch.float64, 1.0)
    slope = torch.autograd.functional.jacobian(lambda z: margin(model(z), y)[:1], x)[0, 0].norm()
    needed = float(2 * distance.median() / slope)
    result = CarliniWagner(c=needed, steps=100)(model, x, y)
    assert result.success[distance < 0.95 * distance.median()].all()
    # Adam overshoots the optimum by a third at most here.
    assert not result.success[distance > 4 / 3 * distance.median()].any()
    assert result.distance[~result.success].isinf().all()
    assert CarliniWagner(c=100 * needed, steps=100)(model, x, y).success.all()


def test_keeps_the_nearest_adversarial_point_that_it_asked_about():
    model, x, y, _ = linear(10, torch.float64, 1.0)
    asked = []

    def recorded(z):
        asked.append(z.detach().clone())
        return model(z)

    # A heavy weight overshoots, so that later adversarial points lie beyond earlier ones.
    found = CarliniWagner(c=1000.0, steps=30, learning_rate=0.3)(recorded, x[:1], y[:1])
    points = torch.cat(asked)
    broken = model(points).argmax(1) != y[0]
    distance = (points - x[0]).norm(dim=1)
    assert_close(found.distance[0], distance[broken].min())
    assert distance[broken].diff().max() > 0


def test_giving_up_early_changes_queries_and_no_distance():
    model, x, y, _ = linear(10, torch.float64, 1.0)
    patient, quick = (CarliniWagner(steps=50, searches=4, abort_early=early)(model, x, y) for early in (False, True))
    assert quick.queries.sum() < patient.queries.sum()
    assert_close(quick.distance, patient.distance, rtol=1e-3, atol=0)


def test_a_model_without_slope_is_reported_as_failure():
    def flat(z):
        return torch.stack([0 * z.sum(1) + 1, 0 * z.sum(1)], 1)

    x = torch.rand(3, 4)
    assert not CarliniWagner(steps=10, searches=2)(flat, x, torch.zeros(3, dtype=torch.int64)).success.any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"norm": "linf"},
        {"c": 0.0},
        {"kappa": -1.0},
        {"steps": 0},
        {"learning_rate": 0.0},
        {"searches": 0},
    ],
    ids=str,
)
def test_refuses_nonsense(wrong):
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        CarliniWagner(**wrong)
