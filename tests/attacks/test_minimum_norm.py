"""The nearest point of another class: closed forms of a linear model, starts, and stochastic models."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from reference.released_g import released_g
from trustworthy.attacks import MinimumNorm
from trustworthy.core.errors import InvalidInput
from trustworthy.neighbors import NearestNeighborVerifier


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


@pytest.mark.parametrize(
    "bounds", [pytest.param(None, id="no box", marks=pytest.mark.slow), pytest.param((0.0, 1.0), id="box")]
)
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_reaches_the_distance_to_a_linear_boundary(norm, bounds):
    """Of all coordinates and of half of them, where the box binds and where it does not."""
    model, weight, x, y = linear()
    half = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    x, y, free = x.repeat(2, 1), y.repeat(2), torch.cat([torch.ones_like(half), half])
    nearest = exact(weight, x, free, norm, bounds)
    broken = nearest.isfinite()
    assert (broken[:8].sum() > 3) & (broken[8:].sum() > 3)
    for target in (None, 1 - y):
        found = MinimumNorm(norm=norm, bounds=bounds)(model, x, y, free=free, target=target).distance
        assert torch.equal(found.isinf(), nearest.isinf())
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


def small_net(seed):
    """A net of three classes, inputs in [0, 1], its answers, and masks of half of the coordinates."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 3)).double()
    net.requires_grad_(False)
    for layer in (net[0], net[2], net[4]):
        layer.weight.mul_(3.0)
    x = torch.rand(12, 10, dtype=torch.float64)
    free = torch.rand(x.shape) < 0.5
    free[:, 0] = True
    return net, x, net(x).argmax(1), free


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_is_nowhere_weaker_than_the_released_procedure_at_no_more_calls(seed):
    net, x, y, free = small_net(seed)
    theirs, calls = released_g(net, x, y, free, steps=20, rounds=12)
    found = MinimumNorm(steps=int(calls.min()) - 2)(net, x, y, free=free)
    assert (found.queries <= calls).all()
    assert theirs.isfinite().sum() > 3
    assert (found.distance <= theirs).all()
    broken = theirs.isfinite()
    assert (found.distance[broken] / theirs[broken]).mean() < 0.97


@pytest.mark.parametrize(
    ("seed", "steps"),
    [
        (1, 400),
        pytest.param(0, 1000, marks=pytest.mark.slow),
        *(pytest.param(seed, 2000, marks=pytest.mark.slow) for seed in range(1, 6)),
    ],
)
def test_finds_what_the_exact_verifier_of_nearest_neighbours_finds(seed, steps):
    """The logits are minus the squared distance to the nearest point of each class: no surrogate stands between.

    In every row; 200 steps, and 400 without further walks, end at the boundary of another pair of points in some.
    """
    draw = np.random.default_rng(seed)
    rows, labels = draw.random((30, 4)), np.arange(30) % 3
    queries = draw.random((30, 4))
    verifier = NearestNeighborVerifier(norm="l2").fit(rows, labels)
    y = verifier.predict(queries)
    exact = torch.from_numpy(verifier.exact(queries, y).upper)
    pool = torch.from_numpy(rows)

    def model(z):
        squared = (z[:, None] - pool).square().sum(2)
        return torch.stack([-squared[:, labels == label].amin(1) for label in range(3)], 1)

    found = MinimumNorm(bounds=None, steps=steps)(model, torch.from_numpy(queries), torch.from_numpy(y)).distance
    assert (found >= exact * (1 - 1e-9)).all()
    assert (found <= exact * 1.002).all()


def test_no_single_answer_of_a_stochastic_model_is_taken_for_a_proof():
    """The boundary is at a distance of 0.3 on average; one answer puts it up to 0.2 nearer or further."""

    class Jitter(nn.Module):
        def forward(self, z):
            gap = z[:, :1] - 0.5 + 0.2 * torch.randn(len(z), 1, dtype=z.dtype)
            return 5 * torch.cat([gap, -gap], 1)

    x, y = torch.full((20, 3), 0.8, dtype=torch.float64), torch.zeros(20, dtype=torch.int64)
    points = MinimumNorm(eot=4, steps=40).perturb(Jitter(), x, y, generator=torch.Generator().manual_seed(0))
    distance = (points - x).norm(dim=1)
    assert (distance >= 0.3).double().mean() >= 0.9
    assert distance.median() < 0.4


def test_a_gradient_of_zero_leads_to_no_point_that_is_no_number():
    x, y = torch.full((2, 40), 0.25), torch.zeros(2, dtype=torch.int64)
    free = torch.zeros_like(x, dtype=torch.bool)
    free[:, 20:] = True

    def model(z):
        flat = z[:, 20:].clamp(min=2.0).sum(1)
        return torch.stack([z[:, :20].sum(1) + flat, z[:, 0]], 1)

    found = MinimumNorm(steps=80, bounds=(-3.0, 1.0))(model, x, y, free=free)  # whose warning of NaN would be an error
    assert not found.success.any()
    assert found.adversarial.equal(x)
