"""The largest radius that a method proves, for each example of a batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Prover = Callable[[Int[Tensor, " some"], Float[Tensor, " some"]], Bool[Tensor, " some"]]
"""Rows of the batch and a radius for each, to whether it is proved there."""

_TRIALS = 100  # from any start, enough to double to max_eps or to halve to nothing


def largest_proved(
    proves: Prover, start: Float[Tensor, " batch"], *, max_eps: float, tolerance: float
) -> Float[Tensor, " batch"]:
    """Double from `start` while it is proved, then bisect until the bracket is narrower than `tolerance` of its end.

    Returns the proved end of the bracket: a radius that was proved itself, at most `max_eps`, or 0. Whether a proof
    at one radius follows from one at a larger radius does not matter. Examples leave as soon as they are done.
    """
    proved, refuted = torch.zeros_like(start), torch.full_like(start, torch.inf)
    trial = start.clamp_max(max_eps)
    for _ in range(_TRIALS):
        narrow = (refuted - proved <= tolerance * refuted) & refuted.isfinite()
        rows = (~narrow & (proved < max_eps) & (trial > 0)).nonzero().flatten()
        if not len(rows):
            break
        holds = proves(rows, trial[rows])
        proved[rows[holds]] = trial[rows[holds]]
        refuted[rows[~holds]] = trial[rows[~holds]]
        trial = torch.where(refuted.isinf(), (2 * proved).clamp_max(max_eps), (proved + refuted) / 2)
    return proved
