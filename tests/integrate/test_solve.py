"""What `integrate` returns, refuses and says when an equation cannot be solved."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from problems.equations import GeometricBrownianMotion, blow_up, decay, driven_pendulum, stiff
from trustworthy.core.errors import IntegrationFailed, InvalidInput
from trustworthy.integrate import (
    RK4,
    Adjoint,
    BrownianPath,
    DormandPrince,
    Euler,
    Heun,
    JumpPath,
    Milstein,
    Signs,
    Terms,
    drawn_paths,
    integrate,
    steps_of,
)

DOUBLE = torch.float64


def by_message(value):
    """Name of a case: an id that holds an address differs between the processes that share the tests."""
    return value if isinstance(value, str) else ""


def ones(*shape):
    return torch.ones(shape, dtype=DOUBLE)


def zero(t, y):
    return torch.zeros_like(y)


class Counted:
    """A function that knows how often it was called, and at which times."""

    def __init__(self, function):
        self.function, self.times = function, []

    def __call__(self, t, y):
        self.times.append(t)
        return self.function(t, y)


@pytest.mark.parametrize(
    ("T", "h", "steps"), [(0.3, 0.1, 3), (1.0, 0.1, 10), (0.7, 0.1, 7), (1.0, 1 / 3, 3), (2.0, 2.0, 1)]
)
def test_exactly_N_steps(T, h, steps):
    drift = Counted(decay)
    solution = integrate(drift, ones(1, 1), interval=(0.0, T), step_size=h)
    assert len(drift.times) == solution.steps == steps_of((0.0, T), h) == steps
    assert solution.times == (T,)


@pytest.mark.parametrize(("solver", "calls"), [(Euler(), 1), (Heun(), 2), (Milstein(), 1), (RK4(), 4)])
def test_evaluations_a_step(solver, calls):
    drift = Counted(decay)
    integrate(drift, ones(1, 1), steps=5, solver=solver)
    assert len(drift.times) == 5 * calls


@pytest.mark.parametrize("joint", ["fg", "fj"])
def test_joint_terms_are_evaluated_once_a_step_and_change_nothing(joint, generator):
    pair = Counted(lambda t, y: (decay(t, y), 0.3 * y))
    if joint == "fg":
        together, apart = Terms(fg=pair), Terms(drift=decay, diffusion=lambda t, y: 0.3 * y)
    else:
        jumps = {"rate": 9.0, "marks": Signs()}
        together, apart = Terms(fj=pair, **jumps), Terms(drift=decay, jump=lambda t, y: 0.3 * y, **jumps)
    paths = drawn_paths(apart, ones(3, 2), steps=6, generator=generator)._asdict()
    first = integrate(together, ones(3, 2), steps=6, **paths).end
    assert len(pair.times) == 6
    assert torch.equal(first, integrate(apart, ones(3, 2), steps=6, **paths).end)
    solver = Heun() if joint == "fj" else Milstein()
    if joint == "fg":
        torch.testing.assert_close(
            integrate(together, ones(3, 2), steps=6, solver=solver, **paths).end,
            integrate(apart, ones(3, 2), steps=6, solver=solver, **paths).end,
        )


def test_only_the_end_is_saved_unless_times_are_asked():
    assert integrate(decay, ones(2, 3), steps=4).states.shape == (1, 2, 3)
    solution = integrate(decay, ones(2, 3), steps=4, at=(0.0, 0.5, 1.0), solver=RK4())
    assert solution.times == (0.0, 0.5, 1.0)
    assert torch.equal(solution.states[0], ones(2, 3))
    assert torch.equal(solution.states[1], integrate(decay, ones(2, 3), interval=(0.0, 0.5), steps=2, solver=RK4()).end)
    assert torch.equal(solution.end, integrate(decay, ones(2, 3), steps=4, solver=RK4()).end)
    assert solution.steps == 4


def test_steps_after_the_last_saved_time_are_not_taken():
    assert integrate(decay, ones(1, 1), steps=10, at=(0.3,)).steps == 3


@pytest.mark.parametrize("solver", [RK4(), DormandPrince(rtol=1e-10, atol=1e-10)], ids=lambda s: type(s).__name__)
def test_the_limit_without_noise_is_that_of_scipy(solver):
    start, times = [1.0, 0.5], (0.5, 2.0, 3.0)
    peer = solve_ivp(
        lambda t, y: [y[1], -math.sin(y[0]) + 0.3 * math.cos(t)],
        (0.0, 3.0), start, t_eval=times, rtol=1e-11, atol=1e-12, method="DOP853",
    )  # fmt: skip
    steps = {"steps": 300} if solver == RK4() else {}
    found = integrate(
        driven_pendulum, torch.tensor([start], dtype=DOUBLE), interval=(0.0, 3.0), solver=solver, at=times, **steps
    )
    np.testing.assert_allclose(found.states[:, 0].numpy().T, peer.y, atol=2e-9)


@pytest.mark.parametrize("solver", [Euler(), Heun(), Milstein()], ids=repr)
def test_a_diffusion_of_zero_is_no_diffusion(solver):
    silent = integrate(Terms(drift=decay, diffusion=lambda t, y: 0.0), ones(2, 2), steps=5, solver=solver).end
    torch.testing.assert_close(silent, integrate(decay, ones(2, 2), steps=5, solver=solver).end)


def test_rows_of_a_batch_are_as_exact_as_alone():
    """One row moves a hundred times as fast as the rest; SciPy's norm over the batch would dilute its error."""
    speeds = torch.tensor([100.0, *[1.0] * 99], dtype=DOUBLE)[:, None]
    solver = DormandPrince(rtol=1e-7, atol=1e-7)
    exact = torch.exp(-speeds * 0.1)
    end = integrate(lambda t, y: -speeds * y, ones(100, 1), interval=(0.0, 0.1), solver=solver).end
    alone = integrate(lambda t, y: -100 * y, ones(1, 1), interval=(0.0, 0.1), solver=solver).end
    assert (end - exact)[0].abs() <= 2 * (alone - exact[0]).abs()


