"""Agreement with torchsde and torchdiffeq: the same numbers on the same path, or within the tolerance of both."""

import pytest
import torch
from torch.testing import assert_close

from problems.equations import GeometricBrownianMotion, OrnsteinUhlenbeck, driven_pendulum
from trustworthy.integrate import RK4, Adjoint, BrownianPath, DormandPrince, Euler, Milstein, integrate

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
DOUBLE = torch.float64
STEPS = 16


class AsTorchsde(torch.nn.Module):
    noise_type, sde_type = "diagonal", "ito"

    def __init__(self, terms):
        super().__init__()
        self.terms = terms

    def f(self, t, y):
        return self.terms.drift(float(t), y)

    def g(self, t, y):
        return self.terms.diffusion(float(t), y) * torch.ones_like(y)


@pytest.mark.parametrize("process", [GeometricBrownianMotion(), OrnsteinUhlenbeck()], ids=repr)
@pytest.mark.parametrize(("solver", "name"), [(Euler(), "euler"), (Milstein(), "milstein")])
def test_torchsde_on_the_same_path(process, solver, name, generator):
    torchsde = pytest.importorskip("torchsde")
    path = BrownianPath((64, 3), steps=STEPS, generator=generator, dtype=DOUBLE)
    y = torch.ones(64, 3, dtype=DOUBLE)

    class Lent(torchsde.BaseBrownian):
        """Our path in the shape that torchsde asks."""

        dtype, device, shape, levy_area_approximation = DOUBLE, torch.device("cpu"), (64, 3), "none"

        __repr__ = object.__repr__

        def __call__(self, ta, tb=None, return_U=False, return_A=False):
            return path(float(ta), float(tb))

    peer = torchsde.sdeint(
        AsTorchsde(process.terms), y, torch.tensor([0.0, 1.0], dtype=DOUBLE), bm=Lent(), method=name, dt=1 / STEPS
    )[-1]
    # The peer differentiates the diffusion; ours takes a difference, exact where the diffusion is linear, as here.
    assert_close(integrate(process.terms, y, steps=STEPS, solver=solver, brownian=path).end, peer, atol=1e-12, rtol=0)


def test_torchdiffeq_on_the_same_equation():
    torchdiffeq = pytest.importorskip("torchdiffeq")
    y, times = torch.tensor([[1.0, 0.5]], dtype=DOUBLE), torch.tensor([0.0, 1.0, 3.0], dtype=DOUBLE)

    class Field(torch.nn.Module):
        def forward(self, t, y):
            return driven_pendulum(float(t), y)

    exact = torchdiffeq.odeint(Field(), y, times, rtol=1e-11, atol=1e-12)[1:]
    given = {"interval": (0.0, 3.0), "at": (1.0, 3.0)}
    tight = DormandPrince(rtol=1e-10, atol=1e-10)
    for solver, more in ((RK4(), {"steps": 300}), (tight, {}), (tight, {"adjoint": Adjoint()})):
        assert_close(integrate(Field(), y, solver=solver, **given, **more).states, exact, atol=1e-8, rtol=0)


def test_the_adjoint_agrees_with_that_of_torchdiffeq():
    torchdiffeq = pytest.importorskip("torchdiffeq")
    net = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2)).double()

    class Field(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, t, y):
            return self.net(y)

    field, y = Field(), torch.ones(3, 2, dtype=DOUBLE, requires_grad=True)
    times = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    theirs = torchdiffeq.odeint_adjoint(field, y, times, rtol=1e-10, atol=1e-10)[-1]
    ours = integrate(field, y, solver=DormandPrince(rtol=1e-10, atol=1e-10), adjoint=Adjoint()).end
    wanted = (y, *net.parameters())
    for mine, other in zip(
        torch.autograd.grad(ours.square().sum(), wanted),
        torch.autograd.grad(theirs.square().sum(), wanted),
        strict=True,
    ):
        assert_close(mine, other, atol=1e-7, rtol=0)
