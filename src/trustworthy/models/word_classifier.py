"""A network on vectors of words, with its words: from a text to logits, in one module that is saved as a whole."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.models.posterior_folder import WORD_CLASSIFIER, Recipe
from trustworthy.models.reads_texts import as_texts

_WORD = re.compile(r"\w+")


def split_words(text: str) -> list[str]:
    """The words of a text in lower case: runs of letters, digits and underscores."""
    return _WORD.findall(text.lower())


class WordClassifier(nn.Module):
    """Vectors of words (n, words, width) to logits; a row of zeros is padding.

    So an attack may move the vectors of words and must leave padding at zero: `free=embeddings != 0`. Words that it
    has no vector for are left out. The vectors are not trained.

    Parameters
    ----------
    network : from such vectors to logits, such as `BiLSTM` or `WordTransformer`.
    words : in lower case, as `split_words` gives them.
    vectors : of the words; none is zero.
    max_words : texts are cut after so many known words, >= 1.
    class_names : in the order of the logits; empty where there are none.

    Raises
    ------
    InvalidInput : a word is there twice, or there are more words than vectors or fewer, or a vector is zero.
    """

    vectors: Tensor

    def __init__(
        self,
        network: nn.Module,
        words: Sequence[str],
        vectors: Float[Tensor, "words width"] | Float[np.ndarray, "words width"],
        *,
        max_words: int = 100,
        class_names: Sequence[str] = (),
    ) -> None:
        self.max_words = checks.integer("max_words", max_words, at_least=1)
        self.words, self.class_names = tuple(words), tuple(class_names)
        self._place = {word: place for place, word in enumerate(self.words)}
        if not len(self._place) == len(self.words) == len(vectors) > 0:
            raise InvalidInput(
                f"words must be as many as vectors, each once, got {len(self.words):,} words, {len(self._place):,} of "
                f"them different, and {len(vectors):,} vectors; use those that word_vectors() gives."
            )
        super().__init__()
        self.network = network
        self.register_buffer("vectors", torch.as_tensor(vectors))
        zero = (self.vectors == 0).all(1).nonzero().flatten().tolist()
        if zero:
            raise InvalidInput(
                f"vectors must not be zero, which is padding, but that of {self.words[zero[0]]!r} is; leave "
                f"{'this word' if len(zero) == 1 else f'these {len(zero)} words'} out."
            )

    def extra_repr(self) -> str:
        """The part of the description that the modules inside do not say."""
        return f"{len(self.words)} words, max_words={self.max_words}"

    def words_of(self, texts: Sequence[str]) -> list[list[str]]:
        """The known words of each text, in their order, up to `max_words`.

        Raises
        ------
        InvalidInput : a text has none.
        """
        found = []
        for number, text in enumerate(as_texts(texts)):
            found.append([word for word in split_words(text) if word in self._place][: self.max_words])
            if not found[-1]:
                raise InvalidInput(
                    f"texts must hold a word that the model knows (it knows {len(self.words):,}, {self.words[0]!r} "
                    f"among them), and text {number} of {len(texts)} (counted from 0), {text[:80]!r}, has none; leave "
                    "it out."
                )
        return found

    def word_groups(self, texts: Sequence[str]) -> Int[Tensor, "n words"]:
        """The number of the word at each place, counted from 0; -1 for padding."""
        lengths = torch.tensor([len(words) for words in self.words_of(texts)], device=self.vectors.device)
        places = torch.arange(int(lengths.max()), device=lengths.device)
        return places.where(places < lengths[:, None], -1)

    def embed(self, texts: Sequence[str]) -> Float[Tensor, "n words width"]:
        """Vectors of the known words, filled up with zeros."""
        rows = [self.vectors[[self._place[word] for word in words]] for words in self.words_of(texts)]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True)

    def forward(self, embeddings: Float[Tensor, "n words width"]) -> Float[Tensor, "n classes"]:
        return self.network(embeddings)

    def recipe(self, network: Recipe) -> Recipe:
        """How `save_posterior` writes this model, where `network`, one of `trustworthy.nn`, says it of its network."""
        options = {
            "network": vars(network), "words": self.words, "width": self.vectors.shape[1],
            "max_words": self.max_words, "class_names": self.class_names,
        }  # fmt: skip
        return Recipe(WORD_CLASSIFIER, options)


def word_classifier(network: Mapping[str, Any], words: Sequence[str], width: int, **options: Any) -> WordClassifier:
    """What a recipe builds: a classifier whose vectors, and whose network's weights, are still to be read."""
    steps = tuple((name, given) for name, given in network["transforms"])
    built = Recipe(network["factory"], network["options"], steps).build()
    return WordClassifier(built, words, torch.ones(len(words), width), **options)
