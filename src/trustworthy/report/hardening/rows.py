"""Three parts of the data: rows to train on, rows that choose the epoch, and rows that are audited."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trustworthy.core import seeds
from trustworthy.core.digest import digest
from trustworthy.core.errors import InvalidInput
from trustworthy.datasets import Dataset
from trustworthy.datasets.draw import stratified_rows
from trustworthy.report.columns import Plans, with_categories
from trustworthy.report.domain import Domain
from trustworthy.report.rows import check_finite, draw_examples, group_names, inputs_of, read_data
from trustworthy.report.subject import check_columns

AUDITED = 0.25
"""Share of the rows that are audited, where the source does not say which were not to be trained on."""
CHOOSING = 0.15
"""Share of the training rows that choose the epoch and are not trained on."""
MOST = 1000
"""Rows that choose the epoch at most: they are attacked after each epoch, and tell a share to 1.6 points."""
SPLIT = "Rows split at random"
"""What the provenance says of data that are split here."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Parts:
    """What defences are trained on and audited on; no row is in two parts.

    dataset : its test rows are audited, and its training rows are those of `train` and of `validation`.
    domain : of the audit. x of the two parts is in its attacked units.
    classes : one more than the largest label of any part.
    """

    dataset: Dataset
    domain: Domain
    train: tuple[Float[Tensor, "n *shape"], Int[Tensor, " n"]]
    validation: tuple[Float[Tensor, "v *shape"], Int[Tensor, " v"]]
    classes: int

    @property
    def fingerprint(self) -> str:
        """Hash of the rows to train on and to choose by."""
        return digest(*self.train, *self.validation)


def read_parted(data: Any, rows: int = 0, seed: int = 0, *, train: Any = None, **given: Any) -> Dataset:
    """Read `data` as an audit does; where there are no training rows beside it, its rows are split.

    rows : test rows that are kept of a file where `train` gives the training rows, 0 for all.
    given : `label`, `drop`, `group` and `size` of `datasets.read`.
    """
    dataset = read_data(data, rows if train is not None else 0, seed, train=train, **given)
    return dataset if len(dataset.y_train) else split(dataset, seed)


def split(dataset: Dataset, seed: int) -> Dataset:
    """Keep a quarter of the rows as test rows, classes in proportion; the others become training rows.

    Where `dataset` has groups, they stay whole: rows of one patient are not trained on and audited.
    """
    y, groups = np.asarray(dataset.y_test), dataset.groups
    if groups is None:
        audited, how = apart(y, AUDITED * len(y), seed, "audited"), "classes in proportion"
    else:
        audited, how = _whole(group_names(groups), seed), f"each {dataset.group} whole"
    kept = np.flatnonzero(audited)
    numbers = np.arange(len(y)) if dataset.rows is None else dataset.rows
    told = f"{SPLIT} (seed {seed}), {how}; a quarter is audited."
    return replace(
        dataset, x_train=dataset.x_test[~audited], y_train=dataset.y_test[~audited], x_test=dataset.x_test[kept],
        y_test=dataset.y_test[kept], rows=numbers[kept], available=len(kept),
        groups=None if groups is None else groups[kept], provenance=f"{dataset.provenance} {told}".strip(),
    )  # fmt: skip


def told(dataset: Dataset, rows: int = 0) -> str:
    """How many rows each part has, in one line; `rows` are drawn of those that are left for the audit, 0 for all."""
    trained, left = len(dataset.y_train), len(dataset.y_test)
    audited = f"{rows:,} of {left:,}" if 0 < rows < left else f"{left:,}"
    choosing = max(1, round(_choosing(trained)))
    return f"{trained - choosing:,} rows to train on, {choosing:,} to choose the epoch by, {audited} to audit"


def apart(y: Int[np.ndarray, " n"], count: float, seed: int, name: str) -> Bool[np.ndarray, " n"]:
    """Which rows are among `count` that are drawn, at least one of them and not all, classes in proportion."""
    if len(y) < 2:
        raise InvalidInput(
            f"data must have rows to train on and others to choose the epoch by, got {len(y)}; give more rows."
        )
    chosen = np.zeros(len(y), dtype=bool)
    chosen[stratified_rows(y, max(1, round(count)), seeds.derived_seed(seed, name))] = True
    return chosen


def _choosing(trained: int) -> float:
    return min(CHOOSING * trained, MOST)


def _whole(names: tuple[str, ...], seed: int) -> Bool[np.ndarray, " n"]:
    """Which rows belong to the groups, drawn at random, that come nearest to the share that is audited; not all."""
    _, group, sizes = np.unique(names, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise InvalidInput(
            f"group must name a column with two groups or more, and all rows have {names[0]!r}; leave it out."
        )
    drawn = seeds.numpy_generator(seed, "audited").permutation(len(sizes))
    distance = np.abs(sizes[drawn].cumsum()[:-1] - AUDITED * len(names))
    return np.isin(group, drawn[: distance.argmin() + 1])


def parts(dataset: Dataset, plans: Plans, model: Any, seed: int) -> Parts:
    """The rows in the units in which an audit of `model` attacks them; what cannot be trained on is refused."""
    dataset, plans = with_categories(inputs_of(dataset, {"model": model}), plans)
    audited = draw_examples(dataset, 0, seed, plans)
    own = replace(dataset, x_test=dataset.x_train, y_test=dataset.y_train, rows=None, available=0, groups=None)
    training = draw_examples(own, 0, seed, plans)
    for examples in (audited, training):
        check_columns("the network", examples)
        check_finite(examples.x)
    x, y = audited.domain.attacked(training.x), training.y
    choosing = torch.from_numpy(apart(y.numpy(), _choosing(len(y)), seed, "choosing"))
    return Parts(
        dataset=dataset, domain=audited.domain, train=(x[~choosing], y[~choosing]),
        validation=(x[choosing], y[choosing]), classes=1 + int(torch.cat([y, audited.y]).max()),
    )  # fmt: skip
