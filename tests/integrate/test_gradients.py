"""Gradients through the steps and by the adjoint, and the memory that they take."""

import gc
import math

import pytest
import torch
from torch import nn

from problems.equations import order
from trustworthy.core.errors import InvalidInput
from trustworthy.integrate import RK4, Adjoint, BrownianPath, DormandPrince, Euler, Heun, Milstein, Terms, integrate

DOUBLE = torch.float64
ADAPTIVE = DormandPrince(rtol=1e-8, atol=1e-8)


class Field(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 2)).double()

    def forward(self, t, y):
        return self.layers(y) * math.cos(3 * t)


@pytest.fixture
def field():
    return Field()


@pytest.fixture
def y(generator):
    return torch.randn(3, 2, dtype=DOUBLE, generator=generator).requires_grad_()


def gradients(drift, y, *, at=(0.5, 1.0), **given):
    """Of a scalar of the states, with respect to the start and the weights."""
    states = integrate(drift, y, at=at, **given).states
    weights = torch.linspace(-1, 2, states.numel(), dtype=DOUBLE).reshape(states.shape)
    found = torch.autograd.grad((weights * states).sum(), (y, *drift.parameters()))
    return torch.cat([gradient.flatten() for gradient in found])


@pytest.mark.parametrize("solver", [pytest.param(Euler(), marks=pytest.mark.slow), Heun(), Milstein()], ids=repr)
@pytest.mark.parametrize("check", [torch.autograd.gradcheck, torch.autograd.gradgradcheck], ids=["once", "twice"])
def test_gradients_with_noise_equal_differences(solver, check, y, generator):
    path = BrownianPath((3, 2), steps=3, generator=generator, dtype=DOUBLE)

    def end(y, scale):
        terms = Terms(drift=lambda t, y: torch.sin(scale * y), diffusion=lambda t, y: scale * y.square())
        return integrate(terms, y, steps=3, solver=solver, brownian=path).end

    assert check(end, (y, torch.tensor(0.7, dtype=DOUBLE, requires_grad=True)))


@pytest.mark.parametrize("check", [torch.autograd.gradcheck, torch.autograd.gradgradcheck], ids=["once", "twice"])
@pytest.mark.parametrize(
    "solver", [RK4(), pytest.param(DormandPrince(rtol=1e-5), marks=pytest.mark.slow)], ids=["RK4", "adaptive"]
)
def test_gradients_without_noise_equal_differences(solver, check, y):
    steps = {"steps": 2} if solver == RK4() else {}

    def end(y, scale):
        return integrate(lambda t, y: torch.sin(scale * y), y, solver=solver, **steps).end

    assert check(end, (y, torch.tensor(0.7, dtype=DOUBLE, requires_grad=True)))


def test_a_penalty_on_an_input_gradient_trains_the_weights(field, y):
    (slope,) = torch.autograd.grad(integrate(field, y, steps=4).end.sum(), y, create_graph=True)
    slope.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in list(field.parameters())[:1])


def test_the_adaptive_adjoint_equals_backpropagation(field, y):
    exact = gradients(field, y, solver=RK4(), steps=120)
    torch.testing.assert_close(gradients(field, y, solver=ADAPTIVE), exact, atol=1e-6, rtol=0)
    torch.testing.assert_close(gradients(field, y, solver=ADAPTIVE, adjoint=Adjoint()), exact, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("solver", "expected"), [(Euler(), 1), (Heun(), 2), (RK4(), 4)])
def test_the_adjoint_of_fixed_steps_nears_backpropagation_at_least_with_the_order_of_the_solver(
    solver, expected, field, y
):
    apart = [
        (gradients(field, y, solver=solver, steps=n) - gradients(field, y, solver=solver, steps=n, adjoint=Adjoint()))
        .abs()
        .max()
        for n in (8, 16)
    ]
    assert order(apart) > expected - 0.3
    assert apart[0] > 1e-9  # they are near, not equal


def test_the_first_time_may_be_saved_and_weights_may_be_frozen(field, y):
    next(iter(field.parameters())).requires_grad_(False)
    found = integrate(field, y, steps=4, solver=RK4(), at=(0.0, 1.0), adjoint=Adjoint())
    found.states.sum().backward()
    assert torch.equal(found.states[0], y)
    assert field.layers[0].weight.grad is None
    assert field.layers[2].weight.grad is not None


def test_adjoint_finds_the_weights_of_any_callable(field, y):
    integrate(lambda t, y: 2 * field(t, y), y, steps=4, adjoint=Adjoint()).end.sum().backward()
    assert all(p.grad is not None for p in field.parameters())


