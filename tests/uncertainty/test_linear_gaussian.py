"""y = X w + e with a normal prior of w: the posterior is normal with known mean and covariance.

A linear layer with many outputs, all with the same targets, is as many regressions that know nothing of each other:
its rows of weights are draws, or fits, whose spread tells the Monte Carlo error.
"""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from trustworthy.training import Gaussian
from trustworthy.training.data import BatchPlan
from trustworthy.uncertainty import SGLD, SVI

ROWS, REGRESSIONS, STD, PRIOR = 24, 800, 0.5, 0.7
TRUE = torch.tensor([1.0, -0.5, 0.3], dtype=torch.float64)
LOSS = Gaussian(std=STD)


def design(orthogonal):
    x = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    if orthogonal:
        return torch.linalg.qr(x).Q * math.sqrt(ROWS) * torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64)
    x[:, 1] = 0.6 * x[:, 0] + 0.8 * x[:, 1]
    return x


def data(orthogonal=False, regressions=REGRESSIONS):
    x = design(orthogonal)
    y = x @ TRUE + STD * torch.randn(ROWS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x, y[:, None].repeat(1, regressions)


def posterior(x, y):
    """Mean and precision."""
    precision = x.T @ x / STD**2 + torch.eye(3, dtype=torch.float64) / PRIOR**2
    return torch.linalg.solve(precision, x.T @ y[:, 0] / STD**2), precision


def layer(regressions=REGRESSIONS):
    torch.manual_seed(0)
    return nn.Linear(3, regressions, bias=False).double()


def law(x, y, method, seed):
    """Mean and covariance of a chain after the last step, by the steps that it takes: its batches are known."""
    plan = BatchPlan(rows=ROWS, batch_size=method.batch_size, epochs=method.epochs, seed=seed)
    mean, covariance = torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64) / 9  # of nn.Linear
    for step in range(plan.steps):
        epoch, place = divmod(step, plan.steps_per_epoch)
        rows, sampling = plan.batches(epoch)[place], step >= method.burn_in * plan.steps
        rate = method.learning_rate * (method.sampling_factor if sampling else 1)
        slope = x[rows].T @ x[rows] / STD**2 / len(rows) + torch.eye(3, dtype=torch.float64) / PRIOR**2 / ROWS
        stay = torch.eye(3, dtype=torch.float64) - rate * slope
        mean = stay @ mean + rate * x[rows].T @ y[rows, 0] / STD**2 / len(rows)
        covariance = stay @ covariance @ stay
        if sampling or method.noisy_burn_in:
            noise = 2 * rate * method.temperature / ROWS
            covariance = covariance + noise * torch.eye(3, dtype=torch.float64)
    return mean, covariance


def assert_drawn_from(weights, mean, covariance):
    """Mean and covariance of the rows, each entry within 4 standard errors of a sample of so many."""
    deviation = covariance.diag().sqrt()
    assert bool(((weights.mean(0) - mean).abs() < 4 * deviation / math.sqrt(len(weights))).all())
    error = (torch.outer(deviation**2, deviation**2) + covariance**2).div(len(weights)).sqrt()
    assert bool(((weights.T.cov() - covariance).abs() < 4 * error).all())


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 120, "batch_size": 12, "learning_rate": 0.04, "sampling_factor": 0.5},
        pytest.param({"epochs": 240, "temperature": 0.1, "noisy_burn_in": True}, marks=pytest.mark.slow),
        pytest.param({"epochs": 120, "batch_size": 6, "learning_rate": 0.01}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_samples_of_langevin_steps_are_those_of_the_posterior(settings):
    x, y = data()
    method = SGLD(**{"samples": 1, "learning_rate": 0.02, "prior_std": PRIOR, "loss": LOSS, **settings})
    (network,) = method(layer(), (x, y), seed=3).model.members
    mean, precision = posterior(x, y)
    expected, covariance = law(x, y, method, seed=3)
    assert_drawn_from(network.weight.detach(), expected, covariance)
    # What steps of this length make of the posterior: 10 % of its variance, and batches move the mean within it.
    assert_close(covariance @ precision / method.temperature, torch.eye(3).double(), rtol=0, atol=0.1)
    distance = (expected - mean) @ precision @ (expected - mean) / 3
    assert float(distance) < (1e-3 if method.batch_size >= ROWS else 0.5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{"learning_rate": 0.01}, {"cycles": 4, "schedule": "cosine", "learning_rate": 0.08}, {"preconditioned": True}],
    ids=str,
)
def test_samples_along_one_run_have_the_mean_and_the_variance_of_the_posterior(settings):
    """8 samples of 200 regressions. Steps of 0.01 widen the variance by 3 %, and those of one chain know each other:
    the Monte Carlo error is that of a quarter of so many."""
    x, y = data(regressions=200)
    method = SGLD(epochs=800, batch_size=ROWS, samples=8, prior_std=PRIOR, loss=LOSS, **settings)
    ensemble = method(layer(200), (x, y)).model
    weights = torch.cat([network.weight.detach() for network in ensemble.members])
    mean, precision = posterior(x, y)
    covariance, error = torch.linalg.inv(precision), 1 / math.sqrt(len(weights) / 4)
    assert bool(((weights.mean(0) - mean).abs() < 4 * error * covariance.diag().sqrt()).all())
    share = weights.T.cov().diag() / covariance.diag()
    assert bool(((share - 1).abs() < 0.03 + 4 * math.sqrt(2) * error).all())


@pytest.mark.slow
@pytest.mark.parametrize("orthogonal", [False, True])
def test_mean_field_inference_is_exact_where_the_posterior_factors_and_too_narrow_elsewhere(orthogonal):
    count = 60
    x, y = data(orthogonal, regressions=count)
    method = SVI(
        epochs=200, batch_size=ROWS, learning_rate=0.1, prior_std=PRIOR, init_std=0.1, loss=LOSS, local=True, draws=1
    )
    network = method(layer(count), (x, y)).model
    mean, precision = posterior(x, y)
    fitted = network.weight_mean.detach(), network.weight_log_std.detach()
    best = mean, -0.5 * precision.diag().log()  # of Gaussians that factor
    for found, expected in zip(fitted, best, strict=True):
        error = found.std(0) / math.sqrt(count)  # as each regression was fitted by other draws
        assert bool((error < 0.02).all())
        assert bool(((found.mean(0) - expected).abs() < 4 * error).all())
    share = (2 * best[1]).exp() / torch.linalg.inv(precision).diag()  # of the true variance
    assert_close(share, torch.ones(3).double()) if orthogonal else None
    assert orthogonal or bool((share < 0.5).any())
