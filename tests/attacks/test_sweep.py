"""Accuracy against the radius, in closed form and step by step."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from trustworthy.attacks import (
    FGSM,
    PGD,
    BoundaryAttack,
    CarliniWagner,
    RobustnessCurve,
    SquareAttack,
    robustness_curve,
)
from trustworthy.core.errors import InvalidInput

WEIGHT = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
LINF, L2 = 3.5, float(WEIGHT.norm())


def model(z):
    return torch.stack([z @ WEIGHT, 0 * z[:, 0]], 1)


@pytest.fixture
def examples():
    """Margins from -0.2 to 1.8 in steps of 0.1 for class 0, away from the bounds."""
    margins = torch.arange(-2, 19, dtype=torch.float64) / 10 + 0.01
    x = 0.5 - 0.25 * torch.ones(3, dtype=torch.float64) + (margins[:, None] - 0.375) * WEIGHT / L2**2
    return x, torch.zeros(len(x), dtype=torch.int64), margins.numpy()


@pytest.mark.parametrize(
    "attack", [FGSM(eps=9.0, bounds=None), PGD(eps=9.0, bounds=None, steps=10)], ids=["FGSM", "PGD"]
)
def test_accuracy_is_the_share_of_margins_beyond_eps_times_the_dual_norm(examples, attack):
    x, y, margins = examples
    eps = [0.3, 0.0, 0.1, 0.4, 0.2, 0.1]
    curve = robustness_curve(model, attack, x, y, eps)
    assert_array_equal(curve.eps, [0.0, 0.1, 0.2, 0.3, 0.4])
    assert_allclose(curve.accuracy, [(margins > LINF * radius).mean() for radius in curve.eps])
    assert curve.norm == "linf"
    assert_array_equal(curve.broken_at == 0, margins < 0)
    assert_array_equal(np.isinf(curve.broken_at), margins > LINF * 0.4)


def test_a_minimal_distance_attack_is_read_off_its_distances(examples):
    x, y, margins = examples
    curve = robustness_curve(model, CarliniWagner(bounds=None, steps=100), x, y, [0.0, 0.2, 0.5])
    assert_allclose(curve.broken_at, np.maximum(margins, 0) / L2, rtol=0.01)
    assert_allclose(curve.accuracy, [(margins > L2 * radius).mean() for radius in (0.0, 0.2, 0.5)])


def test_broken_examples_are_not_attacked_again(examples):
    x, y, margins = examples
    shown = []

    def counting(z):
        shown.append(len(z))
        return model(z)

    robustness_curve(counting, FGSM(eps=1.0, bounds=None), x, y, [0.1, 0.2], batch_size=5)
    unbroken = [(margins > LINF * radius).sum() for radius in (0.0, 0.1)]
    assert sum(shown) == len(x) + 2 * sum(unbroken)
    assert max(shown) == 5


def test_cannot_rise_even_where_the_attack_misses_at_a_larger_radius():
    def deceptive(z):
        """Broken within 0.1, and by FGSM not beyond: the sign step overshoots."""
        return torch.stack([0 * z[:, 0], ((z - 0.5).abs().sum(1) < 0.25).to(z.dtype) * (z - 0.5).sum(1)], 1)

    x, y = torch.full((1, 2), 0.5, dtype=torch.float64), torch.tensor([0])
    alone = [FGSM(eps=eps)(deceptive, x, y).success.item() for eps in (0.05, 0.3)]
    assert alone == [True, False]
    assert_array_equal(robustness_curve(deceptive, FGSM(eps=1.0), x, y, [0.0, 0.05, 0.3]).accuracy, [1, 0, 0])


def test_worst_case_over_attacks_is_the_minimum_for_each_example(examples):
    x, y, _ = examples
    curves = [
        robustness_curve(model, attack, x, y, [0.05, 0.1, 0.2], generator=torch.Generator().manual_seed(0))
        for attack in (FGSM(eps=1.0, bounds=None), SquareAttack(eps=1.0, bounds=None, steps=3))
    ]
    worst = curves[0].worst(curves[1])
    assert_array_equal(worst.broken_at, np.minimum(curves[0].broken_at, curves[1].broken_at))
    assert (worst.accuracy <= curves[1].accuracy).all()
    assert "FGSM" in worst.attack
    assert "SquareAttack" in worst.attack


@pytest.mark.parametrize("change", [{"norm": "l2"}, {"eps": np.array([0.2])}, {"broken_at": np.zeros(3)}], ids=str)
def test_curves_of_different_questions_do_not_mix(change):
    fields = {"attack": "a", "norm": "linf", "eps": np.array([0.1]), "broken_at": np.zeros(2)}

    def curve(**given):
        return RobustnessCurve(**given, limits_at=np.zeros((2, len(given["broken_at"]))))

    with pytest.raises(InvalidInput, match="others must have"):
        curve(**fields).worst(curve(**{**fields, **change}))


def test_numpy_models_have_curves_too():
    x, y = np.array([[0.4], [0.1], [0.9]]), np.array([0, 0, 0])
    attack = BoundaryAttack(steps=20, starts=np.array([[0.8]]))
    curve = robustness_curve(lambda z: (z[:, 0] > 0.5).astype(int), attack, x, y, [0.0, 0.2, 0.5])
    assert_allclose(curve.accuracy, [2 / 3, 1 / 3, 0.0])


@pytest.mark.parametrize(("eps", "message"), [([], "at least one radius"), ([-0.1], "eps must be >= 0")])
def test_refuses_bad_radii(examples, eps, message):
    x, y, _ = examples
    with pytest.raises(InvalidInput, match=message):
        robustness_curve(model, FGSM(eps=1.0), x, y, eps)


def test_refuses_bad_examples_and_batches(examples):
    x, y, _ = examples
    with pytest.raises(InvalidInput, match="y must have shape"):
        robustness_curve(model, FGSM(eps=1.0, bounds=None), x, y[:2], [0.1])
    with pytest.raises(InvalidInput, match="batch_size must be >= 1"):
        robustness_curve(model, FGSM(eps=1.0, bounds=None), x, y, [0.1], batch_size=0)
