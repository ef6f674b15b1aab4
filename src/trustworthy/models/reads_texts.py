"""What a model that reads texts offers to audits and explanations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from trustworthy.core.errors import InvalidInput


@runtime_checkable
class ReadsTexts(Protocol):
    """A classifier of texts, asked at the embeddings of their tokens; a token whose embedding is zero is padding."""

    def embed(self, texts: Sequence[str]) -> Float[Tensor, "n tokens width"]:
        """Embeddings of the tokens of some texts, cut where the model ends, filled up with zeros."""
        ...

    def words_of(self, texts: Sequence[str]) -> list[list[str]]:
        """The words of each text that the model sees, in their order."""
        ...

    def word_groups(self, texts: Sequence[str]) -> Int[Tensor, "n tokens"]:
        """For each token the word of `words_of` that it is a piece of, counted from 0; -1 for padding and marks."""
        ...

    def __call__(self, embeddings: Float[Tensor, "n tokens width"]) -> Float[Tensor, "n classes"]:
        """Logits."""
        ...


def as_texts(texts: Sequence[str]) -> list[str]:
    """The texts as a list. Raises InvalidInput for one text, which Python takes for a row of letters."""
    if isinstance(texts, str):
        raise InvalidInput(f"texts must be a list of texts, got one, {texts[:80]!r}; put it into a list.")
    return list(texts)
