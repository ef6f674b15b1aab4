"""From the terms of an equation and a first state to its states at later times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from trustworthy.core.errors import InvalidInput
from trustworthy.integrate.adjoint import Adjoint, Integrator, solved
from trustworthy.integrate.brownian import BrownianPath
from trustworthy.integrate.dormand_prince import DormandPrince
from trustworthy.integrate.grid import Grid, Interval, ascending, steps_of
from trustworthy.integrate.jumps import JumpPath
from trustworthy.integrate.noise import brownian_increments, jump_increments
from trustworthy.integrate.runge_kutta import State, combined, stages
from trustworthy.integrate.solvers import Euler, FixedStep, Solver
from trustworthy.integrate.terms import Field, Terms, as_terms
from trustworthy.integrate.watch import Watch


@dataclass(frozen=True, eq=False)
class Solution:
    """States of an equation, and what they came from.

    times : of the states, in order.
    states : (times, batch, *state).
    steps : taken from the first time to the last; 0 where the adjoint's adaptive solver does not tell.
    brownian, jumps : the paths that drove it; None for fresh draws.
    """

    times: tuple[float, ...]
    states: Float[Tensor, "times batch *state"]
    steps: int
    brownian: BrownianPath | None = None
    jumps: JumpPath | None = None

    @property
    def end(self) -> Float[Tensor, "batch *state"]:
        """The last state."""
        return self.states[-1]


def integrate(
    terms: Terms | Field,
    y: Float[Tensor, "batch *state"],
    *,
    interval: Interval = (0.0, 1.0),
    steps: int | None = None,
    step_size: float | None = None,
    solver: Solver | None = None,
    at: Sequence[float] | None = None,
    brownian: BrownianPath | None = None,
    jumps: JumpPath | None = None,
    generator: torch.Generator | None = None,
    adjoint: Adjoint | None = None,
) -> Solution:
    """Solve dy = f dt + g dB + J Z dN, eq. (2.30), from `y` at the first time of the interval.

    Parameters
    ----------
    terms : of the equation; a function alone is the drift of an ordinary one.
    y : first state, of a floating type.
    interval : (first, last) time.
    steps : equal steps of a solver with a fixed step, >= 1.
    step_size : in place of `steps`, their length; it has to divide the interval.
    solver : None for `Euler()`. `DormandPrince()` chooses its steps and takes neither of the two above.
    at : times to return the state at; of the grid where the step is fixed. None for the last time alone.
    brownian, jumps : paths that drive the equation; None draws fresh noise at every step.
    generator : of fresh noise; None takes torch's global stream (and works inside of `torch.func.vmap` with
        randomness="different").
    adjoint : how to find gradients of an equation without noise in little memory; None goes back through the steps
        (and gradients of gradients work).

    Raises
    ------
    InvalidInput
        Where an argument breaks its contract, or the solver has no rule for a term.
    IntegrationFailed
        Where a state becomes NaN or infinite (found at every 16th step, never inside of `torch.func` transforms), a
        rate leaves its bound, or an adaptive step becomes too small.

    With a fixed step and paths, a row of the batch does not depend on the other rows. Cost: evaluations as the solver
    says, times the steps.
    """
    terms, solver = as_terms(terms), Euler() if solver is None else solver
    if not y.is_floating_point():
        raise InvalidInput(f"y must be of a floating type, got {y.dtype}; call y.float() first.")
    solver.check(terms)
    noisy = terms.has_diffusion or terms.has_jumps
    if isinstance(solver, FixedStep):
        grid = _grid(interval, steps, step_size)
        wanted = [grid.steps] if at is None else [grid.index(time) for time in ascending(at, interval)]
        times = tuple(grid.time(index) for index in wanted)
        if adjoint is None:
            states = _march(terms, solver, y, grid, wanted, brownian, jumps, generator)
            return Solution(times, _stacked(states), wanted[-1], brownian, jumps)
        integrator, taken = _by_grid(solver, grid), wanted[-1]
    else:
        if steps is not None or step_size is not None:
            raise InvalidInput(
                f"{type(solver).__name__} chooses its steps, got steps or step_size; leave it out, or take RK4()."
            )
        grid = Grid.of(interval, 1)
        times = (grid.end,) if at is None else tuple(ascending(at, interval))
        if adjoint is None:
            states, taken = _adapted(terms, solver, y, grid.start, times)
            return Solution(times, _stacked(states), taken)
        integrator, taken = _by_tolerance(solver), 0
    if noisy:
        raise InvalidInput("adjoint must be None for equations with diffusion or jumps, got one; leave it out.")
    parameters = adjoint.of(terms.drift_at, grid.start, y)
    return Solution(times, solved(terms.drift_at, integrator, (grid.start, *times), y, parameters), taken)


def _grid(interval: Interval, steps: int | None, step_size: float | None) -> Grid:
    if (steps is None) == (step_size is None):
        given = "neither" if steps is None else "both"
        raise InvalidInput(f"steps or step_size must be given for a solver with a fixed step, got {given}; give one.")
    return Grid.of(interval, steps_of(interval, step_size) if steps is None else steps)  # pyright: ignore


def _march(
    terms: Terms,
    solver: FixedStep,
    y: Tensor,
    grid: Grid,
    wanted: list[int],
    brownian: BrownianPath | None,
    jumps: JumpPath | None,
    generator: torch.Generator | None,
) -> list[Tensor]:
    """The states after the `wanted` numbers of steps."""
    dw = brownian_increments(terms, y, grid, brownian, generator)
    dz = jump_increments(terms, y, grid, jumps, generator)
    evaluate, advance, h, watch = terms.evaluator(), solver.step, grid.step, Watch()
    found = [y] if wanted[0] == 0 else []
    keep = set(wanted)
    t = grid.start
    for index in range(1, wanted[-1] + 1):
        later = grid.time(index)
        motion = None if dw is None else dw(t, later, y)
        marks = None if dz is None else dz(t, later, y)
        y = advance(terms, evaluate(t, y), t, h, y, motion, marks)
        t = later
        watch.see(t, y)
        if index in keep:
            found.append(y)
    watch.look()
    return found


def _adapted(
    terms: Terms, solver: Solver, y: Tensor, start: float, times: tuple[float, ...]
) -> tuple[list[Tensor], int]:
    assert isinstance(solver, DormandPrince)
    states, taken = solver.solve(lambda t, state: (terms.drift_at(t, state[0]),), start, times, (y,), normed=1)
    return [state[0] for state in states], taken


def _stacked(states: list[Tensor]) -> Tensor:
    return states[0][None] if len(states) == 1 else torch.stack(states)


def _by_grid(solver: FixedStep, grid: Grid) -> Integrator:
    """Steps of the grid, forward or backward, by the solver's tableau."""

    def integrate_between(slope: Callable[[float, State], State], times: Sequence[float], state: State) -> list[State]:
        found, watch = [], Watch()
        indices = [grid.index(time) for time in times]
        at = indices[0]
        for stop in indices[1:]:
            direction = 1 if stop > at else -1
            while at != stop:
                t, h = grid.time(at), direction * grid.step
                state = combined(
                    state, h, solver.tableau.weights, stages(solver.tableau, slope, t, h, state, slope(t, state))
                )
                at += direction
                watch.see(grid.time(at), state[0])
            found.append(state)
        watch.look()
        return found

    return integrate_between


def _by_tolerance(solver: Solver) -> Integrator:
    """Adaptive steps. The gradients of parameters (beyond the state and the adjoint) stay out of the error."""
    assert isinstance(solver, DormandPrince)
    return lambda slope, times, state: solver.solve(slope, times[0], times[1:], state, normed=min(2, len(state)))[0]
