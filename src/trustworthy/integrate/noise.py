"""Where the increments of one integration come from: a path, or fresh draws at every step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from trustworthy.core.errors import IntegrationFailed, InvalidInput
from trustworthy.integrate.brownian import BrownianPath
from trustworthy.integrate.grid import Interval
from trustworthy.integrate.jumps import JumpPath
from trustworthy.integrate.paths import Path
from trustworthy.integrate.terms import Terms
from trustworthy.integrate.watch import readable

Increment = Callable[[float, float, Tensor], Tensor]
"""Function of the beginning and the end of a step and the state where it begins."""
_MOST = 2**23
"""Jumps in a step: near to what float32 no longer counts one by one."""


class Paths(NamedTuple):
    """What drives an equation; None for what it does not have. `integrate(..., **paths._asdict())` takes both."""

    brownian: BrownianPath | None
    jumps: JumpPath | None


def drawn_paths(
    terms: Terms,
    y: Tensor,
    *,
    steps: int,
    interval: Interval = (0.0, 1.0),
    generator: torch.Generator | None = None,
) -> Paths:
    """Draw the paths of `terms` for states of the shape, type and device of `y`; arguments as of `BrownianPath`.

    Two solutions that start from different states and are given the same paths differ by their starts alone, as
    eqs. (2.39) and (2.40) have it.
    """
    place = {"interval": interval, "generator": generator, "dtype": y.dtype, "device": y.device}
    brownian = jumps = None
    if terms.has_diffusion:
        brownian = BrownianPath(_motions(terms, y), steps=steps, **place)
    if terms.has_jumps:
        jumps = JumpPath(tuple(y.shape), rate=terms.highest_rate, marks=terms.marks, **place)
    return Paths(brownian, jumps)


def brownian_increments(
    terms: Terms, y: Tensor, h: float, path: BrownianPath | None, generator: torch.Generator | None
) -> Increment | None:
    """dB of a step: of the shape of the state, or (batch, m). None for terms without diffusion."""
    shape = _motions(terms, y)
    _check("brownian", path, "diffusion", terms.has_diffusion, shape)
    if not terms.has_diffusion:
        return None
    if path is not None:
        return lambda start, end, y: path(start, end)
    root, dtype, device = math.sqrt(h), y.dtype, y.device
    home = device if generator is None else generator.device

    def increment(start: float, end: float, y: Tensor) -> Tensor:
        return torch.normal(0.0, root, shape, generator=generator, dtype=dtype, device=home).to(device)

    return increment


def jump_increments(
    terms: Terms, y: Tensor, h: float, path: JumpPath | None, generator: torch.Generator | None
) -> Increment | None:
    """Sum of the marks of the jumps in a step; broadcasts against the state. None for terms without jumps."""
    _check("jumps", path, "jumps", terms.has_jumps, tuple(y.shape))
    if not terms.has_jumps:
        return None
    highest, varies = terms.highest_rate, callable(terms.rate)
    if path is not None:
        if varies:
            return lambda start, end, y: path(start, end, share=_rates(terms, start, y) / highest)
        return lambda start, end, y: path(start, end)
    if not highest * h <= _MOST:
        raise InvalidInput(
            f"rate overflows: {highest:g} is {highest * h:g} jumps in a step of {h:g}; take a lower rate, more steps, "
            "or a diffusion in place of so many jumps."
        )
    ones, home = (len(y), *[1] * (y.ndim - 1)), y.device if generator is None else generator.device
    # Counts of half precision end at 2,048, and there is no binomial draw for them.
    dtype = torch.promote_types(y.dtype, torch.float32)
    means = torch.full(ones, highest * h, dtype=dtype, device=y.device)

    def increment(start: float, end: float, y: Tensor) -> Tensor:
        expected = _rates(terms, start, y).reshape(ones).to(dtype) * h if varies else means
        counts = torch.poisson(expected.to(home), generator=generator)
        return terms.marks.total(counts, tuple(y.shape), generator).to(y.device, y.dtype)

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


def _motions(terms: Terms, y: Tensor) -> tuple[int, ...]:
    """Shape of an increment of the Brownian motion."""
    return tuple(y.shape) if terms.brownian_motions is None else (len(y), terms.brownian_motions)


def _check(argument: str, path: Path | None, term: str, needed: bool, shape: tuple[int, ...]) -> None:
    if path is not None and not needed:
        raise InvalidInput(f"{argument} must be None for terms without {term}, got a path; leave it out.")
    if path is not None and path.shape != shape:
        raise InvalidInput(f"{argument} must have the shape {shape}, got {path.shape}; make the path with that shape.")
