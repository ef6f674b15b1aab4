"""The nearest point of another class: closed forms of a linear model, starts, and stochastic models."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from trustworthy.attacks import MinimumNorm
from trustworthy.core.errors import InvalidInput


def linear(features=12, count=8, seed=0):
    """A two-class linear model, inputs in [0, 1] some of whose coordinates lie on the bounds, and their classes."""
    draw = torch.Generator().manual_seed(seed)
    weight = torch.randn(features, generator=draw, dtype=torch.float64)
    x = (1.4 * torch.rand(count, features, generator=draw, dtype=torch.float64) - 0.2).clamp(0, 1)

    def model(z):
        score = (z - 0.5) @ weight
        return torch.stack([score, -score], 1)

    return model, weight, x, model(x).argmax(1)


def exact(weight, x, free, norm, bounds):
    """Distance to (z - 0.5) @ weight = 0 in the box, by bisection over the step along the dual direction, clipped."""
    score = (x - 0.5) @ weight
    direction = torch.where(free, -score.sign()[:, None] * weight, 0.0)
    direction = direction.sign() if norm == "linf" else direction
    low, high = torch.zeros(len(x), dtype=x.dtype), torch.full((len(x),), 1e3, dtype=x.dtype)

    def moved(length):
        z = x + length[:, None] * direction
        return z if bounds is None else z.clamp(*bounds)

    for _ in range(80):
        middle = (low + high) / 2
        crossed = ((moved(middle) - 0.5) @ weight) * score <= 0
        low, high = torch.where(crossed, low, middle), torch.where(crossed, middle, high)
    reached = ((moved(high) - 0.5) @ weight) * score <= 0
    distance = (moved(high) - x).norm(dim=1) if norm == "l2" else (moved(high) - x).abs().amax(1)
    return torch.where(reached, distance, torch.inf)


@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)], ids=["no box", "box"])
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_reaches_the_distance_to_a_linear_boundary(norm, bounds):
    """Of all coordinates and of half of them, where the box binds and where it does not."""
    model, weight, x, y = linear()
    for free in (
        torch.ones_like(x, dtype=torch.bool),
        torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.5,
    ):
        nearest = exact(weight, x, free, norm, bounds)
        for options in ({}, {"target": 1 - y}):
            found = MinimumNorm(norm=norm, bounds=bounds)(model, x, y, free=free, **options).distance
            assert torch.equal(found.isinf(), nearest.isinf())
            broken = nearest.isfinite()
            assert broken.sum() > 3
            assert (found[broken] >= nearest[broken] * (1 - 1e-9)).all()
            assert_close(found[broken], nearest[broken], rtol=1e-3, atol=0)


def test_a_start_is_gone_on_from_and_nothing_else_of_it_is_taken():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 3)).double()
    x = torch.rand(6, 12, dtype=torch.float64)
    y = net(x).argmax(1)
    free = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.6
    far = MinimumNorm(bounds=None, steps=100)(net, x, y).adversarial
    far[0] = x[0]  # no start
    asked = []

    def recorded(z):
        asked.append(z.detach().clone())
        return net(z)

    MinimumNorm(bounds=None, steps=3, start=far)(recorded, x, y, free=free)
    assert torch.equal(asked[1][1:], torch.where(free, far, x)[1:])
    assert (asked[2][0] != x[0]).any()
    assert all(torch.equal(points[~free], x[~free]) for points in asked)


def test_refuses_what_it_cannot_do():
    x, y = torch.rand(3, 4), torch.zeros(3, dtype=torch.int64)
    with pytest.raises(InvalidInput, match=r"norm must be 'l2' or 'linf' for MinimumNorm, got 'l1'"):
        MinimumNorm(norm="l1")
    with pytest.raises(InvalidInput, match=r"steps must be"):
        MinimumNorm(steps=0)
    with pytest.raises(InvalidInput, match=r"start must have the shape of x, \(3, 4\), got \(2, 4\)"):
        MinimumNorm(start=x[:2])(nn.Linear(4, 2), x, y)


def test_a_gradient_of_zero_leads_to_no_point_that_is_no_number():
    x, y = torch.full((2, 40), 0.25), torch.zeros(2, dtype=torch.int64)
    free = torch.zeros_like(x, dtype=torch.bool)
    free[:, 20:] = True

    def model(z):
        flat = z[:, 20:].clamp(min=2.0).sum(1)
        return torch.stack([z[:, :20].sum(1) + flat, z[:, 0]], 1)

    found = MinimumNorm(steps=80)(model, x, y, free=free)  # whose warning of NaN would be an error
    assert not found.success.any()
    assert found.adversarial.equal(x)
