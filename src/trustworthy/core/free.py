"""Masks of what an adversary may change: the coordinates of each example that are free, the others being held.

Every function takes None for "all are free", and then does nothing.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trustworthy.core.errors import InvalidInput

Examples = Float[Tensor, "batch *shape"]
Free = Bool[Tensor, "batch *shape"] | None
"""Which coordinates of each example may change; None for all."""


def as_free(free: object, x: Tensor) -> Tensor:
    """Check a mask for the batch `x`: boolean, of its shape, with something free in every example."""
    given = torch.from_numpy(free) if isinstance(free, np.ndarray) and free.dtype == bool else free
    if not isinstance(given, Tensor) or given.dtype != torch.bool:
        kind = getattr(free, "dtype", type(free).__name__)
        raise InvalidInput(
            f"free must be boolean (batch, *shape), true where x may change, got {kind}; pass mask != 0."
        )
    if given.shape != x.shape:
        raise InvalidInput(
            f"free must have the shape of x, {tuple(x.shape)}, got {tuple(given.shape)}; one mask for all examples is "
            "mask.expand(x.shape)."
        )
    held = (~given.flatten(1).any(1)).nonzero().squeeze(1).tolist()
    if held:
        raise InvalidInput(
            f"free must leave something free in every example, got nothing free in {len(held)} of {len(x)}, the first "
            f"at row {held[0]}; leave those examples out."
        )
    return given.to(x.device)


def only(free: Free, d: Float[Tensor, "#batch *shape"]) -> Float[Tensor, "_ *shape"]:
    """The moves `d` where they are free, zero elsewhere."""
    return d if free is None else torch.where(free, d, 0.0)


def put_back(free: Free, x: Float[Tensor, "#batch *shape"], origin: Examples) -> Float[Tensor, "_ *shape"]:
    """`x` where it is free, `origin` elsewhere, bit for bit."""
    return x if free is None else torch.where(free, x, origin)


def dimension(free: Free, x: Examples) -> int | Tensor:
    """How many coordinates of each example are free; a whole number where all are, else (batch,) in the type of `x`."""
    return x.shape[1:].numel() if free is None else free.flatten(1).sum(1).to(x.dtype)
