"""Each check fails on a model built to trip it, and passes on an ordinary one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import nn

from trustworthy.attacks import PGD, Check, Diagnosis, diagnose
from trustworthy.core.errors import InvalidInput, ModelContractError, UnknownName

ATTACK = PGD(eps=0.05, steps=5, random_start=False)
NAMES = {
    "randomised_output",
    "probabilities",
    "zero_gradients",
    "saturated_gradients",
    "loss_not_increasing",
    "unbounded_survives",
    "more_steps_gain",
    "more_restarts_gain",
    "black_box_wins",
}


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 3)).requires_grad_(False)


@pytest.fixture(scope="module")
def x():
    return torch.rand(120, 12, generator=torch.Generator().manual_seed(1))


def examined(model, x, attack=ATTACK, y=None, **options):
    y = model(x).argmax(1) if y is None else y
    return diagnose(
        model, x, y, attack=attack, generator=torch.Generator().manual_seed(0), **{"queries": 25, **options}
    )


def failed(diagnosis):
    assert {check.name for check in diagnosis.checks} <= NAMES
    return {check.name for check in diagnosis.failed}


def test_an_ordinary_model_passes_every_check(net, x):
    diagnosis = examined(net, x)
    assert {check.name for check in diagnosis.checks} == NAMES
    assert failed(diagnosis) == set()
    assert diagnosis.believable


def test_randomised_output(net, x):
    def noisy(z):
        return net(z) + 1e-3 * torch.randn(len(z), 3)

    assert failed(examined(noisy, x, y=net(x).argmax(1))) == {"randomised_output"}
    averaged = examined(noisy, x, replace(ATTACK, eot=3), y=net(x).argmax(1))
    assert averaged["randomised_output"].passed


def test_probabilities(net, x):
    assert failed(examined(lambda z: net(z).softmax(1), x)) == {"probabilities"}
    assert failed(examined(lambda z: net(z).softmax(1).softmax(1), x)) == {"probabilities"}
    assert examined(lambda z: net(z).log_softmax(1), x)["probabilities"].passed


def test_zero_gradients_where_the_input_is_rounded(net, x):
    """Only rounding that the attack cannot see through is wrong; random search still gets past it."""

    def rounded(z):
        steps = 20 * z
        return net((steps.round() + 0.0 * steps) / 20)

    found = examined(rounded, x, replace(ATTACK, eps=0.1), queries=300)
    assert {"zero_gradients", "loss_not_increasing", "unbounded_survives", "black_box_wins"} <= failed(found)
    assert found["zero_gradients"].value == 1.0
    assert found["probabilities"].passed

    def straight_through(z):
        return net(z + ((20 * z).round() / 20 - z).detach())

    assert examined(straight_through, x)["zero_gradients"].passed


@pytest.mark.parametrize("scale", [1e3, pytest.param(1e4, marks=pytest.mark.slow)])
def test_saturated_gradients_where_logits_are_peaked(net, x, scale):
    def peaked(z):
        return scale * net(z)

    found = examined(peaked, x)
    assert found["saturated_gradients"].value > 0.9
    assert "saturated_gradients" in failed(found)
    assert failed(examined(peaked, x, replace(ATTACK, loss="margin"))) == set()


def test_loss_that_falls_along_the_radius(net, x):
    """The surface rises near the input and the rest of the ball is a plateau below: full-sized steps go astray."""

    def trap(z):
        centre = (z - x[: len(z)]).abs().amax(1, keepdim=True) if len(z) == len(x) else torch.full((len(z), 1), 9.0)
        bump = torch.where(centre < 0.03, 20 * centre, -5.0 * torch.ones_like(centre))
        return torch.cat([0 * bump, bump - 2.0, 0 * bump - 9.0], 1)

    y = torch.zeros(len(x), dtype=torch.int64)
    assert "loss_not_increasing" in failed(examined(trap, x, y=y))


def test_an_attack_without_limit_that_fails_to_break_everything(x):
    """The gradient points away from the only region where the model errs."""

    def walled(z):
        distance = (z - 0.5).abs().amax(1)
        return torch.stack([3.0 - distance, torch.where(distance < 0.02, 9.0, 0.0), 0 * distance], 1)

    assert failed(examined(walled, x)) == {"unbounded_survives"}


def test_more_steps(net, x):
    """Two steps of a tenth of the radius cannot cross the ball, ten can."""
    assert failed(examined(net, x, PGD(eps=0.1, steps=2, step_size=0.01, random_start=False))) == {"more_steps_gain"}


def test_more_restarts(x):
    """The gradient at the input leads to one corner, where nothing is won; starts elsewhere see the other."""

    def two_hills(z):
        d = z[:, 0] - x0(z)
        return torch.stack([0.03 - 0.1 * d.clamp_min(0.0), 10 * (-d - 0.002).clamp_min(0.0), 0 * d - 1], 1)

    def x0(z):
        return 0.5

    middle = x.clone()
    middle[:, 0] = 0.5
    found = examined(two_hills, middle, y=torch.zeros(len(x), dtype=torch.int64))
    assert "more_restarts_gain" in failed(found)
    assert found["more_steps_gain"].passed


def test_black_box_is_left_out_in_l1(net, x):
    found = examined(net, x, PGD(eps=0.3, norm="l1", steps=5))
    assert "black_box_wins" not in {check.name for check in found.checks}


def test_works_without_bounds_and_on_arrays(net, x):
    found = examined(net, 4 * x - 2, PGD(eps=0.2, steps=5, bounds=None))
    assert found["unbounded_survives"].passed
    module = diagnose(net, x.numpy(), net(x).argmax(1).numpy(), attack=ATTACK, queries=20)
    assert np.isfinite([check.value for check in module.checks]).all()


@pytest.mark.parametrize("n", [20, 50, 300])
def test_a_share_that_is_tolerated_fails_no_check_more_often_than_its_error_rate(n):
    """The law of the count where the tolerated share shows trouble; and what shows in a tenth of 300 is found."""
    from trustworthy.attacks.diagnostics import ERROR_RATE, _Examination

    inputs = torch.zeros(n, 1)
    checked = _Examination(nn.Identity(), inputs, inputs[:, 0], ATTACK, None, 0.02, None, n)
    failing = [not checked.check("zero_gradients", count / n).passed for count in range(n + 1)]
    assert failing == sorted(failing)
    assert 0.0 < binom.pmf(np.arange(n + 1), n, 0.02)[failing].sum() <= ERROR_RATE
    assert not failing[1]
    assert n < 300 or failing[30]


def test_failed_checks_say_what_to_do_and_passed_ones_do_not(net, x):
    found = examined(lambda z: net(z).softmax(1), x)
    assert "return logits" in found["probabilities"].explanation
    assert "Something in the model" not in found["zero_gradients"].explanation
    assert all(check.explanation.endswith(".") for check in found.checks)


def test_leaves_the_global_stream_and_the_model_alone(x):
    net = nn.Sequential(nn.Linear(12, 3), nn.BatchNorm1d(3), nn.Dropout()).train()
    statistics, stream = net[1].running_mean.clone(), torch.get_rng_state()
    y = nn.Sequential(*net).eval()(x).argmax(1)
    net.train()
    diagnose(net, x, y, queries=5, generator=torch.Generator().manual_seed(0))
    assert net.training
    assert torch.equal(net[1].running_mean, statistics)
    assert torch.equal(torch.get_rng_state(), stream)


def test_names_are_looked_up():
    diagnosis = Diagnosis((Check("probabilities", True, 0.0, ""),))
    assert diagnosis["probabilities"].passed
    with pytest.raises(UnknownName, match="probabilities"):
        diagnosis["probability"]


def test_refuses_nonsense(net, x):
    y = net(x).argmax(1)
    with pytest.raises(InvalidInput, match="none of 120"):
        diagnose(net, x, (y + 1) % 3)
    with pytest.raises(InvalidInput, match="eps of the attack"):
        diagnose(net, x, y, attack=PGD(eps=torch.ones(120)))
    with pytest.raises(InvalidInput, match="tolerance"):
        diagnose(net, x, y, tolerance=2.0)
    with pytest.raises(ModelContractError, match="no gradient"):
        diagnose(lambda z: net(z).detach(), x, y)