@pytest.mark.parametrize("solver", [Euler(), Heun()], ids=repr)
def test_a_row_on_a_path_does_not_depend_on_the_others(solver, generator):
    terms = Terms(
        drift=decay, diffusion=lambda t, y: 0.3 * y, jump=lambda t, y: 0.1 * y, rate=4.0, marks=Signs()
    )  # fmt: skip
    y = torch.rand(5, 3, dtype=DOUBLE, generator=generator)
    brownian, jumps = drawn_paths(terms, y, steps=6, generator=generator)
    whole = integrate(terms, y, steps=9, solver=solver, brownian=brownian, jumps=jumps).end
    some = integrate(terms, y[[3, 1]], steps=9, solver=solver, brownian=brownian.rows([3, 1]), jumps=jumps.rows([3, 1]))
    assert torch.equal(some.end, whole[[3, 1]])


def test_fresh_noise_comes_from_the_generator_or_the_global_stream(generator):
    terms, y = GeometricBrownianMotion().terms, ones(3, 1)
    state, before = generator.get_state(), torch.get_rng_state()
    first = integrate(terms, y, steps=3, generator=generator).end
    assert torch.equal(torch.get_rng_state(), before)
    generator.set_state(state)
    assert torch.equal(integrate(terms, y, steps=3, generator=generator).end, first)
    free = integrate(terms, y, steps=3).end
    torch.set_rng_state(before)
    assert torch.equal(integrate(terms, y, steps=3).end, free)
    assert not torch.equal(integrate(terms, y, steps=3).end, free)


def test_draws_by_vmap_are_different_and_distributed_alike():
    motion = GeometricBrownianMotion()
    terms = Terms(fg=lambda t, y: (motion.mu * y, motion.sigma * y), jump=zero, rate=2.0, marks=Signs())
    draws = torch.func.vmap(lambda _: integrate(terms, ones(500, 1), steps=30).end, randomness="different")(
        torch.arange(4)
    )
    assert draws.shape == (4, 500, 1)
    assert not torch.equal(draws[0], draws[1])
    assert abs(draws.mean() - motion.mean(1.0)) < 4 * math.sqrt(motion.variance(1.0) / 2000) + 0.01


@pytest.mark.parametrize(("solver", "steps"), [(Euler(), 40), (RK4(), 40)])
def test_a_state_that_is_not_finite_is_named_with_its_time(solver, steps):
    def poison(t, y):
        return torch.full_like(y, math.nan) if t >= 0.5 else -y

    with pytest.raises(IntegrationFailed, match=r"NaN or infinite at t = 0\.5[0-9]*;"):
        integrate(poison, ones(2, 1), steps=steps, solver=solver)


def test_blow_up_says_when_how_and_what_to_do():
    with pytest.raises(IntegrationFailed) as caught:
        integrate(blow_up, ones(1, 1), interval=(0.0, 2.0), solver=DormandPrince())
    message = str(caught.value)
    assert "too small to move the time: at t = 1 the step is" in message
    assert all(remedy in message for remedy in ("largest |f| is", "RK4()", "larger rtol", "float64"))


def test_a_stiff_equation_says_that_it_may_be_one():
    with pytest.raises(IntegrationFailed, match=r"300 steps \(max_steps\) do not reach 1: at t = .* may be stiff"):
        integrate(stiff, ones(1, 1), solver=DormandPrince(max_steps=300))


def test_a_failure_on_the_way_back_is_told_as_well():
    y, factor = ones(1, 1).requires_grad_(), [1.0]
    end = integrate(lambda t, y: factor[0] * decay(t, y), y, solver=DormandPrince(), adjoint=Adjoint()).end
    factor[0] = math.nan
    with pytest.raises(IntegrationFailed, match="the state or its slope is not finite: at t = 1 "):
        end.sum().backward()


def test_the_last_step_may_be_the_last_that_is_allowed():
    taken = integrate(decay, ones(1, 1), solver=DormandPrince()).steps
    assert integrate(decay, ones(1, 1), solver=DormandPrince(max_steps=taken)).steps == taken


