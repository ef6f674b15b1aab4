"""The networks of section 2.3: sizes by hand, noise of each kind against its closed form, paths for two inputs."""

import json
import math

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from trustworthy.core.errors import InvalidInput
from trustworthy.integrate import DormandPrince, Euler, Terms, integrate
from trustworthy.nn import replaced
from trustworthy.nn.jump_sde import (
    Additive,
    BernoulliDropout,
    Drift,
    DriftMultiplicative,
    GaussianDropout,
    JumpSDE,
    Learned,
    Multiplicative,
    NoNoise,
    StochasticDepth,
    TimeConv,
    jump_sde,
)

DOUBLE = torch.float64


def small(noise="gaussian-dropout", **given):
    return jump_sde(
        **{"channels": 1, "classes": 3, "image_size": 8, "width": 1 / 16, "steps": 3, "noise": noise, **given}
    )


@pytest.fixture
def x(generator):
    return torch.rand(4, 1, 8, 8, generator=generator)


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def conv(entering, leaving, side=3):
    return entering * leaving * side * side + leaving


def drift(channels):
    return 3 * conv(channels + 1, channels) + 4 * 2 * channels


def test_sizes_of_the_published_networks():
    with torch.device("meta"):
        cifar, big = jump_sde(), jump_sde(big=True, image_size=64, classes=200)
    assert parameters(cifar) == conv(3, 64) + drift(64) + 2 * 64 + 64 * 10 + 10 == 115_594
    stem = conv(3, 64) + 2 * 64 + conv(64, 128, 4) + 2 * 128 + conv(128, 256, 4)
    assert parameters(big) == stem + drift(256) + 2 * 256 + 256 * 200 + 200
    assert {layer.num_groups for layer in cifar.modules() if isinstance(layer, nn.GroupNorm)} == {32}


@pytest.mark.parametrize(("given", "side"), [({}, 8), ({"big": True}, 16), ({"width": 0.01}, 9)])
def test_a_batch_becomes_logits_that_train_every_parameter(given, side):
    model = small(**{"image_size": side, "noise": "learned", **given})
    logits = model(torch.rand(2, 1, side, side))
    assert logits.shape == (2, 3)
    logits.square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_big_network_halves_the_image_twice():
    assert small(big=True, image_size=18).entry(torch.rand(1, 1, 18, 18)).shape[-2:] == (4, 4)


def test_the_drift_knows_the_time():
    layer = TimeConv(2)
    h = torch.rand(1, 2, 5, 5)
    late = layer.convolution(torch.cat([h, torch.full((1, 1, 5, 5), 0.7)], 1))
    assert torch.equal(layer(0.7, h), late)
    assert not torch.equal(layer(0.0, h), late)
    kinds = [type(module) for module in Drift(2).modules()]
    assert [kinds.count(kind) for kind in (nn.GroupNorm, nn.ReLU, TimeConv)] == [4, 3, 3]


