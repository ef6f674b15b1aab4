"""Inputs and models at the edge of what the attacks allow."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from trustworthy.attacks import (
    APGD,
    PGD,
    Bisection,
    BoundaryAttack,
    BudgetAttack,
    CarliniWagner,
    SquareAttack,
    diagnose,
    minimal_distortion,
)
from trustworthy.attacks import transfer_affinity as affinity_of
from trustworthy.core.errors import ModelContractError, TrustworthyWarning
from trustworthy.core.norms import per_example

DOUBLE = torch.float64


def threshold(at: float):
    """Class 1 from `at` on, along the first coordinate."""
    return lambda z: torch.stack([0 * z[:, 0], z[:, 0] - at], 1)


@pytest.mark.parametrize("attack", [PGD(eps=0.2, steps=3), APGD(eps=0.2, steps=3)], ids=["PGD", "APGD"])
def test_a_random_start_does_not_lose_an_input_that_is_wrong_to_begin_with(attack):
    x = torch.full((5, 2), 0.5, dtype=DOUBLE)

    def wrong_at_x_alone(z):
        near = torch.exp(-1e6 * (z - 0.5).square().sum(1))
        return torch.stack([1 + 0 * near, 2 * near], 1)

    result = attack(wrong_at_x_alone, x, torch.zeros(5, dtype=torch.int64))
    assert result.success.all()
    assert (result.distance == 0).all()


@dataclass(frozen=True, kw_only=True)
class Scripted(BudgetAttack):
    """Reaches distance 1, then 0.3, then as far as the radius lets it."""

    def search(self, problem, generator):
        radius = self.threat(problem).eps
        if not isinstance(radius, torch.Tensor):
            return problem.x + 1.0
        length = torch.where(radius >= 0.5, 0.3, radius)
        return problem.x + per_example(length, problem.x)


def test_more_bisections_never_give_a_worse_point():
    x, y = torch.zeros(1, 1, dtype=DOUBLE), torch.zeros(1, dtype=torch.int64)
    distances = [
        float(Bisection(attack=Scripted(eps=1.0, bounds=None), bisections=k)(threshold(0.25), x, y).distance)
        for k in range(8)
    ]
    assert distances == sorted(distances, reverse=True)
    assert 0.25 < distances[-1] < 0.26


def test_carlini_wagner_without_bounds_reaches_far_points():
    x, y = torch.zeros(3, 4, dtype=DOUBLE), torch.zeros(3, dtype=torch.int64)
    result = CarliniWagner(bounds=None, steps=60)(threshold(44.7), x, y)
    assert result.success.all()
    assert (result.distance - 44.7).abs().max() < 0.447


def test_carlini_wagner_judges_the_point_after_its_last_step():
    x, y = torch.full((1, 1), 0.5, dtype=DOUBLE), torch.zeros(1, dtype=torch.int64)
    assert CarliniWagner(c=10.0, steps=1, learning_rate=0.5)(threshold(0.51), x, y).success.all()


def test_square_judges_its_last_window():
    shown = []

    def model(z):
        shown.append(len(z))
        return threshold(2.0)(z.flatten(1))

    SquareAttack(eps=0.1, steps=7)(model, torch.full((1, 1, 4, 4), 0.5), torch.zeros(1, dtype=torch.int64))
    assert len(shown) == 1 + 1 + 7 + 1  # the input, the stripes, the windows, the last judgement


def test_boundary_attack_in_one_dimension():
    result = BoundaryAttack(bounds=None, steps=20)(
        threshold(1.0), torch.zeros(3, 1, dtype=DOUBLE), torch.zeros(3, dtype=torch.int64),
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert result.success.all()
    assert (result.distance - 1.0).abs().max() < 0.05


@pytest.mark.parametrize("column", [0, 1])
def test_nan_inside_the_ball_is_never_passed_over_in_silence(column):
    def model(z):
        spoilt = (z[:, :1] > 0.55) & (torch.arange(3) == column)
        return torch.where(spoilt, torch.nan, torch.tensor([1.0, 0.0, 0.0]) + 0 * z)

    x, y = torch.full((2, 3), 0.5), torch.zeros(2, dtype=torch.int64)
    if column == 0:  # NaN in the true class: its index is the argmax, so nothing looks broken
        with pytest.warns(TrustworthyWarning, match="returned NaN for some inputs"):
            assert not SquareAttack(eps=0.1, steps=20)(model, x, y).success.any()
    else:
        with pytest.raises(ModelContractError, match="NaN for an input that the attack may choose"):
            SquareAttack(eps=0.1, steps=20)(model, x, y)


def test_a_model_that_changes_its_input_is_refused():
    def model(z):
        z -= 0.5
        return z

    x = torch.full((2, 3), 0.5)
    with pytest.raises(ModelContractError, match="changes its input in place"):
        SquareAttack(eps=0.1, steps=5)(model, x, torch.zeros(2, dtype=torch.int64))


def test_labels_of_any_integer_type():
    x = np.full((3, 2), 0.4)
    for kind in (np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int32):
        result = SquareAttack(eps=0.2, steps=50)(
            lambda z: np.stack([0 * z[:, 0], z[:, 0] - 0.5], 1), x, np.zeros(3, dtype=kind)
        )
        assert result.success.all()


def test_labels_drawn_at_random_may_differ_in_how_many_there_are():
    turns = iter(range(10_000))
    result = BoundaryAttack(eot=2, steps=1)(
        lambda z: np.full(len(z), 2 * (next(turns) % 2)), np.full((2, 2), 0.5), np.array([0, 1])
    )
    assert result.adversarial.shape == (2, 2)


def test_affinity_is_undefined_where_a_model_gains_from_its_own_examples():
    x, y = torch.tensor([[0.5], [0.9]], dtype=DOUBLE), torch.tensor([0, 1])
    always_pushes_right = PGD(eps=0.3, steps=1, random_start=False, step_size=0.3)

    def contrary(z):  # gradient and decision disagree: its own examples cure it
        score = z[:, 0] - 0.6
        return torch.stack([-score.detach() * 0, (score > -0.05).double().detach() + 1e-9 * score], 1)

    result = affinity_of([contrary], always_pushes_right, x, y)
    own = result.clean[0] - result.attacked[0, 0]
    assert np.isnan(result.affinity[0, 0]) if own <= 0 else result.affinity[0, 0] == 1.0


@pytest.mark.parametrize("rows", [1, 5])
def test_an_unbounded_attack_is_not_asked_for_where_nothing_says_how_far_that_is(rows):
    x = torch.zeros(rows, 2, dtype=DOUBLE) + 0.01 * torch.rand(rows, 2, dtype=DOUBLE)
    found = diagnose(
        threshold(5.0), x, torch.zeros(rows, dtype=torch.int64), queries=5,
        attack=PGD(eps=0.1, bounds=None, loss="margin", steps=5), generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert "unbounded_survives" not in {check.name for check in found.checks}


def test_a_distortion_far_below_the_largest_radius_is_resolved():
    x, y = torch.zeros(4, 3, dtype=DOUBLE), torch.zeros(4, dtype=torch.int64)
    attack = PGD(eps=100.0, norm="l2", bounds=None, steps=20, random_start=False)
    distance = minimal_distortion(threshold(0.3), attack, x, y, bisections=8).distance
    assert (distance >= 0.3).all()
    assert (distance <= 0.33).all()
