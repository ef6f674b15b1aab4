"""What every layer and every network that draws at random keeps, so that all that asks for draws works on it as it is.

A new one enters `MODULES` with a line. It draws in training and in evaluation, from torch's global stream, and under
`torch.func.vmap` too, which is how many draws are made at once.
"""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from trustworthy.core.guard import undisturbed
from trustworthy.core.predictive import predict
from trustworthy.integrate import Terms
from trustworthy.nn import (
    BernoulliGaussianNoise,
    GaussianNoise,
    PersistentDropout,
    add_noise,
    persist_dropout,
    to_bayesian,
)
from trustworthy.nn.backbones import MLP, SmallConvNet
from trustworthy.nn.jump_sde import Noise, jump_sde
from trustworthy.training.description import describe_model


@dataclass(frozen=True)
class Stochastic:
    """A module that draws, and what is known of it.

    make : the module, with weights from torch's global stream where it has any.
    shape : of one input.
    other : the same with another setting of its randomness.
    still : it without randomness, and what it must then equal to the last bit.
    moments : mean and variance of each entry of its answer to one input (1, *shape), where there is a closed form.
    alike : whether it answers alike in training and in evaluation, as what holds no BatchNorm does.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    other: Callable[[], nn.Module]
    still: Callable[[], tuple[nn.Module, nn.Module]]
    moments: Callable[[nn.Module, Tensor], tuple[Tensor, Tensor]] | None = None
    alike: bool = True


def noisy(network: Callable[[], nn.Module], shape: tuple[int, ...], **known: object) -> Stochastic:
    """A network with noise before its layers."""

    def still() -> tuple[nn.Module, nn.Module]:
        plain = network()
        return add_noise(plain, sigma_init=0, sigma_inner=0), plain

    make = lambda: add_noise(network(), sigma_init=0.5, sigma_inner=0.3)  # noqa: E731
    return Stochastic(make, shape, lambda: add_noise(network(), sigma_init=0.4), still, **known)  # type: ignore[arg-type]


def bayesian(network: Callable[[], nn.Module], shape: tuple[int, ...], *, local: bool, **known: object) -> Stochastic:
    """A network with Gaussian weights."""

    def still() -> tuple[nn.Module, nn.Module]:
        plain = network()
        return to_bayesian(plain, init_std=1e-30, local=local), plain

    make = lambda: to_bayesian(network(), init_std=0.5, local=local)  # noqa: E731
    return Stochastic(make, shape, lambda: to_bayesian(network(), prior_std=1, local=local), still, **known)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Mean(Noise):
    """Another noise's mean in its place."""

    of: Noise

    def terms(self, drift: Any, learned: nn.Module | None) -> Terms:
        return self.of.mean(drift)


def jump_diffusion(noise: str, silent: dict[str, float], **options: float) -> Stochastic:
    """A network whose hidden state is driven by noise, which the options `silent` turn off."""
    tiny = {"channels": 1, "classes": 2, "image_size": 8, "width": 1 / 32, "steps": 2, "noise": noise}

    def still() -> tuple[nn.Module, nn.Module]:
        quiet = jump_sde(**tiny, noise_options=silent)
        plain = copy.deepcopy(quiet)
        plain.noise = Mean(quiet.noise)
        return quiet, plain

    return Stochastic(
        lambda: jump_sde(**tiny, noise_options=options),
        (1, 8, 8),
        lambda: jump_sde(**tiny, noise_options=silent),
        still,
    )


def of_bayesian_linear(layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """W x + b with Gaussian W and b."""
    mean = x @ layer.weight_mean.detach().T + layer.bias_mean.detach()
    return mean, torch.full_like(mean, 0.25 * float(x.square().sum() + 1))


def of_linear(layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """W (x + e) + b."""
    weight, bias = layer.weight.detach(), layer.bias.detach()
    return x @ weight.T + bias, 0.25 * (weight**2).sum(1)[None]


def dropping(p: float) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 40), nn.Dropout(p), nn.Linear(40, 2))


