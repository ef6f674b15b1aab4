"""The divergence of a posterior from its prior: closed forms, torch.distributions, Monte Carlo, and what it is for."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Categorical, MixtureSameFamily, Normal, kl_divergence
from torch.testing import assert_close

from trustworthy.core.errors import InvalidInput
from trustworthy.nn.bayesian import (
    BayesianBatchNorm1d,
    BayesianLinear,
    GaussianMixture,
    GaussianPrior,
    SpikeAndSlab,
    collapsed,
    kl,
    to_bayesian,
)

PRIORS = [GaussianPrior(0.1, 0.02), GaussianMixture([1.0, 0.05], [0.3, 0.7], [0.1, 0.0]), SpikeAndSlab(0.3, 0.02, 0.4)]


def network(**options):
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ConvTranspose2d(2, 2, 2, bias=False), nn.Flatten(), nn.Linear(50, 2)
    )
    random = to_bayesian(model.double(), **options)
    for name, weight in random.named_parameters():
        nn.init.normal_(weight, mean=-2.0 if "log_std" in name else 0.3, std=0.5)
    return random


def by_torch(layer, scale_mean=0.0):
    weight, bias = (
        [Normal(getattr(layer, f"{name}_mean"), getattr(layer, f"{name}_log_std").exp())]
        if hasattr(layer, f"{name}_mean")
        else []
        for name in ("weight", "bias")
    )
    zero = torch.tensor(0.0, dtype=torch.float64)
    priors = [Normal(zero + scale_mean, zero + 0.1), Normal(zero, zero + 0.1)]
    return sum(kl_divergence(q, p).sum() for q, p in zip(weight + bias, priors, strict=False))


def density(prior):
    """The same prior as a distribution of torch."""
    if isinstance(prior, GaussianPrior):
        return Normal(torch.tensor(prior.mean).double(), torch.tensor(prior.std).double())
    if isinstance(prior, SpikeAndSlab):
        parts = [prior.slab_weight, 1 - prior.slab_weight], [0, 0], [prior.slab_std, prior.spike_std]
    else:
        parts = prior.weights, prior.means, prior.stds
    shares, means, stds = (torch.tensor(part).double() for part in parts)
    return MixtureSameFamily(Categorical(shares), Normal(means, stds))


def test_it_is_the_sum_over_all_weights_of_all_layers():
    random = network()
    expected = [by_torch(random[0]), by_torch(random[1], scale_mean=1.0), by_torch(random[2]), by_torch(random[4])]
    for layer, part in zip((random[0], random[1], random[2], random[4]), expected, strict=True):
        assert_close(kl(layer), part, rtol=1e-12, atol=0)
    assert_close(kl(random), sum(expected), rtol=1e-12, atol=0)
    assert_close(kl(nn.Sequential(*random[:2])) + kl(nn.Sequential(*random[2:])), kl(random), rtol=1e-12, atol=0)


@pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: type(prior).__name__)
def test_it_agrees_with_monte_carlo(prior):
    mean, log_std = torch.tensor([0.0, 0.02, 0.3, -0.5]).double(), torch.tensor([-3.0, -4.0, -2.0, -1.0]).double()
    q = Normal(mean, log_std.exp())
    weights = q.sample((100_000,))
    terms = q.log_prob(weights) - density(prior).log_prob(weights)
    error = 4 * terms.std(0) / math.sqrt(len(terms))
    each = prior.kl_each(mean, log_std)
    assert ((each - terms.mean(0)).abs() < error).all()
    assert_close(prior.kl_each(mean.reshape(2, 2), log_std.reshape(2, 2)), each.reshape(2, 2))
    with_draws = prior if isinstance(prior, GaussianPrior) else type(prior)(**{**vars(prior), "draws": 200})
    estimates = torch.stack([with_draws.kl(m, s) for m, s in zip(mean, log_std, strict=True)])
    # The entropy of the posterior is exact: only the mean of the log prior is drawn.
    assert ((estimates - each).abs() < 4 * density(prior).log_prob(weights).std(0) / math.sqrt(200)).all()


def test_a_mixture_of_equal_parts_is_a_gaussian_and_draws_make_it_less_noisy():
    mean, log_std = torch.randn(50).double(), 0.1 * torch.randn(50).double()
    gaussian, mixture = GaussianPrior(0.5, 0.1), GaussianMixture([0.5, 0.5], means=[0.1, 0.1])
    assert mixture.weights == (0.5, 0.5)
    assert_close(mixture.kl_each(mean, log_std), gaussian.kl_each(mean, log_std))
    spread = {}
    for draws in (1, 16):
        noisy = GaussianMixture([0.5], means=[0.1], draws=draws)
        estimates = torch.stack([noisy.kl(mean, log_std) for _ in range(144)])
        assert abs(estimates.mean() - gaussian.kl(mean, log_std)) < 4 * estimates.std() / 12
        spread[draws] = estimates.std()
    assert spread[1] / spread[16] == pytest.approx(4, rel=0.3)


@pytest.mark.parametrize("prior", [*PRIORS, GaussianPrior(1e-3), SpikeAndSlab(1.0, 1e-8)], ids=repr)
def test_it_and_its_gradient_are_finite_in_float32(prior):
    mean, std = torch.cartesian_prod(torch.tensor([0.0, 1e-8, -1.0, 1e4]), torch.tensor([1e-8, 1e-3, 1.0, 1e3])).T
    layer = BayesianLinear(16, 1, bias=False, prior=prior)
    with torch.no_grad():
        layer.weight_mean.copy_(mean)
        layer.weight_log_std.copy_(std.log())
    for value in (kl(layer), prior.kl_each(layer.weight_mean, layer.weight_log_std).sum()):
        gradients = torch.autograd.grad(value, [layer.weight_mean, layer.weight_log_std])
        assert all(number.isfinite().all() for number in (value, *gradients))


@pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: type(prior).__name__)
def test_the_scale_of_a_batch_normalisation_is_measured_from_1(prior):
    norm = BayesianBatchNorm1d(5, prior=prior)
    plain = BayesianLinear(5, 1, prior=prior)
    with torch.no_grad():
        norm.weight_mean.copy_(torch.linspace(0.5, 1.5, 5))
        plain.weight_mean.copy_(norm.weight_mean - 1)
        parts = [prior.kl_each(q.mean - q.prior_mean, q.log_std).flatten() for q in norm.posteriors()]
        assert_close(parts[0], prior.kl_each(plain.weight_mean, plain.weight_log_std).flatten())
        estimate = torch.stack([kl(norm) for _ in range(100)])
    assert abs(estimate.mean() - parts[0].sum() - parts[1].sum()) <= 4 * estimate.std() / 10 + 1e-4


def test_the_share_of_weights_that_have_learned_nothing():
    layer = BayesianLinear(10, 10, bias=False, init_std=0.1)
    with torch.no_grad():
        layer.weight_mean.zero_()
        layer.weight_mean[0] = 0.1 * math.sqrt(0.1) * 1.01
        layer.weight_mean[1] = 0.1 * math.sqrt(0.1) * 0.99
    assert collapsed(layer) == 0.9
    assert collapsed(layer, nats=1e-9) == 0.8
    assert collapsed(layer, nats=0.055) == 1.0
    assert collapsed(to_bayesian(nn.Linear(3, 3), init_std=1e-3)) == 0.0
    mixture = GaussianMixture([0.1, 0.1])
    assert collapsed(BayesianLinear(1, 1, prior=mixture, init_std=1e-3)) == 0.0
    own = BayesianLinear(40, 1, bias=False, prior=mixture, init_std=0.1)
    nn.init.zeros_(own.weight_mean)
    assert collapsed(own) == 1.0


@pytest.mark.parametrize("measure", [kl, collapsed])
@pytest.mark.parametrize("model", [nn.Linear(2, 2), BayesianBatchNorm1d(2, affine=False)])
def test_a_model_without_bayesian_layers_is_refused(measure, model):
    with pytest.raises(InvalidInput, match=r"Bayesian layers with weights, got .* make it one with to_bayesian"):
        measure(model)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (lambda: GaussianPrior(0), "std of a GaussianPrior must be > 0, got 0"),
        (lambda: GaussianPrior(1, math.inf), "mean of a GaussianPrior must be finite"),
        (lambda: GaussianMixture([]), "stds of a GaussianMixture must have one value per component, got 0"),
        (lambda: GaussianMixture([1, 2], [1.0]), "weights of a GaussianMixture must have one value .* got 1 for 2"),
        (lambda: GaussianMixture([1, 2], [0.5, 0.6]), "must have sum 1, got 1.1; divide"),
        (lambda: GaussianMixture([1, -2]), "stds of a GaussianMixture must be > 0, got -2"),
        (lambda: GaussianMixture([1, 2], means=[0]), "means of a GaussianMixture must have one value"),
        (lambda: GaussianMixture([1], draws=0), "draws of a GaussianMixture must be >= 1, got 0"),
        (lambda: SpikeAndSlab(0.1, 0.1), "slab_std of a SpikeAndSlab must be > 0.1"),
        (lambda: SpikeAndSlab(slab_weight=1), "slab_weight of a SpikeAndSlab must be < 1, got 1"),
        (lambda: SpikeAndSlab(draws=0), "draws of a SpikeAndSlab must be >= 1"),
        (lambda: collapsed(BayesianLinear(1, 1), nats=0), "nats must be > 0, got 0"),
    ],
)
@pytest.mark.usefixtures("_as_users_call_it")
def test_wrong_numbers_are_named(prior, message):
    with pytest.raises(InvalidInput, match=message):
        prior()


def test_variational_bayes_finds_the_exact_posterior_of_a_linear_model():
    """Of y = X w + noise the best mean-field Gaussian has the exact mean and the standard deviations 1 / sqrt(P_ii);
    the precision of the exact posterior is P = X^T X / noise^2 + 1 / prior_std^2."""
    noise, prior_std, repeats = 0.5, 0.7, 256
    x = torch.randn(20, 3).double() @ torch.tensor([[1.0, 0.5, 0], [0, 1, 0], [0, 0, 0.3]]).double()
    y = x @ torch.tensor([[1.0], [-0.5], [2.0]]).double() + noise * torch.randn(20, 1).double()
    precision = x.T @ x / noise**2 + torch.eye(3).double() / prior_std**2
    exact_mean, exact_std = torch.linalg.solve(precision, x.T @ y / noise**2)[:, 0], precision.diagonal().rsqrt()
    model = to_bayesian(nn.Linear(3, 1, bias=False).double(), prior_std=prior_std, init_std=0.3, local=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.2)
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.98)
    many_x, many_y = x.repeat(repeats, 1), y.repeat(repeats, 1)
    for _ in range(200):
        loss = (model(many_x) - many_y).square().sum() / (2 * noise**2 * repeats) + kl(model)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
    assert ((model.weight_mean[0] - exact_mean).abs() < 0.02 * exact_std).all()
    assert_close(model.weight_log_std.exp()[0], exact_std, rtol=0.02, atol=0)
    marginal_std = torch.linalg.inv(precision).diagonal().sqrt()
    assert (marginal_std > 1.05 * exact_std).any()  # the posterior is correlated, which no mean-field Gaussian shows
