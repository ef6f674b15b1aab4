"""The paths that an equation needs, in one call."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from trustworthy.integrate.brownian import BrownianPath
from trustworthy.integrate.grid import Interval
from trustworthy.integrate.jumps import JumpPath
from trustworthy.integrate.terms import Terms


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
    shape = tuple(y.shape)
    place = {"interval": interval, "generator": generator, "dtype": y.dtype, "device": y.device}
    brownian = jumps = None
    if terms.has_diffusion:
        mixed = terms.brownian_motions
        brownian = BrownianPath(shape if mixed is None else (shape[0], mixed), steps=steps, **place)
    if terms.has_jumps:
        jumps = JumpPath(shape, rate=terms.highest_rate, marks=terms.marks, **place)
    return Paths(brownian, jumps)
