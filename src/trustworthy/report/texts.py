"""Texts: what is audited are the embeddings of their tokens, since a word itself cannot move a little.

`audit` calls it with a table of one column of words and a model that reads texts; what comes out are examples like any
others, of shape (n, tokens, width) with zeros for padding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from trustworthy.core.errors import InvalidInput, leaving_out
from trustworthy.datasets.columns import listed
from trustworthy.models import ReadsTexts
from trustworthy.report.domain import texts
from trustworthy.report.rows import Examples


def embedded(examples: Examples, models: Mapping[str, Any]) -> Examples:
    """The examples as the embeddings of their tokens where a model reads texts; as they are where none does.

    Raises
    ------
    InvalidInput : there is another model beside it, or the data are not one column of texts.
    """
    readers = {name: model for name, model in models.items() if isinstance(model, ReadsTexts)}
    if not readers:
        return examples
    name, reader = next(iter(readers.items()))
    if len(models) > 1:
        raise InvalidInput(
            f"{name} reads texts, in embeddings of its own, on which no other model can be measured; audit it alone."
        )
    x = reader.embed(written(name, examples))
    return replace(examples, x=x.cpu(), domain=texts(x.cpu()), columns=(), features=(), feature_names=())


def written(name: str, examples: Examples) -> list[str]:
    """The texts of the only column."""
    words = [column for column in examples.columns if column.kind == "category"]
    if len(examples.columns) != 1 or not words or not examples.decode:
        beside = [column.name for column in examples.columns if column not in words]
        remedy = f"leave out the others with {leaving_out(beside or [column.name for column in words])}"
        found = f"the columns {listed(examples.feature_names)}" if examples.columns else "numbers without texts"
        raise InvalidInput(
            f"{name} reads texts, so the data must be one column of texts beside the label, got {found}; "
            f"{remedy if words else 'give a table (.csv, .parquet) of the texts'}."
        )
    column = examples.decode(examples.x).iloc[:, 0]
    odd = [
        row for row, text in zip(examples.rows, column, strict=True) if not isinstance(text, str) or not text.strip()
    ]
    if odd:
        raise InvalidInput(
            f"column {str(words[0].name)!r} must hold a text in every row, but {len(odd)} have none, the first in row "
            f"{odd[0]} (counted from 0); leave those rows out."
        )
    return list(column)
