"""Many chains at once, one in each row of the weights, on the quadratic loss of a linear-Gaussian model.

Its posterior is known, and so is what steps of a length above 0 make of it.
"""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from trustworthy.core.errors import InvalidInput
from trustworthy.training import Langevin

CURVATURE = torch.tensor([0.5, 2.0, 20.0], dtype=torch.float64)
BEST = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
ROWS, CHAINS = 40, 500


def chains(steps, *, noise=0.0, start=0.0 * BEST, **settings):
    """Weights after `steps`, and the optimizer; `noise` is the spread of the gradients of parts of the data."""
    weights = nn.Parameter(start.repeat(CHAINS, 1))
    optimizer = Langevin([weights], **{"lr": 0.02, "rows": ROWS, **settings})
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        error = noise * torch.randn(CHAINS, 3, generator=generator, dtype=torch.float64)
        weights.grad = CURVATURE * (weights.detach() - BEST) + error
        optimizer.step()
    return weights.detach(), optimizer


def posterior(prior_std):
    """Mean and precision of the posterior."""
    precision = ROWS * CURVATURE + 1 / prior_std**2
    return ROWS * CURVATURE * BEST / precision, precision


def assert_standard(z):
    """Rows of standard normal numbers, with 4 standard errors on mean, variance and covariance."""
    assert bool((z.mean(0).abs() < 4 / math.sqrt(len(z))).all())
    error = torch.full((3, 3), 4 / math.sqrt(len(z))) + torch.eye(3) * (math.sqrt(2) - 1) * 4 / math.sqrt(len(z))
    assert bool(((z.T.cov() - torch.eye(3)).abs() < error).all())


@pytest.mark.parametrize("temperature", [1.0, pytest.param(0.1, marks=pytest.mark.slow)])
def test_plain_chains_have_the_mean_and_the_variance_of_the_posterior(temperature):
    prior_std = 0.3  # the prior moves the mean of the first weight by a third
    weights, _ = chains(250, lr=0.04, prior_std=prior_std, temperature=temperature)
    mean, precision = posterior(prior_std)
    too_wide = 1 / (1 - 0.04 * precision / ROWS / 2)  # 1.02, 1.05, 1.68
    assert_standard((weights - mean) * (precision / temperature / too_wide).sqrt())


def test_a_preconditioner_that_stands_still_leaves_the_posterior_right_up_to_the_steps():
    noise, rate = 0.5, 0.01
    settings = {"burn_in": 150, "cycle": 450, "prior_std": 0.3, "noisy_burn_in": True}
    weights, optimizer = chains(450, noise=noise, lr=rate, start=BEST, preconditioned=True, **settings)
    mean, precision = posterior(0.3)
    (state,) = optimizer.state.values()
    step = rate / (state["mean_square"].sqrt() + 1e-5)  # of each chain and weight
    pull = step * precision / ROWS
    variance = (2 * step / ROWS + step**2 * noise**2) / (1 - (1 - pull) ** 2)
    assert_standard((weights - mean) / variance.sqrt())
    assert bool((variance * precision).quantile(0.95) < 1.5)  # and near the posterior itself


@pytest.mark.parametrize(("burn_in", "squares"), [(0, [1.0, 5.0, 3.0]), (2, [1.0, 5.0, 5.0])])
def test_a_preconditioner_learns_in_the_burn_in_and_throughout_where_there_is_none(burn_in, squares):
    weight, seen = nn.Parameter(torch.zeros(1)), []
    optimizer = Langevin([weight], lr=0.1, rows=1, preconditioned=True, decay=0.5, cycle=100, burn_in=burn_in)
    for slope in (1.0, 3.0, 1.0):
        weight.grad = torch.tensor([slope])
        optimizer.step()
        seen.append(float(optimizer.state[weight]["mean_square"]))
    assert seen == squares


def test_a_step_is_that_of_the_formula():
    weight = nn.Parameter(torch.tensor([2.0, -1.0]))
    optimizer = Langevin(
        [{"params": [weight], "centre": 1.0}], lr=0.1, rows=10, prior_std=0.5, burn_in=2, cycle=4, preconditioned=True
    )
    weight.grad = torch.tensor([0.3, -4.0])
    optimizer.step()
    prior = (torch.tensor([2.0, -1.0]) - 1) / (10 * 0.25)
    scale = 1 / (0.99 * (0.09 + 16) / 2 + 0.01 * torch.tensor([0.09, 16.0])).sqrt()
    expected = torch.tensor([2.0, -1.0]) - 0.1 * scale * (torch.tensor([0.3, -4.0]) + prior)
    assert_close(weight.detach(), expected, rtol=1e-4, atol=1e-4)


def test_noise_comes_where_it_shall_and_repeats_with_the_seed():
    def walk(steps=6, **settings):
        weight = nn.Parameter(torch.zeros(2))
        optimizer = Langevin([weight], lr=0.1, rows=10, **settings)
        path = [weight.detach().clone()]
        for _ in range(steps):
            weight.grad = torch.zeros(2)
            optimizer.step()
            path.append(weight.detach().clone())
        return torch.stack(path)

    state = torch.get_rng_state()
    moved = [bool(row.any()) for row in walk(prior_std=math.inf, cycle=3, burn_in=2).diff(dim=0)]
    assert moved == [False, False, True, False, False, True]
    assert all(row.any() for row in walk(cycle=3, burn_in=2, noisy_burn_in=True).diff(dim=0))
    assert torch.equal(walk(), walk())
    assert not torch.equal(walk(), walk(seed=1))
    steps = walk(prior_std=math.inf).diff(dim=0)
    assert len(steps.unique()) == steps.numel()  # no noise comes twice
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 0.0}, "lr must be > 0"),
        ({"rows": 0}, "rows must be >= 1"),
        ({"temperature": 0.0}, "temperature must be > 0"),
        ({"prior_std": -1.0}, "prior_std must be > 0"),
        ({"decay": 1.0}, "decay must be < 1, got 1.0"),
        ({"cycle": 2, "burn_in": 3}, "burn_in must be <= 2, got 3"),
    ],
)
def test_bad_arguments_are_named(settings, message):
    with pytest.raises(InvalidInput, match=message):
        Langevin([nn.Parameter(torch.zeros(1))], **{"lr": 0.1, "rows": 1, **settings})
