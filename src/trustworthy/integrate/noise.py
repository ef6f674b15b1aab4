"""Where the increments of one integration come from: a path, or fresh draws at every step."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from trustworthy.core.errors import IntegrationFailed, InvalidInput
from trustworthy.integrate.brownian import BrownianPath
from trustworthy.integrate.grid import Grid
from trustworthy.integrate.jumps import JumpPath
from trustworthy.integrate.marks import overflows, poisson
from trustworthy.integrate.terms import Terms
from trustworthy.integrate.watch import readable

Increment = Callable[[float, float, Tensor], Tensor]
"""Function of the beginning and the end of a step and the state where it begins."""


def brownian_increments(
    terms: Terms, y: Tensor, grid: Grid, path: BrownianPath | None, generator: torch.Generator | None
) -> Increment | None:
    """dB of a step: of the shape of the state, or (batch, m). None for terms without diffusion."""
    if not terms.has_diffusion:
        if path is not None:
            raise InvalidInput("brownian must be None for terms without diffusion, got a path; leave it out.")
        return None
    mixed = terms.brownian_motions
    shape = tuple(y.shape) if mixed is None else (len(y), mixed)
    if path is not None:
        _same("brownian", path.shape, shape)
        return lambda start, end, y: path(start, end)
    root, dtype, device = math.sqrt(grid.step), y.dtype, y.device
    if generator is None:
        return lambda start, end, y: torch.normal(0.0, root, shape, dtype=dtype, device=device)
    home = generator.device
    return lambda start, end, y: torch.normal(0.0, root, shape, generator=generator, dtype=dtype, device=home).to(
        device
    )


def jump_increments(
    terms: Terms, y: Tensor, grid: Grid, path: JumpPath | None, generator: torch.Generator | None
) -> Increment | None:
    """Sum of the marks of the jumps in a step; broadcasts against the state. None for terms without jumps."""
    if not terms.has_jumps:
        if path is not None:
            raise InvalidInput("jumps must be None for terms without jumps, got a path; leave it out.")
        return None
    if path is not None:
        _same("jumps", path.shape, tuple(y.shape))
        return _thinned(terms, path) if callable(terms.rate) else lambda start, end, y: path(start, end)
    mean = terms.highest_rate * grid.step
    if overflows(mean):
        raise InvalidInput(
            f"rate overflows: {terms.highest_rate:g} is {mean:g} jumps in a step of {grid.step:g}; take a lower rate, "
            "more steps, or a diffusion in place of so many jumps."
        )
    ones = (len(y), *[1] * (y.ndim - 1))
    means = torch.full(ones, mean, dtype=torch.float32, device=y.device)

    def increment(start: float, end: float, y: Tensor) -> Tensor:
        # In float32: counts of half precision end at 2,048, and there is no binomial draw for them.
        expected = _rates(terms, start, y).reshape(ones).float() * grid.step if callable(terms.rate) else means
        return terms.marks.total(poisson(expected, generator), y, generator).to(y.dtype)

    return increment


def _thinned(terms: Terms, path: JumpPath) -> Increment:
    """Of the jumps of the highest rate, those below the rate of the state where the step begins."""

    def increment(start: float, end: float, y: Tensor) -> Tensor:
        jumps = path.between(start, end)
        share = _rates(terms, start, y) / terms.highest_rate
        counts = jumps.uniforms < share[jumps.rows]
        return path.summed(jumps._replace(rows=jumps.rows[counts], marks=jumps.marks[counts]))

    return increment


def _rates(terms: Terms, t: float, y: Tensor) -> Tensor:
    rates = terms.rate(t, y).detach()  # pyright: ignore[reportOptionalCall, reportCallIssue]
    if tuple(rates.shape) != (len(y),):
        raise InvalidInput(
            f"rate must give a number for each of {len(y)} rows, got shape {tuple(rates.shape)}; sum or average it "
            "over the state."
        )
    if readable(rates) and not bool(((rates >= 0) & (rates <= terms.highest_rate)).all()):
        raise IntegrationFailed(
            f"the rate must lie from 0 to rate_bound = {terms.highest_rate:g}, got {rates.min().item():g} to "
            f"{rates.max().item():g} at t = {t:g}; give a higher rate_bound, or a rate that overflows less."
        )
    return rates


def _same(argument: str, given: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if given != expected:
        raise InvalidInput(f"{argument} must have the shape {expected}, got {given}; make the path with that shape.")
