"""A small transformer for texts of word vectors."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.nn.backbones.words import largest, words_first


class _Layer(nn.Module):
    """Attention between the words, then two linear layers on each, both around a shortcut and after a LayerNorm."""

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.asked = nn.LayerNorm(hidden), nn.Linear(hidden, 3 * hidden)
        self.answer = nn.Linear(hidden, hidden)
        self.each = nn.Sequential(
            nn.LayerNorm(hidden), nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, hidden)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "n words hidden"], is_seen: Bool[Tensor, "n words"]
    ) -> Float[Tensor, "n words hidden"]:
        parts = self.asked(self.norm(x)).unflatten(2, (3, self.heads, -1))  # (n, words, 3, heads, hidden / heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        found = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=is_seen[:, None, None])
        x = x + self.dropout(self.answer(found.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.each(x))


class WordTransformer(nn.Module):
    """Transformer layers on a text of word vectors, the largest value of each unit over the words, a linear layer.

    Rows of zeros are no words, wherever they are: they change nothing and have no gradient, and the positions of the
    others do not count them. A text without a word gives the bias of the linear layer. A text may be of any length:
    positions are sines and cosines.

    Parameters
    ----------
    classes : number of logits, >= 2.
    width : numbers in the vector of a word, >= 1.
    hidden : units inside, an even multiple of `heads`.
    layers, heads : of attention, >= 1.
    dropout : share of what each layer adds that training drops, in [0, 1].

    References
    ----------
    Vaswani et al. (2017), Attention is all you need.
    """

    def __init__(
        self, *, classes: int, width: int = 50, hidden: int = 64, layers: int = 2, heads: int = 4, dropout: float = 0.0
    ) -> None:
        checks.integer("classes", classes, at_least=2)
        checks.integer("width", width, at_least=1)
        checks.integer("layers", layers, at_least=1)
        checks.integer("heads", heads, at_least=1)
        checks.real("dropout", dropout, at_least=0.0, at_most=1.0)
        if checks.integer("hidden", hidden, at_least=2) % 2 or hidden % heads:
            raise InvalidInput(f"hidden must be even and a multiple of heads ({heads}), got {hidden}; round it up.")
        super().__init__()
        self.enter = nn.Linear(width, hidden)
        self.layers = nn.ModuleList(_Layer(hidden, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: Float[Tensor, "n words width"]) -> Float[Tensor, "n classes"]:
        words, is_word = words_first(x)
        is_seen = is_word.clone()
        is_seen[:, 0] = True  # of a text without a word too, which some kernels answer with NaN
        inner = self.enter(words)
        inner = inner + _positions(inner)
        for layer in self.layers:
            inner = layer(inner, is_seen)
        return self.head(largest(self.norm(inner), is_word))


def _positions(x: Float[Tensor, "n words hidden"]) -> Float[Tensor, "words hidden"]:
    """Sines and cosines of wave lengths from 2 pi to 10,000 times that."""
    half = x.shape[2] // 2
    rates = torch.exp(-math.log(10_000) / half * torch.arange(half, device=x.device, dtype=x.dtype))
    angles = torch.arange(x.shape[1], device=x.device, dtype=x.dtype)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)
