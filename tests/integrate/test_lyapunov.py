"""Figure 2.14 and Corollary 2.1 against geometric Brownian motion, whose exponent is 1 - sigma^2 / 2."""

import math

import pytest
import torch
from torch import nn

from trustworthy.core.errors import InvalidInput
from trustworthy.integrate import Milstein, Terms, lyapunov_exponent
from trustworthy.integrate.lyapunov import spectral_norm

DOUBLE = torch.float64


def shared_noise(drift, sigma):
    return Terms(drift=drift, diffusion=lambda t, y: (sigma * y)[..., None], brownian_motions=1)


@pytest.mark.parametrize(
    "sigma", [pytest.param(0.0, marks=pytest.mark.slow), pytest.param(1.0, marks=pytest.mark.slow), 2.0]
)
def test_geometric_brownian_motion_of_2_38(sigma, generator):
    """Steps of h give (1/h) E log|1 + h + sigma dB| instead, found here by quadrature: the law of large numbers."""
    h, T = 0.005, 2.5
    z = torch.linspace(-8, 8, 4001, dtype=DOUBLE)
    weights = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    log_step = torch.log((1 + h + sigma * math.sqrt(h) * z).abs())
    mean = (weights * log_step).sum().item() / h
    deviation = math.sqrt(max(0.0, (weights * log_step.square()).sum().item() - (mean * h) ** 2) * T / h) / T
    found = lyapunov_exponent(
        shared_noise(lambda t, y: y, sigma), torch.ones(200, 2, dtype=DOUBLE),
        sigma=sigma, steps=500, interval=(0.0, T), generator=generator,
    )  # fmt: skip
    assert mean == pytest.approx(1 - sigma**2 / 2, abs=0.1)
    assert abs(found.exponent - mean) < 3.5 * deviation / math.sqrt(200) + 1e-9
    assert found.bound == pytest.approx(1 - sigma**2 / 2)  # L of y is 1, so the bound is attained


@pytest.mark.slow
def test_diagonal_noise_is_as_stable_in_one_dimension(generator):
    terms = Terms(drift=lambda t, y: y, diffusion=lambda t, y: 2.0 * y)
    y = torch.ones(400, 1, dtype=DOUBLE)
    found = lyapunov_exponent(
        terms, y, sigma=2.0, steps=600, interval=(0.0, 3.0), solver=Milstein(), generator=generator
    )
    assert found.exponent == pytest.approx(-1, abs=3.5 * 2 / math.sqrt(3 * 400) + 0.03)


def test_differences_that_shrink_below_rounding_are_followed_still(generator):
    """Over 30 units of time exp(-30) of the difference are left, far below the last digit of the state."""
    found = lyapunov_exponent(
        lambda_terms(-1.0), torch.ones(2, 2), sigma=0.0, steps=300, interval=(0.0, 30.0), pieces=30, generator=generator
    )
    assert found.exponent == pytest.approx(10 * math.log(0.9), rel=1e-2)


def lambda_terms(speed):
    return Terms(drift=lambda t, y: speed * (y - 1))


def test_the_bound_holds_for_a_network(generator):
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    terms = shared_noise(lambda t, y: net(y), 1.0)
    y = torch.randn(16, 3, dtype=DOUBLE, generator=generator)
    found = lyapunov_exponent(terms, y, sigma=1.0, steps=200, interval=(0.0, 10.0), generator=generator)
    assert found.exponent < found.bound + 0.2
    assert all(p.grad is None for p in net.parameters())


def test_the_spectral_norm_is_that_of_the_jacobian(generator):
    matrix = torch.randn(4, 4, dtype=DOUBLE, generator=generator)
    found = spectral_norm(lambda y: y @ matrix, torch.zeros(2, 4, dtype=DOUBLE))
    assert found == pytest.approx(torch.linalg.matrix_norm(matrix, 2).item(), rel=1e-3)


def test_pieces_have_to_divide_the_steps():
    with pytest.raises(InvalidInput, match="pieces must divide steps, got 10 and 25; take steps=30"):
        lyapunov_exponent(lambda_terms(1.0), torch.ones(1, 1), sigma=0.0, steps=25)


def test_at_least_one_row_is_needed():
    with pytest.raises(InvalidInput, match="y must have at least one row"):
        lyapunov_exponent(lambda_terms(1.0), torch.ones(0, 2), sigma=0.0, steps=10)
