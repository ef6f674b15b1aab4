"""Asking a function that takes exactly so many rows at once about any number of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor


def in_batches_of(
    size: int | None, ask: Callable[[Tensor], Tensor], x: Float[Tensor, "n *shape"]
) -> Shaped[Tensor, "n *outputs"]:
    """Answers of `ask`, which takes `size` rows, None for any number; the last batch is filled up with its last row.

    Right where a row's answer does not depend on the others in its batch.
    """
    if size is None:
        return ask(x)
    parts = []
    for rows in x.split(size):
        filling = rows[-1:].expand(size - len(rows), *rows.shape[1:])
        parts.append(ask(torch.cat([rows, filling]))[: len(rows)])
    return torch.cat(parts)
