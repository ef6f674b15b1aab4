"""Expectation over transformation: gradients are averaged, steps are not divided."""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from trustworthy.attacks import BIM, FGSM, PGD, CarliniWagner
from trustworthy.attacks.goal import Goal
from trustworthy.attacks.problem import Problem
from trustworthy.core.predictive import pooled
from trustworthy.core.protocols import as_posterior

WEIGHT = torch.tensor([[1.0, -0.5, 0.25, -0.125], [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)


class NoisyLinear(nn.Module):
    """Logits with a weight drawn anew for every call, its noise three times the signal."""

    def __init__(self, noise=3.0):
        super().__init__()
        self.noise = noise

    def forward(self, x):
        return x @ (WEIGHT + self.noise * torch.randn_like(WEIGHT)).T


def seeded():
    return torch.Generator().manual_seed(0)


def test_many_draws_find_the_sign_that_one_draw_misses():
    x, y = torch.full((1, 4), 0.5, dtype=torch.float64), torch.tensor([0])
    best = x - 0.1 * (WEIGHT[0] - WEIGHT[1]).sign()
    noisy = NoisyLinear(0.25)
    assert_close(FGSM(eps=0.1, loss="margin", eot=60)(noisy, x, y, generator=seeded()).adversarial, best)
    assert not torch.equal(FGSM(eps=0.1, loss="margin")(noisy, x, y, generator=seeded()).adversarial, best)


@pytest.mark.parametrize("eot", [1, 7])
def test_the_step_does_not_shrink_with_the_number_of_draws(eot):
    """On a fixed model the draws agree, so nothing may change but the queries."""
    x, y = torch.full((3, 4), 0.5, dtype=torch.float64), torch.tensor([0, 0, 1])
    for attack in (FGSM(eps=0.1, eot=eot), BIM(eps=0.1, eot=eot), PGD(eps=0.1, norm="l2", random_start=False, eot=eot)):
        result = attack(lambda z: z @ WEIGHT.T, x, y)
        assert_close(result.distance, torch.full((3,), 0.1, dtype=torch.float64))
        assert (result.queries % eot == 0).all()


def test_gradient_and_loss_are_means_over_the_draws():
    x, y = torch.rand(2, 4, dtype=torch.float64), torch.tensor([0, 1])

    def singles(count):
        torch.manual_seed(1)
        one = Problem(as_posterior(NoisyLinear()), x, Goal(y), eot=1)
        return [one.ascent(x) for _ in range(count)]

    draws = singles(5)
    torch.manual_seed(1)
    gradient, loss, _ = Problem(as_posterior(NoisyLinear()), x, Goal(y), eot=5).ascent(x)
    assert_close(gradient, torch.stack([draw[0] for draw in draws]).mean(0))
    assert_close(loss, torch.stack([draw[1] for draw in draws]).mean(0))


def test_draws_are_judged_by_their_mean_probabilities():
    sure, unsure = torch.tensor([[4.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert_close(pooled([sure, unsure, unsure]).exp(), (sure.softmax(1) + 2 * unsure.softmax(1)) / 3)
    assert pooled([sure, unsure, unsure]).argmax() == 0  # two of three draws vote for the other class
    assert pooled([sure]) is sure


def test_carlini_wagner_crosses_the_mean_boundary_of_a_noisy_model():
    class Jitter(nn.Module):
        def forward(self, x):
            z = x @ WEIGHT.T
            return z + 0.05 * torch.randn_like(z)

    x = torch.full((1, 4), 0.5, dtype=torch.float64) * WEIGHT[0].sign().clamp_min(0.2)
    distance = float(x @ WEIGHT[0] / WEIGHT[0].norm())
    result = CarliniWagner(eot=12, steps=40, searches=2, kappa=0.05)(Jitter(), x, torch.tensor([0]), generator=seeded())
    assert bool(result.success)
    assert distance < float(result.distance) < distance + 4 * 0.05 / math.sqrt(1.33)
