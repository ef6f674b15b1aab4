import pytest
import torch
from torch import nn
from torch.testing import assert_close

from trustworthy.core.errors import InvalidInput
from trustworthy.training import Gaussian
from trustworthy.uncertainty import SGLD

X = torch.randn(24, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = X.sum(1, keepdim=True)


def after_each_epoch(method, seed, model=None):
    """The weights of all layers, epoch by epoch."""
    torch.manual_seed(0)
    seen = []
    keep = lambda model, history: seen.append(torch.cat([w.detach().flatten() for w in model.parameters()]))  # noqa: E731
    method(model or nn.Linear(3, 1).double(), (X, Y), callbacks=[keep], seed=seed)
    return torch.stack(seen)


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"epochs": 8, "samples": 2}, [6, 8]),
        ({"epochs": 5, "samples": 5, "burn_in": 0.0}, [1, 2, 3, 4, 5]),
        ({"epochs": 12, "samples": 4, "cycles": 2}, [4, 6, 10, 12]),
        ({"epochs": 10, "samples": 3, "burn_in": 0.2}, [4, 7, 10]),
    ],
)
def test_samples_lie_evenly_in_what_each_cycle_has_after_its_burn_in(settings, kept):
    method = SGLD(batch_size=12, loss=Gaussian(), **settings)
    assert method.kept == kept
    weights = after_each_epoch(method, seed=0)
    torch.manual_seed(0)
    samples = method(nn.Linear(3, 1).double(), (X, Y)).model.members
    assert_close(
        torch.stack([torch.cat([w.flatten() for w in s.parameters()]) for s in samples]), weights[[k - 1 for k in kept]]
    )


@pytest.mark.parametrize("noisy", [False, True])
def test_noise_begins_after_the_burn_in_of_each_cycle(noisy):
    method = SGLD(epochs=8, samples=2, cycles=2, batch_size=24, noisy_burn_in=noisy, loss=Gaussian())
    one, other = (after_each_epoch(method, seed=seed).diff(dim=0) for seed in (0, 1))
    assert bool(((one[0] - other[0]).abs() < 1e-12).all()) != noisy  # the second epoch
    assert not bool(((one[2] - other[2]).abs() < 1e-4).any())


def test_the_prior_of_the_scales_of_a_normalisation_is_about_one():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).double()
    weights = after_each_epoch(
        SGLD(epochs=40, samples=1, prior_std=0.01, learning_rate=1e-3, loss=Gaussian(std=9.0)), 0, model
    )[-1]
    scales = weights[16:20]
    assert_close(scales, torch.ones(4).double(), rtol=0, atol=0.06)
    assert bool((torch.cat([weights[:16], weights[20:]]).abs() < 0.06).all())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 0}, "samples must be >= 1, got 0"),
        ({"temperature": 0.0}, "temperature must be > 0"),
        ({"prior_std": -1.0}, "prior_std must be > 0"),
        (
            {"burn_in": 1.0},
            "epochs must leave one for each of 6 samples after the burn-in, got 12 with burn_in=1 and 1",
        ),
        ({"samples": 7}, "epochs must leave one for each of 7 samples"),
        ({"cycles": 5}, "epochs must be a multiple of cycles, 5, got 12"),
        ({"cycles": 4}, "samples must be a multiple of cycles, 4, got 6"),
        ({"weight_decay": 0.1}, r"weight_decay must be 0.* got 0.1, 'sgd' and 'constant'"),
        ({"optimizer": "adam"}, r"optimizer 'sgd'"),
        ({"schedule": "phases"}, r"one of constant, cosine, got .*'phases'"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(InvalidInput, match=message):
        SGLD(**{"epochs": 12, **settings})