MODULES = {
    "GaussianNoise": Stochastic(
        lambda: GaussianNoise(0.3),
        (40,),
        lambda: GaussianNoise(0.2),
        lambda: (GaussianNoise(0), nn.Identity()),
        lambda layer, x: (x, torch.full_like(x, 0.09)),
    ),
    "BernoulliGaussianNoise": Stochastic(
        lambda: BernoulliGaussianNoise(0.3, 0.25),
        (40,),
        lambda: BernoulliGaussianNoise(0.3, 0.5),
        lambda: (BernoulliGaussianNoise(0, 0.25), nn.Identity()),
        lambda layer, x: (x, torch.full_like(x, 0.09 * 0.25)),
    ),
    "PersistentDropout": Stochastic(
        lambda: PersistentDropout(0.2),
        (40,),
        lambda: PersistentDropout(0.3),
        lambda: (PersistentDropout(0), nn.Identity()),
        lambda layer, x: (x, x**2 * 0.2 / 0.8),
    ),
    "PersistentDropout of channels": Stochastic(
        lambda: PersistentDropout(0.2, "dropout2d"),
        (40, 1, 2),
        lambda: PersistentDropout(0.2, "alpha_dropout"),
        lambda: (PersistentDropout(0, "dropout2d"), nn.Identity()),
        lambda layer, x: (x, x**2 * 0.2 / 0.8),
    ),
    "persist_dropout": Stochastic(
        lambda: persist_dropout(dropping(0.5)),
        (3,),
        lambda: persist_dropout(dropping(0.5), p=0.4),
        lambda: (persist_dropout(plain := dropping(0.0)), plain),
    ),
    "persist_dropout, put before layers": Stochastic(
        lambda: persist_dropout(MLP(features=3, classes=2, hidden=[40]), p=0.5),
        (3,),
        lambda: persist_dropout(MLP(features=3, classes=2, hidden=[40]), p=0.4),
        lambda: (persist_dropout(plain := MLP(features=3, classes=2, hidden=[40]), p=0), plain),
    ),
    "add_noise, linear": noisy(lambda: nn.Linear(3, 2), (3,), moments=of_linear),
    "add_noise, MLP": noisy(lambda: MLP(features=3, classes=2, hidden=[4]), (3,)),
    "add_noise, convolutions": noisy(lambda: SmallConvNet(image_size=8, width=2), (1, 8, 8), alike=False),
    "to_bayesian, linear": bayesian(lambda: nn.Linear(3, 2), (3,), local=False, moments=of_bayesian_linear),
    "to_bayesian, linear, local": bayesian(lambda: nn.Linear(3, 2), (3,), local=True, moments=of_bayesian_linear),
    "to_bayesian, convolutions": bayesian(
        lambda: SmallConvNet(image_size=8, width=2), (1, 8, 8), local=False, alike=False
    ),
    "to_bayesian, convolutions, local": bayesian(
        lambda: SmallConvNet(image_size=8, width=2), (1, 8, 8), local=True, alike=False
    ),
    "jump_sde, additive": jump_diffusion("additive", {"sigma": 0.0}, sigma=0.5),
    "jump_sde, multiplicative, shared": jump_diffusion("multiplicative", {"sigma": 0.0}, sigma=0.5, shared=True),
    "jump_sde, drift-multiplicative": jump_diffusion("drift-multiplicative", {"sigma": 0.0}, sigma=0.5),
    "jump_sde, gaussian-dropout": jump_diffusion("gaussian-dropout", {"p": 0.0}, p=0.3),
    "jump_sde, bernoulli-dropout": jump_diffusion("bernoulli-dropout", {"rate": 0.0}, rate=20.0),
    "jump_sde, stochastic-depth": jump_diffusion("stochastic-depth", {"rate": 0.0}, rate=20.0),
    "jump_sde, learned": jump_diffusion("learned", {"sigma": 0.0}, sigma=0.5),
}

ALIKE = ("add_noise, MLP", "jump_sde, drift-multiplicative", "jump_sde, stochastic-depth")
"""Made as another of them is, of which only a number differs."""
each = pytest.mark.parametrize(
    "known",
    [pytest.param(known, marks=pytest.mark.slow if name in ALIKE else ()) for name, known in MODULES.items()],
    ids=MODULES,
)
# That every row is drawn anew in evaluation is seen where a generator rules the draws of a prediction.
each_mode = pytest.mark.parametrize(
    "training", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["training", "evaluation"]
)


def case(known: Stochastic, device: torch.device, n: int = 6, dtype: torch.dtype = torch.float32):
    """The module and a few inputs, of entries that are not near zero."""
    x = torch.rand(n, *known.shape, generator=torch.Generator().manual_seed(0)) + 0.5
    return known.make().to(device, dtype), x.to(device, dtype)


def seeded(device: torch.device, seed: int = 0) -> torch.Generator:
    return torch.Generator(device=device).manual_seed(seed)


def answer(module: nn.Module, x: Tensor, seed: int = 0) -> Tensor:
    """One pass in the mode in which the module is."""
    with torch.random.fork_rng(devices=[] if x.device.type == "cpu" else [x.device]), torch.no_grad():
        torch.manual_seed(seed)
        return module(x)


