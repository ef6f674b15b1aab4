"""What networks of texts share: which rows are words, and one vector for all words of a text.

A text is the vectors of its words, (words, width). A row of zeros is no word: padding, or a word that was taken out.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


def words_first(
    x: Float[Tensor, "n words width"],
) -> tuple[Float[Tensor, "n longest width"], Bool[Tensor, "n longest"]]:
    """The words of each text without the gaps between them, in their order, and which rows are words.

    There are as many rows as the longest text has words, one at least, so padding costs nothing.
    """
    if x.shape[1] == 0:
        x = nn.functional.pad(x, (0, 0, 0, 1))
    is_word = (x != 0).any(-1)
    longest = max(int(is_word.sum(1).amax()), 1) if len(x) else 1
    order = is_word.byte().argsort(dim=1, descending=True, stable=True)[:, :longest]
    return x.gather(1, order[..., None].expand(-1, -1, x.shape[2])), is_word.gather(1, order)


def largest(x: Float[Tensor, "n words width"], is_word: Bool[Tensor, "n words"]) -> Float[Tensor, "n width"]:
    """The largest value among the words of each text; zeros for a text without a word."""
    low = torch.finfo(x.dtype).min
    return x.masked_fill(~is_word[..., None], low).amax(1).where(is_word.any(1, keepdim=True), 0.0)
