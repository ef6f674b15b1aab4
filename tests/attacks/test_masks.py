"""Attacks on the free coordinates of linear models: how far the boundary is, in closed form."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch.testing import assert_close

from trustworthy.attacks import FGSM, PGD, BoundaryAttack, CarliniWagner, minimal_distortion, robustness_curve
from trustworthy.core.errors import InvalidInput

WEIGHT = torch.tensor([2.0, -1.0, 0.5, 1.5], dtype=torch.float64)
X = torch.rand(12, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
Y = torch.zeros(12, dtype=torch.int64)
FREE = torch.tensor([[True, False, False, True], [False, True, True, False], [False, False, False, True]] * 4)
MARGIN = X @ WEIGHT - 1.0


def model(z):
    return torch.stack([z @ WEIGHT - 1.0, 0 * z[:, 0]], 1)


def reach(norm_of_weights):
    """Distance to the boundary of each example."""
    return MARGIN / norm_of_weights(FREE * WEIGHT)


def euclidean(w):
    return w.norm(dim=1)


@pytest.mark.parametrize("bounds", [None, (-3.0, 3.0)])
def test_carlini_wagner_reaches_the_distance_in_the_free_coordinates(bounds):
    result = CarliniWagner(bounds=bounds, steps=60)(model, X, Y, free=FREE)
    assert_close(result.distance, reach(euclidean), rtol=0.01, atol=0)


def test_carlini_wagner_puts_back_what_its_box_rounds():
    """One coordinate in two hundred is not tanh(atanh(x)) in float32."""
    x = torch.rand(2, 2000, generator=torch.Generator().manual_seed(0))
    free = torch.arange(2000).expand(2, -1) < 50

    def of_the_free(z):
        return torch.stack([z[:, :50].mean(1), 0 * z[:, 0] + 0.4], 1)

    result = CarliniWagner(steps=20)(of_the_free, x, torch.zeros(2, dtype=torch.int64), free=free)
    assert result.success.all()
    assert torch.equal(result.adversarial[~free], x[~free])


@pytest.mark.parametrize("starts", [None, -X], ids=["random", "given"])
def test_boundary_attack_walks_in_the_free_coordinates(starts):
    attack = BoundaryAttack(bounds=(-3.0, 3.0), steps=700, starts=starts)
    result = attack(model, X, Y, free=FREE, generator=torch.Generator().manual_seed(0))
    assert result.success.all()
    assert (result.distance >= reach(euclidean) * (1 - 1e-9)).all()
    assert (result.distance <= reach(euclidean) * 1.1).all()


def test_boundary_attack_passes_over_a_start_that_serves_only_as_a_whole():
    x, free = torch.zeros(1, 2), torch.tensor([[True, False]])
    starts = torch.tensor([[0.2, 0.9], [0.8, 0.1]])  # the first is nearer, and wrong by its second coordinate

    def either(z):
        return torch.stack([z[:, 0] * 0 + 0.5, z.amax(1)], 1)

    result = BoundaryAttack(starts=starts, steps=0)(either, x, torch.tensor([0]), free=free)
    assert bool(result.success)
    assert_close(result.adversarial, torch.tensor([[0.5, 0.0]]), rtol=0, atol=1e-3)
    assert int(result.queries) < 20  # no random point was asked for


def test_distortion_is_bisected_in_the_free_coordinates():
    attack = PGD(eps=3.0, bounds=None, random_start=False, steps=1, step_size=3.0)
    masked = minimal_distortion(model, attack, X, Y, free=FREE, bisections=14, batch_size=5)
    assert_close(masked.distance, reach(lambda w: w.abs().sum(1)), rtol=1e-3, atol=0)


@pytest.mark.parametrize("kind", [torch.Tensor, np.ndarray])
def test_accuracy_falls_with_what_the_free_coordinates_can_lose(kind):
    x, y, free = (X, Y, FREE) if kind is torch.Tensor else (X.numpy(), Y.numpy(), FREE.numpy())
    classify = model if kind is torch.Tensor else (lambda z: model(torch.as_tensor(z)).numpy())
    attack = FGSM(eps=1.0, bounds=None) if kind is torch.Tensor else BoundaryAttack(bounds=(-3.0, 3.0), steps=400)
    eps = [0.1, 0.3, 0.5]
    curve = robustness_curve(classify, attack, x, y, eps, free=free, batch_size=8, generator=torch.Generator())
    size = reach(lambda w: w.abs().sum(1)) if kind is torch.Tensor else reach(euclidean) * 1.02
    assert_array_equal(curve.robust, size.numpy() > np.array(eps)[:, None])


def test_evaluations_refuse_a_bad_mask_before_they_ask_anything():
    def never(z):
        raise AssertionError("asked")

    for evaluate in (
        lambda: minimal_distortion(never, FGSM(eps=1.0), X, Y, free=FREE[:3]),
        lambda: robustness_curve(never, FGSM(eps=1.0), X, Y, [0.1], free=FREE[:3]),
    ):
        with pytest.raises(InvalidInput, match="free must have the shape of x"):
            evaluate()