def at_once(module: nn.Module, x: Tensor, draws: int) -> Tensor:
    """Draws made by vmap, of one seed."""
    with torch.random.fork_rng(devices=[] if x.device.type == "cpu" else [x.device]), torch.no_grad():
        torch.manual_seed(0)
        return vmap(lambda _: module(x), randomness="different")(torch.zeros(draws, device=x.device))


@each
@each_mode
def test_draws_anew_at_every_call_in_either_mode(known, training, device):
    module, x = case(known, device)
    module.train(training)
    kept = x.clone()
    first, second = module(x), module(x)
    assert first.shape[0] == len(x)
    assert bool((first != second).flatten(1).any(1).all())  # for every input
    assert torch.equal(x, kept)


@each
def test_asks_nobody_for_the_mode(known, device):
    module, x = case(known, device)
    if known.alike:
        assert torch.equal(answer(module.train(), x), answer(module.eval(), x))
    twin = module.eval()
    assert not torch.equal(answer(twin, x), answer(twin, x, seed=1))


@each
def test_a_generator_rules_all_of_its_draws_and_the_global_stream_stays(known, device):
    module, x = case(known, device)
    module.train()
    torch.manual_seed(5)
    expected = torch.rand(3, device=device)
    torch.manual_seed(5)
    one, again, other = (predict(module, x, draws=3, generator=seeded(device, s)).members for s in (1, 1, 2))
    assert torch.equal(torch.rand(3, device=device), expected)
    assert torch.equal(one, again)
    assert bool((one != other).flatten(2).any(2).all())
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one[1], one[2])
    assert all(part.training for part in module.modules())


@each
def test_without_randomness_it_is_the_plain_network_to_the_last_bit(known, device):
    still, plain = (module.to(device) for module in known.still())
    _, x = case(known, device)
    assert torch.equal(predict(still, x).members, predict(plain, x).members)
    assert torch.equal(answer(still.train(), x), answer(plain.train(), x))


@each
def test_draws_made_at_once_are_of_the_right_shape_and_differ(known, device):
    module, x = case(known, device)
    module.eval()
    draws = at_once(module, x, 4)
    assert draws.shape == (4, *module(x).shape)
    assert all(not torch.equal(draws[a], draws[b]) for a in range(4) for b in range(a))
    names = dict(module.named_parameters())
    by_weights = vmap(
        lambda scale: functional_call(module, {name: scale * value for name, value in names.items()}, (x,)),
        randomness="different",
    )(torch.ones(4, device=device))
    assert by_weights.shape == draws.shape
    assert not torch.equal(by_weights[0], by_weights[1])


@pytest.mark.parametrize(
    "known", [m for m in MODULES.values() if m.moments], ids=[k for k in MODULES if MODULES[k].moments]
)
def test_draws_have_the_mean_and_the_variance_of_the_formula_and_do_not_know_each_other(known, device):
    module, x = case(known, device, n=1, dtype=torch.float64)
    count = 20_000
    draws = at_once(module.eval(), x, count)[:, 0]
    mean, variance = (value[0] for value in known.moments(module, x))
    centred = draws - mean
    spread = (((centred**2 - variance) ** 2).mean(0) / count).sqrt()  # of the sample variance
    assert bool((centred.mean(0).abs() < 4 * (variance / count).sqrt()).all())
    assert bool((((centred**2).mean(0) - variance).abs() < 4 * spread).all())
    neighbours = (centred[1:] * centred[:-1]).mean(0) / variance
    assert bool((neighbours.abs() < 4 / math.sqrt(count)).all())


@each
def test_copies_and_pickles_draw_alike_from_layers_of_their_own(known, device):
    module, x = case(known, device)
    module.eval()
    expected = answer(module, x)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(answer(twin, x), expected)
        assert not set(twin.modules()) & set(module.modules())


@each
@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.bfloat16, pytest.param(torch.float16, marks=pytest.mark.slow)], ids=str
)
def test_keeps_the_precision_of_its_input(known, dtype, device):
    module, x = case(known, device, dtype=dtype)
    module.eval()
    draws = at_once(module, x, 3)
    assert (draws.dtype, module(x).dtype) == (dtype, dtype)
    assert bool(draws.isfinite().all())
    assert not torch.equal(draws[0], draws[1])


@each
def test_gradients_reach_the_input_and_the_weights(known, device):
    module, x = case(known, device)
    x.requires_grad_()
    with undisturbed(module, x, seeded(device)):
        module(x).square().sum().backward()
    for value in (x, *module.parameters()):
        assert value.grad is not None
        assert bool(value.grad.isfinite().all())
    assert bool((x.grad != 0).any())


@each
def test_another_setting_is_told_by_a_checkpoint(known):
    assert describe_model(known.make()) == describe_model(known.make())
    assert describe_model(known.make()) != describe_model(known.other())