@pytest.mark.parametrize("solving", [{"steps": 4}, {"solver": ADAPTIVE}], ids=["fixed", "adaptive"])
def test_the_adjoint_of_a_drift_that_depends_on_nothing_and_of_the_first_time_alone(solving, y):
    for at in ((0.5, 1.0), (0.0,)):
        states = integrate(lambda t, y: torch.ones_like(y), y, at=at, adjoint=Adjoint(), **solving).states
        (slope,) = torch.autograd.grad(states.sum(), y)
        assert torch.equal(slope, torch.full_like(y, len(at)))


def test_a_tensor_that_the_adjoint_does_not_know_is_refused(field, y):
    scale = torch.tensor(2.0, dtype=DOUBLE, requires_grad=True)

    def drift(t, y):
        return scale * field(t, y)

    with pytest.raises(InvalidInput, match=r"one of shape \(\) that requires a gradient is none of them"):
        integrate(drift, y, steps=4, adjoint=Adjoint())
    known = Adjoint(parameters=(scale, *field.parameters()))
    integrate(drift, y, steps=4, adjoint=known).end.sum().backward()
    assert scale.grad is not None


def test_the_adjoint_does_not_look_behind_what_it_knows(y):
    log = torch.tensor(0.7, dtype=DOUBLE, requires_grad=True)
    scale = log.exp()
    end = integrate(lambda t, y: -scale * y, y, solver=ADAPTIVE, adjoint=Adjoint(parameters=(scale,))).end
    (found,) = torch.autograd.grad(end.sum(), log)
    torch.testing.assert_close(found, (-scale * torch.exp(-scale) * y.sum()).detach())


def test_the_adjoint_has_no_second_derivative(field, y):
    end = integrate(field, y, steps=4, adjoint=Adjoint()).end
    (slope,) = torch.autograd.grad(end.sum(), y, create_graph=True)
    with pytest.raises(RuntimeError, match=r"once_differentiable|does not require grad"):
        slope.sum().backward()


def test_the_gradients_of_weights_stay_out_of_the_error(y):
    """A thousand weights that hardly matter ask for no more steps backward than none of them."""
    drift = Wide()
    steps = {}
    for weights in (True, False):
        drift.calls = 0
        parameters = tuple(drift.parameters()) if weights else ()
        drift.requires_grad_(weights)
        integrate(drift, y, solver=ADAPTIVE, adjoint=Adjoint(parameters=parameters)).end.sum().backward()
        steps[weights] = drift.calls
    assert steps[True] == steps[False]


class Wide(nn.Module):
    """Its weights act through a factor that oscillates fast, which the state hardly sees."""

    def __init__(self):
        super().__init__()
        self.weight, self.calls = nn.Parameter(torch.zeros(1000, dtype=DOUBLE)), 0

    def forward(self, t, y):
        self.calls += 1
        return -y + 1e3 * math.sin(200 * t) * self.weight.sum()


def kept_bytes(result, weights):
    """Bytes that the graph behind `result` keeps for the way back, storage by storage, weights left out."""
    kept, waiting, seen = {}, [result.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        saved = list(getattr(node, "saved_tensors", ()))
        saved += [getattr(node, name) for name in dir(node) if name.startswith("_saved_")]
        for tensor in saved:
            if isinstance(tensor, torch.Tensor):
                kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        waiting.extend(following for following, _ in node.next_functions)
    own = {weight.untyped_storage().data_ptr() for weight in weights}
    return sum(size for place, size in kept.items() if place not in own)


def solved_and_kept(field, y, steps, times, adjoint):
    at = [(index + 1) / times for index in range(times)]
    states = integrate(field, y, steps=steps, solver=RK4(), at=at, adjoint=adjoint).states
    return states, kept_bytes(states, field.parameters())


def test_the_memory_of_the_adjoint_does_not_grow_with_the_steps(field, y):
    few, many = (solved_and_kept(field, y, steps, 1, Adjoint())[1] for steps in (4, 40))
    assert few == many == y.nbytes
    through, far = (solved_and_kept(field, y, steps, 1, None)[1] for steps in (4, 40))
    assert far > 5 * through > 50 * many


def test_the_adjoint_keeps_of_saved_times_no_more_than_the_states_it_returns(field, y):
    for times in (1, 10, 20):
        states, kept = solved_and_kept(field, y, 20, times, Adjoint())
        assert kept == states.nbytes


@pytest.mark.slow
def test_nothing_leaks_over_a_hundred_calls(field, y):
    def alive():
        gc.collect()
        return sum(type(thing) is torch.Tensor for thing in gc.get_objects())

    counts = []
    for call in range(101):
        integrate(field, y, steps=2, adjoint=Adjoint() if call % 2 else None).end.sum().backward()
        if call in (1, 100):
            counts.append(alive())
    assert counts[0] == counts[1]
