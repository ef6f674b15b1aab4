"""Labelled texts by name, as lists of strings."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64

from trustworthy.core.errors import InvalidInput
from trustworthy.datasets.catalog import CATALOG
from trustworthy.datasets.dataset import Inputs
from trustworthy.datasets.loading import load


@dataclass(frozen=True, eq=False, kw_only=True)
class Texts:
    """Training and test texts; labels 0 .. classes-1 in the order of `class_names`. `source` as in `Dataset`."""

    name: str
    train: list[str] = field(repr=False)
    y_train: Int64[np.ndarray, " _"] = field(repr=False)
    test: list[str] = field(repr=False)
    y_test: Int64[np.ndarray, " _"] = field(repr=False)
    class_names: tuple[str, ...]
    source: str


def load_texts(name: str, *, limit: int | None = None) -> Texts:
    """The texts of "newsgroups", "reuters-r8", "reuters-r52", or of a set that is read from local files of texts
    ("yahoo-answers", "glue/sst-2", "race/high"), whose parts are joined by line breaks.

    Parameters
    ----------
    limit : at most this many texts of each split, see `load`.

    Raises
    ------
    InvalidInput : the set holds no texts; and all that `load` raises.
    """
    found = load(f"{name}-texts" if f"{name}-texts" in CATALOG else name, limit=limit)
    if found.x_train.dtype != object:
        raise InvalidInput(f"name must be that of a set of texts, such as newsgroups or reuters-r8, got {name!r}.")
    return Texts(
        name=name, train=_joined(found.x_train), y_train=found.y_train, test=_joined(found.x_test),
        y_test=found.y_test, class_names=found.class_names, source=found.source,
    )  # fmt: skip


def _joined(x: Inputs) -> list[str]:
    return ["\n".join(parts) for parts in np.asarray(x).tolist()]