MIXED = Terms(drift=decay, diffusion=lambda t, y: y[..., None], brownian_motions=1)
NOISY = Terms(drift=decay, diffusion=lambda t, y: y)
JUMPY = Terms(drift=decay, jump=zero, rate=1.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0}, "steps must be >= 1, got 0"),
        ({}, "steps or step_size must be given .* got neither"),
        ({"steps": 2, "step_size": 0.5}, "got both"),
        ({"step_size": 0.3}, "step_size must divide the interval of length 1, got 0.3; .* 0.333333333333"),
        ({"steps": 2, "interval": (1.0, 1.0)}, "first < last"),
        ({"steps": 2, "interval": (0.0, -1.0)}, "or give T > 0"),
        ({"steps": 4, "at": (0.3,)}, "at must have times of the grid of 4 steps .* nearest is 0.25"),
        ({"steps": 4, "at": ()}, "one time or more"),
        ({"steps": 4, "at": (0.5, 0.25)}, "later than the one before"),
        ({"steps": 4, "at": (0.5, 1.25)}, "times from 0 to 1"),
        ({"steps": 4, "solver": DormandPrince()}, "DormandPrince chooses its steps"),
        ({"steps": 4, "terms": MIXED, "solver": Milstein()}, "Milstein takes a diagonal diffusion, .* Euler"),
        ({"steps": 4, "terms": NOISY, "solver": RK4()}, "RK4 solves equations without diffusion"),
        ({"terms": NOISY, "solver": DormandPrince()}, "DormandPrince solves equations without diffusion"),
        ({"steps": 4, "terms": JUMPY, "solver": Milstein()}, "Milstein solves equations without jumps"),
        ({"steps": 4, "terms": NOISY, "adjoint": Adjoint()}, "adjoint must be None for equations with diffusion"),
        ({"steps": 4, "brownian": BrownianPath((2, 1), steps=4)}, "brownian must be None for terms without diffusion"),
        ({"solver": DormandPrince(), "brownian": BrownianPath((2, 1), steps=4)}, "brownian must be None"),
        ({"steps": 4, "jumps": JumpPath((2, 1), rate=1.0)}, "jumps must be None for terms without jumps"),
        ({"steps": 4, "terms": NOISY, "brownian": BrownianPath((3, 1), steps=4)}, r"shape \(2, 1\), got \(3, 1\)"),
        ({"steps": 4, "terms": JUMPY, "jumps": JumpPath((3, 1), rate=1.0)}, r"shape \(2, 1\), got \(3, 1\)"),
    ],
    ids=by_message,
)
def test_bad_input(given, message):
    with pytest.raises(InvalidInput, match=message):
        integrate(given.pop("terms", decay), ones(2, 1), **given)


@pytest.mark.usefixtures("_as_users_call_it")
def test_arguments_of_another_type_are_named():
    with pytest.raises(InvalidInput, match=r"y must be of a floating type, got torch\.int64"):
        integrate(decay, torch.ones(2, 1, dtype=torch.int64), steps=2)
    with pytest.raises(InvalidInput, match=r"solver must be a solver such as Euler\(\), got <class"):
        integrate(decay, ones(2, 1), steps=2, solver=RK4)
    with pytest.raises(InvalidInput, match=r"diffusion must be a function of \(t, y\), got 0.3; give lambda t, y: 0.3"):
        Terms(drift=decay, diffusion=0.3)


def test_a_rate_has_a_number_for_each_row():
    terms = Terms(drift=decay, jump=zero, rate=lambda t, y: y, rate_bound=2.0)
    with pytest.raises(InvalidInput, match=r"a number for each of 2 rows, got shape \(2, 3\)"):
        integrate(terms, ones(2, 3), steps=2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "drift must be given exactly once, as drift, fg or fj, got none"),
        ({"drift": decay, "fg": decay}, "got drift and fg"),
        ({"fg": decay, "diffusion": decay}, "diffusion must be None where fg gives it"),
        ({"fj": decay, "jump": decay, "rate": 1.0}, "jump must be None where fj gives it"),
        ({"drift": decay, "jump": decay}, "rate is missing, and jump is given"),
        ({"drift": decay, "rate": 1.0}, r"jump \(or fj\) is missing, and rate is given"),
        ({"fj": decay, "rate": decay}, "rate_bound is missing"),
        ({"fj": decay, "rate": 1.0, "rate_bound": 2.0}, "rate_bound must be None where rate is a number"),
        ({"fj": decay, "rate": -1.0}, "rate must be >= 0"),
        ({"fj": decay, "rate": math.inf}, "rate must be finite"),
        ({"fj": decay, "rate": decay, "rate_bound": 0.0}, "rate_bound must be > 0"),
        ({"drift": decay, "brownian_motions": 2}, r"diffusion \(or fg\) is missing"),
        ({"fg": decay, "brownian_motions": 0}, "brownian_motions must be >= 1"),
    ],
    ids=by_message,
)
def test_terms_that_are_missing_are_named(given, message):
    with pytest.raises(InvalidInput, match=message):
        Terms(**given)


@pytest.mark.parametrize("field", ["rtol", "atol"])
def test_tolerances_are_positive(field):
    with pytest.raises(InvalidInput, match=f"{field} must be > 0"):
        DormandPrince(**{field: 0.0})
