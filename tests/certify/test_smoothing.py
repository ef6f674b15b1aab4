"""Randomised smoothing: closed form on a linear model, a slow reference, and what is promised at the door."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binomtest, norm
from torch import nn

from reference import smoothing as reference
from trustworthy.certify import RandomizedSmoothing
from trustworthy.certify.smoothing import coin_p_value
from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.guard import undisturbed

WEIGHT = torch.tensor([3.0, -4.0])


def linear(x):
    """Two classes; the distance to the boundary of class 1 is (3 a - 4 b) / 5."""
    return torch.stack([0 * x[:, 0], x @ WEIGHT], 1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def at(*distances):
    """Points at the given signed distances from the boundary."""
    return torch.tensor(distances)[:, None] * (WEIGHT / 5)


def test_the_smoothed_probability_of_a_linear_model_is_phi_of_its_distance_over_sigma():
    x, draws = at(-0.3, 0.0, 0.1, 0.5), 10_000
    counts = RandomizedSmoothing(sigma=0.25, n=draws).counts(linear, x, generator=seeded())
    expected = norm.cdf(np.array([-0.3, 0.0, 0.1, 0.5]) / 0.25)
    assert_array_equal(counts.sum(1), draws)
    deviation = np.sqrt(expected * (1 - expected) / draws)
    assert (np.abs(counts[:, 1] / draws - expected) < 4 * deviation).all()


def test_the_radius_stays_below_the_true_distance_and_approaches_it():
    x, y = at(*[0.2] * 5), torch.ones(5, dtype=torch.int64)
    gaps = []
    for n in (100, 1000, 10_000):
        lower = RandomizedSmoothing(sigma=0.25, n=n)(linear, x, y, generator=seeded()).lower
        assert (lower <= 0.2).all()
        gaps.append(0.2 - lower.mean())
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2]
    assert gaps[2] < 0.015


def test_the_radius_exceeds_the_distance_as_often_as_alpha_allows():
    """At alpha = 0.2, which 52 draws come as near to as their counts can: 0.199."""
    x, y = at(*[0.2] * 1000), torch.ones(1000, dtype=torch.int64)
    lower = RandomizedSmoothing(sigma=0.25, n0=11, n=52, alpha=0.2)(linear, x, y, generator=seeded()).lower
    wrong = int((lower > 0.2).sum())
    assert binomtest(wrong, 1000, 0.2, alternative="greater").pvalue > 0.01
    assert binomtest(wrong, 1000, 0.15, alternative="less").pvalue > 0.01


def test_equals_the_reference_draw_by_draw():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    with torch.no_grad():
        net[2].weight.mul_(4.0)
        x = torch.rand(6, 5)
        y = net(x).argmax(1)
        smoothing = RandomizedSmoothing(sigma=0.3, n0=20, n=150, alpha=0.01, batch_size=64)
        chosen, radii = [], []
        # The generator of a call first seeds the stream of models that draw at random themselves.
        reference_stream = seeded()
        torch.randint(2**62, (1,), generator=reference_stream)
        for example in x:
            options = {"sigma": 0.3, "n0": 20, "n": 150, "alpha": 0.01, "classes": 3, "generator": reference_stream}
            found = reference.certify(net, example, **options)
            chosen.append(found[0])
            radii.append(found[1])
        certificate = smoothing(net, x, y, generator=seeded())
        assert_allclose(certificate.lower, np.where(np.array(chosen) == y.numpy(), radii, 0.0), rtol=1e-9)
        assert (certificate.lower > 0).sum() >= 2
        reference_stream = seeded()
        torch.randint(2**62, (1,), generator=reference_stream)
        options = {"sigma": 0.3, "n": 150, "alpha": 0.01, "classes": 3, "generator": reference_stream}
        expected = [reference.predict(net, example, **options) for example in x]
        assert_array_equal(smoothing.predict(net, x, generator=seeded()), expected)


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_coin_is_tossed_as_scipy_does(heads, tails):
    exact = binomtest(heads, heads + tails, 0.5).pvalue if heads + tails else 1.0
    assert_allclose(coin_p_value(np.array([heads]), np.array([tails])), [exact], rtol=1e-9)


def test_no_radius_exceeds_what_n_unanimous_draws_prove():
    certificate = RandomizedSmoothing(sigma=0.5, n=1000)(linear, at(50.0), torch.tensor([1]))
    assert_allclose(certificate.lower, 0.5 * norm.ppf(0.001 ** (1 / 1000)), rtol=1e-9)


def scripted(*classes):
    """Answers the first question with class 0, and then each noisy copy with the next of the given classes."""
    remaining = [0, *classes]

    def model(x):
        answers = [remaining.pop(0) for _ in x]
        return torch.eye(2)[answers]

    return model


def test_the_class_is_chosen_by_draws_that_do_not_count():
    smoothing = RandomizedSmoothing(sigma=1.0, n0=3, n=40)
    misled = smoothing(scripted(0, 0, 1, *[1] * 40), at(0.1), torch.tensor([1]))
    assert misled.lower[0] == 0
    assert misled.upper[0] == np.inf
    confirmed = smoothing(scripted(1, 0, 1, *[1] * 40), at(0.1), torch.tensor([1]))
    assert_allclose(confirmed.lower, norm.ppf(0.001 ** (1 / 40)), rtol=1e-9)


@pytest.mark.parametrize(("alpha", "answer"), [(0.042, 1), (0.041, -1)])
def test_predicts_where_a_fair_coin_is_rejected(alpha, answer):
    """15 heads of 20 have the two-sided p-value 0.0414."""
    smoothing = RandomizedSmoothing(sigma=1.0, n=20, alpha=alpha)
    assert smoothing.predict(scripted(*[1] * 15, *[0] * 5), at(0.1)).tolist() == [answer]


def test_abstains_at_the_boundary_and_says_where_it_is_wrong():
    x, y = at(0.0, 0.4, -0.4), torch.tensor([1, 1, 1])
    smoothing = RandomizedSmoothing(sigma=0.25, n=500)
    certificate = smoothing(linear, x, y, generator=seeded())
    assert certificate.lower[0] == 0
    assert certificate.lower[1] > 0
    assert certificate.lower[2] == 0
    assert_array_equal(certificate.upper, [np.inf, np.inf, 0.0])
    assert_array_equal(certificate.exact, [False, False, True])
    assert certificate.perturbation is None
    assert_array_equal(smoothing.predict(linear, x, generator=seeded()), [-1, 1, 0])


def test_the_size_of_the_batches_changes_nothing():
    torch.manual_seed(2)
    x, y = torch.rand(3, 2, 5, 3), torch.tensor([0, 1, 2])
    net = nn.Sequential(nn.Flatten(), nn.Linear(30, 3))
    smoothing = RandomizedSmoothing(sigma=0.5, n0=10, n=301)
    for small in (x, x[..., :1, :2]):  # fewer than 16 numbers are drawn by another routine
        model = net if small is x else nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
        counts = [
            replace(smoothing, batch_size=size).counts(model, small, generator=seeded()) for size in (1, 7, 300, 1000)
        ]
        assert all(np.array_equal(counts[0], other) for other in counts[1:])
        lower = [
            replace(smoothing, batch_size=size)(model, small, y, generator=seeded()).lower for size in (3, 64, 1000)
        ]
        assert np.array_equal(lower[0], lower[1])
        assert np.array_equal(lower[0], lower[2])


def test_probabilities_serve_as_well_as_logits():
    x, y = at(0.3, 0.1), torch.tensor([1, 1])
    smoothing = RandomizedSmoothing(sigma=0.25, n=300)
    lower = smoothing(linear, x, y, generator=seeded()).lower
    assert_array_equal(smoothing(lambda z: linear(z).softmax(1), x, y, generator=seeded()).lower, lower)


def test_numpy_inputs_are_the_same_inputs():
    x, y = at(0.3, -0.1), torch.tensor([1, 0])
    smoothing = RandomizedSmoothing(sigma=0.25, n=300)
    lower = smoothing(linear, x, y, generator=seeded()).lower
    assert_array_equal(smoothing(linear, x.numpy(), y.numpy(), generator=seeded()).lower, lower)


class Stochastic(nn.Module):
    """Draws from the global stream, and fails on request."""

    def __init__(self, fails=False):
        super().__init__()
        self.inner, self.dropout, self.fails = nn.Linear(2, 2), nn.Dropout(0.5), fails
        self.dropout.eval()

    def forward(self, x):
        assert not any(module.training for module in self.modules())
        if self.fails:
            raise FloatingPointError("the model broke")
        return self.inner(x) + torch.rand(len(x), 2)


def test_leaves_no_trace():
    model = Stochastic().train()
    model.dropout.eval()
    model.inner.weight.grad = torch.ones(2, 2)
    x, y = at(0.3, 0.1), torch.tensor([1, 1])
    before, state = x.clone(), torch.random.get_rng_state()
    smoothing = RandomizedSmoothing(sigma=0.25, n0=10, n=100)
    first = smoothing(model, x, y, generator=seeded())
    again = smoothing(model, x, y, generator=seeded())
    assert_array_equal(first.lower, again.lower)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(x, before)
    assert model.training
    assert model.inner.training
    assert not model.dropout.training
    assert torch.equal(model.inner.weight.grad, torch.ones(2, 2))
    assert not np.array_equal(
        smoothing.counts(linear, x, generator=seeded(1)), smoothing.counts(linear, x, generator=seeded(2))
    )


def test_without_a_generator_the_global_stream_is_used():
    smoothing, x = RandomizedSmoothing(sigma=0.25, n=500), at(0.1, 0.1, 0.1)
    torch.manual_seed(5)
    first = smoothing.counts(linear, x)
    second = smoothing.counts(linear, x)
    torch.manual_seed(5)
    assert_array_equal(smoothing.counts(linear, x), first)
    assert not np.array_equal(first, second)


def test_the_mode_is_restored_after_an_error():
    model = Stochastic(fails=True).train()
    with pytest.raises(FloatingPointError):
        RandomizedSmoothing(sigma=0.25)(model, at(0.1), torch.tensor([1]), generator=seeded())
    assert model.training


def test_the_progress_bar_is_on_standard_error(capsys):
    RandomizedSmoothing(sigma=0.25, n=10).predict(linear, at(0.1, 0.2), progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "examples" in captured.err
    RandomizedSmoothing(sigma=0.25, n=10).predict(linear, at(0.1, 0.2))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": 0.0}, "sigma must be > 0, got 0.0"),
        ({"sigma": -1}, "sigma must be > 0, got -1"),
        ({"sigma": float("nan")}, "sigma must be finite"),
        ({"n": 0}, "n must be >= 1, got 0"),
        ({"n0": 0}, "n0 must be >= 1, got 0"),
        ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
        ({"alpha": 0.0}, "alpha must be > 0"),
        ({"alpha": 1.0}, "alpha must be < 1, got 1.0"),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(InvalidInput, match=message):
        RandomizedSmoothing(**{"sigma": 0.25, **options})


GOOD = at(0.1, 0.2)
LABELS = torch.tensor([1, 1])


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (GOOD * torch.nan, LABELS, "x must be finite"),
        (GOOD.int(), LABELS, "x must be floating"),
        (GOOD[0], LABELS, "x must be a non-empty batch"),
        (GOOD[:0], LABELS[:0], "x must be a non-empty batch"),
        (GOOD, torch.tensor([1, 2]), r"y must lie in 0..1 for 2 logits, got 2"),
        (GOOD, torch.tensor([-1, 1]), "y must be >= 0"),
        (GOOD, LABELS[:1], r"y must have shape \(2,\)"),
        (GOOD, LABELS.float(), "y must be integer class indices"),
    ],
)
def test_bad_examples(x, y, message):
    with pytest.raises(InvalidInput, match=message):
        RandomizedSmoothing(sigma=0.25, n=10)(linear, x, y)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda x: x.sum(1), "must return floating logits of shape"),
        (lambda x: x[:, :1], "at least two logits"),
        (lambda x: linear(x).argmax(1, keepdim=True).expand(-1, 2), "must return floating logits"),
        (lambda x: linear(x) * torch.nan, "returned NaN"),
        (lambda x: linear(x).numpy(), "must return a tensor of logits, got ndarray"),
    ],
)
def test_bad_models(model, message):
    with pytest.raises(ModelContractError, match=message):
        RandomizedSmoothing(sigma=0.25, n=10)(model, GOOD, LABELS)


def test_a_generator_must_be_where_the_inputs_are():
    with (
        pytest.raises(InvalidInput, match="generator lives on cpu, x on meta"),
        undisturbed(linear, GOOD.to("meta"), seeded()),
    ):
        pass


def test_a_model_that_breaks_under_noise_alone_is_refused():
    def fragile(x):
        return linear(x) + torch.where(x < -0.5, torch.nan, 0.0)

    with pytest.raises(ModelContractError, match="returned NaN"):
        RandomizedSmoothing(sigma=1.0, n=100)(fragile, GOOD, LABELS, generator=seeded())