class NoActivation(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        assert "relu" not in function.__name__, function.__name__
        return function(*args, **(kwargs or {}))


def test_every_activation_is_a_module_that_can_be_replaced(x):
    model = small("learned")
    with torch.no_grad(), pytest.raises(AssertionError, match="relu"), NoActivation():
        model(x)
    linear = replaced(model, lambda name, module: nn.Identity() if isinstance(module, nn.ReLU) else None)
    with torch.no_grad(), NoActivation():
        linear(x)


@pytest.mark.parametrize("noise", ["gaussian-dropout", "bernoulli-dropout"])
def test_noise_at_test_time_can_be_switched_off(noise, x):
    model = small(noise)
    model.test_time_noise = False
    assert not torch.equal(model(x), model(x)), "in training there is noise still"
    model.eval()
    assert torch.equal(model(x), model(x))


def test_the_mean_of_the_noise_takes_its_place(x):
    gaussian = small("gaussian-dropout", test_time_noise=False).eval()
    plain = small("none")
    plain.load_state_dict(gaussian.state_dict())
    assert torch.equal(gaussian(x), plain(x))
    dropout = BernoulliDropout(p=0.3, rate=2.0)
    assert dropout.mean(lambda t, h: h).drift_at(0.0, torch.ones(1)).item() == pytest.approx(0.5 + 2 * 2 * 0.4)


@pytest.mark.parametrize(
    ("noise", "g"),
    [
        (Additive(sigma=0.3), 0.3),
        (Multiplicative(sigma=0.3), 0.3 * 2.0),
        (DriftMultiplicative(sigma=0.3), 0.3 * 6.0),
        (GaussianDropout(p=0.2), math.sqrt(0.2 / 0.8) * 6.0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_diffusions_are_those_of_the_equations(noise, g):
    """f = 3 h at h = 2."""
    values = noise.terms(lambda t, h: 3 * h, None).values(0.0, torch.full((1, 1), 2.0))
    assert float(values[0]) == 6.0
    assert float(values[1]) == pytest.approx(g)
    assert values[2] is None


@pytest.mark.parametrize("kind", [BernoulliDropout, StochasticDepth])
def test_jumps_are_those_of_the_equations(kind, generator):
    """f = 3 h at h = 2: drift 3 and jumps of 12, up with probability 1 - p."""
    terms = kind(p=0.2, rate=1.5).terms(lambda t, h: 3 * h, None)
    f, g, j = terms.values(0.0, torch.full((1, 1), 2.0))
    assert (float(f), g, float(j), terms.rate) == (3.0, None, 12.0, 1.5)
    signs = terms.marks.draw((4000, 2), DOUBLE, generator).expand(-1, 2)
    assert (signs > 0).double().mean().item() == pytest.approx(0.8, abs=4 * 0.4 / math.sqrt(4000))
    assert torch.equal(signs[:, 0], signs[:, 1]) == (kind is StochasticDepth)


def test_a_dropout_of_one_evaluation_costs_what_no_noise_costs(x):
    for noise in ("none", "drift-multiplicative", "gaussian-dropout", "bernoulli-dropout", "stochastic-depth"):
        model, calls = small(noise), []
        model.drift.register_forward_hook(lambda *given, calls=calls: calls.append(1))
        model(x)
        assert len(calls) == model.steps, noise


def test_shared_multiplicative_noise_turns_no_state(generator):
    """One Brownian motion for a row scales h; one for each number also turns it."""
    h = torch.randn(3, 2, 2, 2, generator=generator)
    still = {"drift": lambda t, h: torch.zeros_like(h)}
    for shared in (True, False):
        diffusion = Multiplicative(sigma=0.5, shared=shared).terms(still["drift"], None)
        end = integrate(diffusion, h, steps=4, generator=generator).end
        cosine = torch.nn.functional.cosine_similarity(h.flatten(1), end.flatten(1)).abs()
        assert bool((cosine > 1 - 1e-5).all()) == shared


@pytest.mark.parametrize("noise", ["none", "multiplicative", "bernoulli-dropout"])
def test_two_inputs_on_the_same_paths_differ_by_the_inputs_alone(noise, x, generator):
    model = small(noise).eval()
    paths = model.paths(x, generator)
    with torch.no_grad():
        clean, again, perturbed = (model.hidden_states(z, paths) for z in (x, x, x + 1e-3))
    assert clean.shape == (4, 4, 4, 6, 6)
    assert torch.equal(clean, again)
    apart = (perturbed - clean).flatten(2).norm(dim=2)
    assert (apart > 0).all()
    assert (apart < 1).all()
    torch.testing.assert_close(clean[0], model.entry(x))
    torch.testing.assert_close(model(x, paths), model.head(clean[-1]))


@pytest.mark.slow
def test_without_noise_the_solver_is_a_matter_of_exactness(x):
    exact = small("none", solver="dormand-prince")
    assert isinstance(exact.solver, DormandPrince)
    errors = {}
    for solver in ("euler", "rk4"):
        model = small("none", solver=solver, steps=20)
        model.load_state_dict(exact.state_dict())
        errors[solver] = (model(x) - exact(x)).abs().max().item()
    assert errors["rk4"] < errors["euler"] / 10 < 0.01


def test_the_arguments_of_the_factory_fit_into_json():
    options = {
        "classes": 4,
        "width": 0.1,
        "noise": "stochastic-depth",
        "noise_options": {"p": 0.3, "rate": 2.0},
        "T": 0.5,
    }
    model = jump_sde(**json.loads(json.dumps(options)))
    assert model.noise == StochasticDepth(p=0.3, rate=2.0)
    assert "StochasticDepth(p=0.3, rate=2.0), steps=10, T=0.5, solver=Euler()" in repr(model)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: small("dropout"), "unknown noise 'dropout'; did you mean"),
        (lambda: small(solver="rk5"), "unknown solver 'rk5'; did you mean 'rk4'"),
        (lambda: small("multiplicative", solver="rk4"), "RK4 solves equations without diffusion"),
        (lambda: small("bernoulli-dropout", solver="milstein"), "Milstein solves equations without jumps"),
        (lambda: small(steps=0), "steps must be >= 1, got 0"),
        (lambda: small(T=0.0), "T must be > 0, got 0.0"),
        (lambda: small(T=-1.0), "T must be > 0, got -1.0"),
        (lambda: small(width=0.0), "width must be > 0"),
        (lambda: small(classes=1), "classes must be >= 2"),
        (lambda: small(image_size=7), "of at least 8 pixels"),
        (lambda: small(big=True, image_size=15), "of at least 16 pixels"),
        (lambda: small(noise_options={"sigma": 0.1}), "noise_options of gaussian-dropout must be of p, got 'sigma'"),
        (lambda: small("none", noise_options={"sigma": 0.1}), "must be of no name, got 'sigma'"),
        (lambda: Additive(sigma=-0.1), "sigma must be >= 0, got -0.1"),
        (lambda: Learned(sigma=-0.1), "sigma must be >= 0"),
        (lambda: GaussianDropout(p=1.0), "p must be < 1, got 1.0"),
        (lambda: GaussianDropout(p=-0.1), "p must be >= 0"),
        (lambda: BernoulliDropout(p=1.1), "p must be <= 1"),
        (lambda: StochasticDepth(rate=math.inf), "rate must be finite"),
    ],
)
def test_bad_input(build, message):
    with pytest.raises(InvalidInput, match=message):
        build()


def test_any_entry_fits(x):
    model = JumpSDE(entry=nn.Conv2d(1, 3, 1), channels=3, classes=2, noise=NoNoise(), solver=Euler())
    assert model(x).shape == (4, 2)
    assert isinstance(model.terms, Terms)


@pytest.mark.parametrize(("width", "groups"), [(1.0, 32), (0.5, 16), (0.125, 4), (0.01, 1)])
def test_no_channel_is_normalised_alone(width, groups):
    net = jump_sde(width=width)
    norms = [module for module in net.modules() if isinstance(module, nn.GroupNorm)]
    assert {norm.num_groups for norm in norms} == {groups}
