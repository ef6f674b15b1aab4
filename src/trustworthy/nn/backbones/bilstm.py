"""The bidirectional LSTM that chapter 7 explains on texts."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.nn.backbones.words import largest, words_first


class BiLSTM(nn.Module):
    """An LSTM from each end of a text of word vectors, the largest value of each unit over the words, a linear layer.

    Rows of zeros are no words, wherever they are: they change nothing and have no gradient. A text without a word
    gives the bias of the linear layer.

    Parameters
    ----------
    classes : number of logits, >= 2.
    width : numbers in the vector of a word, >= 1.
    hidden : units of each of the two LSTMs, >= 1.
    dropout : share of the inputs of the linear layer that training drops, in [0, 1].

    References
    ----------
    Graves and Schmidhuber (2005), Framewise phoneme classification with bidirectional LSTM.
    """

    def __init__(self, *, classes: int, width: int = 50, hidden: int = 64, dropout: float = 0.0) -> None:
        checks.integer("classes", classes, at_least=2)
        checks.integer("width", width, at_least=1)
        checks.integer("hidden", hidden, at_least=1)
        checks.real("dropout", dropout, at_least=0.0, at_most=1.0)
        super().__init__()
        # Two, where one could have both directions: that one would need packed sequences, slower by a half in float32
        # and seven times in float64, for its way back to begin at the last word of each text.
        self.onward = nn.LSTM(width, hidden, batch_first=True)
        self.back = nn.LSTM(width, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * hidden, classes)

    def forward(self, x: Float[Tensor, "n words width"]) -> Float[Tensor, "n classes"]:
        words, is_word = words_first(x)
        places = torch.arange(words.shape[1], device=x.device)
        backward = (is_word.sum(1, keepdim=True) - 1 - places) % words.shape[1]  # the last word first, padding last
        reversed_words = words.gather(1, backward[..., None].expand_as(words))
        # cuDNN has no gradient of an LSTM in eval mode, which attacks ask for.
        without = x.is_cuda and not self.training
        with torch.backends.cudnn.flags(enabled=False) if without else nullcontext():
            states = self.onward(words)[0], self.back(reversed_words)[0]
        return self.head(self.dropout(torch.cat([largest(each, is_word) for each in states], 1)))
