"""From the terms of an equation and a first state to its states at later times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from trustworthy.core.errors import InvalidInput
from trustworthy.integrate.adjoint import Adjoint, solved
from trustworthy.integrate.brownian import BrownianPath
from trustworthy.integrate.dormand_prince import DormandPrince
from trustworthy.integrate.grid import Grid, Interval, ascending, steps_of
from trustworthy.integrate.jumps import JumpPath
from trustworthy.integrate.noise import Increment, brownian_increments, jump_increments
from trustworthy.integrate.runge_kutta import Integrator, State, advanced
from trustworthy.integrate.solvers import Euler, FixedStep, Noisy, Solver
from trustworthy.integrate.terms import Field, Terms
from trustworthy.integrate.watch import Watch

Step = Callable[[float, float, float, State], State]
"""Function of the beginning, the end and the length of a step, negative backward, and of a state: the next one."""


@dataclass(frozen=True, eq=False)
class Solution:
    """States of an equation, and what they came from.

    times : of the states, in order.
    states : (times, batch, *state).
    steps : taken from the first time to the last.
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
    terms = terms if isinstance(terms, Terms) else Terms(drift=terms)
    solver = Euler() if solver is None else solver
    if not isinstance(solver, Solver):
        raise InvalidInput(f"solver must be a solver such as Euler(), got {solver!r}.")
    if not y.is_floating_point():
        raise InvalidInput(f"y must be of a floating type, got {y.dtype}; call y.float() first.")
    solver.check(terms)
    if adjoint is not None and terms.noisy:
        raise InvalidInput("adjoint must be None for equations with diffusion or jumps, got one; leave it out.")
    grid = _grid(solver, interval, steps, step_size)
    times = (grid.end,) if at is None else tuple(ascending(at, interval))
    if isinstance(solver, FixedStep):
        times = tuple(grid.time(grid.index(time)) for time in times)
    dw = brownian_increments(terms, y, grid.step, brownian, generator)
    dz = jump_increments(terms, y, grid.step, jumps, generator)
    way, drift = (grid.start, *times), terms.drift_at
    if adjoint is not None:
        states, taken = solved(drift, _integrator(solver, grid), way, y, adjoint.of(drift, grid.start, y))
        return Solution(times, states, taken)
    if isinstance(solver, Noisy) and terms.noisy:
        found, taken = _marched(_noisy_step(terms, solver, dw, dz), grid, way, (y,))
    else:
        found, taken = _integrator(solver, grid)(lambda t, state: (drift(t, state[0]),), way, (y,))
    states = found[0][0][None] if len(found) == 1 else torch.stack([state for (state,) in found])
    return Solution(times, states, taken, brownian, jumps)


def _grid(solver: Solver, interval: Interval, steps: int | None, step_size: float | None) -> Grid:
    if not isinstance(solver, FixedStep):
        if steps is not None or step_size is not None:
            raise InvalidInput(
                f"{type(solver).__name__} chooses its steps, got steps or step_size; leave it out, or take RK4()."
            )
        return Grid.of(interval, 1)
    if (steps is None) == (step_size is None):
        given = "neither" if steps is None else "both"
        raise InvalidInput(f"steps or step_size must be given for a solver with a fixed step, got {given}; give one.")
    return Grid.of(interval, steps_of(interval, step_size) if steps is None else steps)  # pyright: ignore


def _integrator(solver: Solver, grid: Grid) -> Integrator:
    """Goes through equations without noise, forward or backward."""
    if isinstance(solver, DormandPrince):
        return solver.solve
    return lambda slope, times, state: _marched(
        lambda t, later, h, state: advanced(solver.tableau, slope, t, h, state), grid, times, state
    )


def _noisy_step(terms: Terms, solver: Noisy, dw: Increment | None, dz: Increment | None) -> Step:
    def step(t: float, later: float, h: float, state: State) -> State:
        (y,) = state
        motion = None if dw is None else dw(t, later, y)
        marks = None if dz is None else dz(t, later, y)
        return (solver.step(terms, t, h, y, motion, marks),)

    return step


def _marched(step: Step, grid: Grid, times: Sequence[float], state: State) -> tuple[list[State], int]:
    """The states at times[1:], from the one at times[0], and the number of steps."""
    found, watch = [], Watch()
    first, *stops = (grid.index(time) for time in times)
    at, t = first, grid.time(first)
    for stop in stops:
        direction = 1 if stop > at else -1
        h = direction * grid.step
        while at != stop:
            at += direction
            later = grid.time(at)
            state = step(t, later, h, state)
            t = later
            watch.see(t, state[0])
        found.append(state)
    watch.look()
    return found, abs(at - first)
