"""The data of chapter 1, as its released code prepares them, and random splits into labelled and unlabelled rows."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from reproduce.data import without_folder
from reproduce.runner import NotRun
from trustworthy import datasets
from trustworthy.datasets import tabular

DISTRICTS = 8_000
"""Rows of cadata, drawn from 20,640; how the dissertation drew its own is not said."""
STORIES = 10_000
"""First rows of rcv1, all that the released code reads."""
DIGITS = (1, 7)
REGRESSION = ("cadata", "e2006", "digit-values")


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows:
    """Features (n, d), dense or CSR, and values (n,): classes 0 and 1, or real numbers in [0, 1]."""

    source: str
    x: Any = field(repr=False)
    y: np.ndarray = field(repr=False)
    regression: bool

    @property
    def width(self) -> int:
        """Index of the last column that is not all zero: d, as files of LIBSVM have it."""
        used = np.asarray(abs(self.x).sum(axis=0)).ravel() > 0
        return int(np.flatnonzero(used)[-1]) + 1


@functools.lru_cache(maxsize=2)
def prepared(name: str, seed: int) -> Rows:
    """Load and scale a data set; only the sample of cadata depends on `seed`. Raises NotRun without its files."""
    found = READERS[name](seed) if name in READERS else _classes(name)
    if found.regression:
        low, high = found.y.min(), found.y.max()
        found = replace(found, y=(found.y - low) / (high - low))
    return found


def hidden(rows: Rows, labelled: int, seed: int, limit: int | None = None) -> tuple[Any, np.ndarray, np.ndarray]:
    """Features, values of which all but `labelled` random ones are marked, and the marked ones, of `limit` rows."""
    order = np.random.RandomState(seed).permutation(len(rows.y))[:limit]
    x, y = rows.x[order], rows.y[order]
    marked = y.astype(np.float64) if rows.regression else y.copy()
    marked[labelled:] = np.nan if rows.regression else -1
    return x, marked, y[labelled:]


def _classes(name: str) -> Rows:
    """Training rows of two classes; those of text times 10, as the released code has rcv1."""
    found = datasets.load({"text": "newsgroups-comp-sci"}.get(name, name))
    y = np.asarray(found.y_train)
    if name == "digits":
        kept = np.isin(y, DIGITS)
        x, y = np.asarray(found.x_train)[kept], (y[kept] == DIGITS[0]).astype(np.int64)
        return Rows(source=found.source, x=x.reshape(len(x), -1).astype(np.float64), y=y, regression=False)
    dense = isinstance(found.x_train, np.ndarray)
    x = found.x_train.reshape(len(y), -1).astype(np.float64) if dense else found.x_train * 10.0
    return Rows(source=without_folder(found.source), x=x, y=y, regression=False)


def _cadata(seed: int) -> Rows:
    """A sample of all districts, each column in units of its standard deviation."""
    found = datasets.load("cadata")
    x, y = np.concatenate([found.x_train, found.x_test]), np.concatenate([found.y_train, found.y_test])
    chosen = np.random.RandomState(seed).permutation(len(y))[:DISTRICTS]
    x, y = np.asarray(x)[chosen], y[chosen]
    return Rows(source=without_folder(found.source), x=(x - x.mean(axis=0)) / x.std(axis=0), y=y, regression=True)


def _digit_values(seed: int) -> Rows:
    """The digits as numbers to be predicted: a regression that is always at hand."""
    found = datasets.load("digits")
    x = np.asarray(found.x_train).reshape(len(found.y_train), -1).astype(np.float64)
    return Rows(source=found.source, x=x, y=np.asarray(found.y_train, dtype=np.float64), regression=True)


def _rcv1(seed: int) -> Rows:
    x, y = tabular.libsvm(_place("rcv1"), 47_236)
    return Rows(
        source="local: rcv1_train.binary", x=x[:STORIES] * 10.0, y=(y[:STORIES] > 0).astype(np.int64), regression=False
    )


def _e2006(seed: int) -> Rows:
    """Both parts, less the reports three standard deviations or more from the mean."""
    _place("e2006")
    found = datasets.load("e2006", source="local")
    x = sparse.vstack([found.x_train, found.x_test], format="csr") * 10.0
    y = np.concatenate([found.y_train, found.y_test])
    kept = np.abs(y - y.mean()) < 3 * y.std()
    return Rows(source="local: E2006", x=x[kept], y=y[kept], regression=True)


def _place(name: str) -> Path:
    """The user's file of a set that no package carries."""
    place = datasets.where(name)
    if place is None:
        raise NotRun(f"{name} is in no package registry, and its files are not in the folder TRUSTWORTHY_DATA.")
    return place


READERS = {"cadata": _cadata, "digit-values": _digit_values, "rcv1": _rcv1, "e2006": _e2006}
"""Name -> reader of a seed, for what is no set of two classes from the library."""
