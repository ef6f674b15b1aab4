"""Shapley values against their axioms, their definition, and their own standard errors."""

import math
from itertools import permutations

import pytest
import torch
from torch import nn

from trustworthy.core.errors import InvalidInput
from trustworthy.explain import ExactSHAP, KernelSHAP, PermutationSHAP

ALL = (ExactSHAP(), KernelSHAP(samples=40), PermutationSHAP(permutations=2))


def network(features: int) -> nn.Module:
    torch.default_generator.manual_seed(0)
    net = nn.Sequential(nn.Linear(features, 8), nn.Tanh(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    with torch.no_grad():
        for weight in net.parameters():
            weight.mul_(2)
    return net


def rows(count: int, features: int) -> torch.Tensor:
    return torch.rand(count, features, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Game(nn.Module):
    """Logits (v, 0) with v = 3 a b + c^2 + sin(d): a and b alike, e a dummy."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b, c, d, _ = x.unbind(1)
        return torch.stack([3 * a * b + c.square() + d.sin(), torch.zeros_like(a)], dim=1)


def test_exact_values_are_the_mean_gains_over_all_orders():
    model, x = network(5), rows(2, 5)
    y = model(x).argmax(1)
    found, expected = ExactSHAP(baseline=0.3)(model, x, y), torch.zeros_like(x)
    for order in permutations(range(5)):
        point = torch.full_like(x, 0.3)
        for player in order:
            before = model(point).gather(1, y[:, None])[:, 0]
            point[:, player] = x[:, player]
            expected[:, player] += (model(point).gather(1, y[:, None])[:, 0] - before).detach() / math.factorial(5)
    torch.testing.assert_close(found.scores, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", ALL, ids=lambda m: type(m).__name__)
def test_axioms(method):
    x = torch.tensor([[0.7, 0.7, 0.2, 0.4, 0.9], [0.1, 0.1, 0.8, 0.3, 0.5]], dtype=torch.float64)
    y = torch.zeros(2, dtype=torch.int64)
    found = method(Game(), x, y, generator=seeded(0))
    torch.testing.assert_close(found.scores.sum(1), Game()(x)[:, 0], rtol=0, atol=1e-12)  # efficiency
    torch.testing.assert_close(found.scores[:, 4], torch.zeros(2).double(), rtol=0, atol=1e-12)  # dummy
    torch.testing.assert_close(found.scores[:, 3], x[:, 3].sin(), rtol=0, atol=1e-12)  # what adds to the rest
    torch.testing.assert_close(found.scores[:, 0], 1.5 * x[:, 0].square(), rtol=0, atol=1e-12)  # symmetry
    torch.testing.assert_close(found.scores[:, 1], found.scores[:, 0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("features", [1, 2, 3, 5, 8, pytest.param(12, marks=pytest.mark.slow)])
def test_kernel_of_all_coalitions_is_the_enumeration(features):
    model, x = network(features), rows(3, features)
    found = KernelSHAP(samples=max(2, 2**features - 2), baseline=0.1)(model, x)
    exact = ExactSHAP(baseline=0.1)(model, x)
    torch.testing.assert_close(found.scores, exact.scores, rtol=0, atol=1e-8)
    assert (found.error == 0).all()
    assert (found.calls == exact.calls).all()


@pytest.mark.parametrize("method", [KernelSHAP(samples=44), PermutationSHAP(permutations=4)])
def test_estimates_are_right_on_average_and_by_their_errors(method):
    model, x = network(8), rows(2, 8)
    exact = ExactSHAP()(model, x).scores
    found = [method(model, x, generator=seeded(seed)) for seed in range(60)]
    off = torch.stack([one.scores - exact for one in found])
    assert (off.mean(0).abs() < 4 * off.std(0) / math.sqrt(60)).all()
    stated = torch.stack([one.error.square() for one in found]).mean(0)
    assert 0.8 < (stated / off.square().mean(0)).mean() < 1.25


def test_kernel_asks_as_many_coalitions_as_allowed():
    found = KernelSHAP(samples=101)(network(9), rows(1, 9))
    assert found.calls.tolist() == [103]  # 100 of 101, which come in pairs; all, none, and the prediction


def test_what_cannot_be_answered_is_refused():
    with pytest.raises(InvalidInput, match="coarser groups"):
        ExactSHAP()(network(17), rows(1, 17))
    with pytest.raises(InvalidInput, match=">= 18, one for each of 9"):
        KernelSHAP(samples=8)(network(9), rows(1, 9))
    with pytest.raises(InvalidInput, match="permutations"):
        PermutationSHAP(permutations=1)
