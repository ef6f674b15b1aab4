"""Orders of convergence against closed forms, and moments of processes that are known."""

import math

import pytest
import torch

from problems.equations import GeometricBrownianMotion, OrnsteinUhlenbeck, decay, order
from trustworthy.integrate import RK4, BrownianPath, Euler, Heun, Milstein, integrate

STEPS = (8, 16, 32, 64)


@pytest.mark.parametrize(("solver", "expected"), [(Euler(), 1), (Heun(), 2), (Milstein(), 1), (RK4(), 4)])
def test_order_without_noise(solver, expected):
    y = torch.ones(1, 1, dtype=torch.float64)
    errors = [abs(integrate(decay, y, steps=steps, solver=solver).end.item() - math.exp(-1)) for steps in STEPS]
    assert order(errors) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize(("solver", "expected"), [(Euler(), 0.5), (Heun(), 0.5), (Milstein(), 1)])
def test_strong_order_on_one_path(solver, expected, generator):
    motion = GeometricBrownianMotion()
    path = BrownianPath((4000, 1), steps=128, generator=generator, dtype=torch.float64)
    y, exact = torch.ones(4000, 1, dtype=torch.float64), motion.at(1.0, path(0.0, 1.0))
    errors = [
        (integrate(motion.terms, y, steps=steps, solver=solver, brownian=path).end - exact).abs().mean()
        for steps in (8, 32, 128)
    ]
    assert order(errors, ratio=4) == pytest.approx(expected, abs=0.2)


def test_strong_order_of_a_diffusion_that_mixes_two_motions(generator):
    motion = GeometricBrownianMotion()
    path = BrownianPath((2000, 2), steps=128, generator=generator, dtype=torch.float64)
    y = torch.ones(2000, 1, dtype=torch.float64)
    exact = motion.at(1.0, path(0.0, 1.0) @ torch.tensor([[0.8], [0.6]], dtype=torch.float64))
    errors = [
        (integrate(motion.mixed, y, steps=steps, brownian=path).end - exact).abs().mean() for steps in (8, 32, 128)
    ]
    assert order(errors, ratio=4) == pytest.approx(0.5, abs=0.2)


@pytest.mark.slow
def test_euler_has_strong_order_1_where_the_noise_is_additive(generator):
    terms = OrnsteinUhlenbeck().terms
    path = BrownianPath((1000, 1), steps=512, generator=generator, dtype=torch.float64)
    y = torch.ones(1000, 1, dtype=torch.float64)
    fine = integrate(terms, y, steps=512, brownian=path).end
    errors = [(integrate(terms, y, steps=steps, brownian=path).end - fine).abs().mean() for steps in (8, 16, 32, 64)]
    assert order(errors) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("solver", [Euler(), *(pytest.param(s, marks=pytest.mark.slow) for s in (Heun(), Milstein()))])
@pytest.mark.parametrize("process", [GeometricBrownianMotion(), OrnsteinUhlenbeck()], ids=repr)
@pytest.mark.parametrize("planned", [True, False], ids=["path", "fresh"])
def test_mean_and_variance(process, solver, planned, generator):
    """200 steps: the bias is below a third of the standard error of 4,000 draws."""
    rows, T = 4000, 1.0
    y = torch.ones(rows, 1, dtype=torch.float64)
    source = {"generator": generator}
    if planned:
        source = {"brownian": BrownianPath((rows, 1), steps=200, generator=generator, dtype=torch.float64)}
    end = integrate(process.terms, y, steps=200, solver=solver, **source).end
    assert abs(end.mean() - process.mean(T)) < 3.5 * math.sqrt(process.variance(T) / rows)
    spread = (end - end.mean()).square()
    assert abs(spread.mean() - process.variance(T)) < 3.5 * spread.std() / math.sqrt(rows)
