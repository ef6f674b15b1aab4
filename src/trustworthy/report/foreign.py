"""Rows that a model was never made for: noise, strong corruptions, mixed and far rows, another data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from trustworthy.core import seeds
from trustworthy.core.errors import DataError, InvalidInput, MissingPackage
from trustworthy.datasets.corruptions import CORRUPTIONS, corrupt
from trustworthy.report.case import Case
from trustworthy.report.corrupted import scale_of
from trustworthy.report.kind import NotApplicable
from trustworthy.report.rows import draw_examples, read_data

FAR = 10.0
"""How far a feature of a far row is moved, in its standard deviations."""
Rows = Int[np.ndarray, " n"]


def foreign_rows(case: Case, name: str, rows: Rows) -> Float[Tensor, "n *shape"]:
    """As many foreign rows as `rows`, the same for every model; of a data set with fewer rows, all of it.

    name : one of `FOREIGN`, or what `datasets.read` takes as text. Raises NotApplicable, with the reason.
    """
    if name not in FOREIGN:
        return _of_a_data_set(case, name, len(rows))
    kind, made = FOREIGN[name]
    if kind != case.examples.domain.kind:
        raise NotApplicable(f"{name} is for data of the kind {kind}.")
    return made(case, case.examples.x[rows], seeds.numpy_generator(case.seed, "ood", name))


def _noise(case: Case, x: Tensor, random: np.random.Generator) -> Tensor:
    """Pixels drawn evenly between black and white."""
    return torch.from_numpy(random.random(tuple(x.shape))).to(x)


def _corruptions(case: Case, x: Tensor, random: np.random.Generator) -> Tensor:
    """Each corruption at severity 5, on as many of the rows as every other."""
    scale, out = scale_of(x), x.clone()
    for place, name in enumerate(CORRUPTIONS):
        if len(some := x[place :: len(CORRUPTIONS)]):
            out[place :: len(CORRUPTIONS)] = corrupt(some, name, 5, random, scale=scale)
    return out


def _shuffled(case: Case, x: Tensor, random: np.random.Generator) -> Tensor:
    """Each column in an order of its own: every value is one that was seen, no two belong together."""
    orders = torch.from_numpy(np.stack([random.permutation(len(x)) for _ in range(x.shape[1])], axis=1))
    return x.gather(0, orders)


def _far(case: Case, x: Tensor, random: np.random.Generator) -> Tensor:
    """Every quantity moved by `FAR` standard deviations, up or down."""
    domain = case.examples.domain
    assert domain.spread is not None  # of a table
    movable = torch.ones(x.shape[1], dtype=torch.bool) if domain.movable is None else domain.movable
    if not bool(movable.any()):
        raise NotApplicable("no column is a quantity that could be far away.")
    signs = torch.from_numpy(random.choice([-1.0, 1.0], tuple(x.shape))).to(x)
    moved = x + FAR * domain.spread.to(x) * signs
    if domain.whole is not None:
        moved = moved.where(~domain.whole, moved.round())
    return moved.where(movable, x)


FOREIGN: dict[str, tuple[str, Callable[[Case, Tensor, np.random.Generator], Tensor]]] = {
    "noise": ("image", _noise), "corruptions": ("image", _corruptions), "shuffled": ("table", _shuffled),
    "far": ("table", _far),
}  # fmt: skip
"""The foreign sets that are made of the data itself: of which data, and how."""


def _of_a_data_set(case: Case, name: str, rows: int) -> Float[Tensor, "n *shape"]:
    ours, of_pictures = case.examples, case.examples.domain.kind == "image"
    size = {"size": ours.x.shape[-1]} if of_pictures and Path(name).is_dir() else {}
    try:
        theirs = draw_examples(read_data(name, rows, case.seed, **size), rows, case.seed)
    except (InvalidInput, DataError, MissingPackage) as error:
        raise NotApplicable(f"the foreign set {name!r} cannot be read: {str(error).rstrip('.')}.") from error
    if theirs.x.shape[1:] != ours.x.shape[1:] or theirs.columns != ours.columns:
        raise NotApplicable(
            f"the foreign set {name!r} has rows of shape {tuple(theirs.x.shape[1:])}, the data of "
            f"{tuple(ours.x.shape[1:])}, or other columns; give one of the same, or a folder of pictures, which are "
            "read at the size of the data."
        )
    return theirs.x.to(ours.x.dtype)
