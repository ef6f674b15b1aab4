"""Images with classes: training, validation and test rows that no model of another scale or defence changes."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reproduce.data import without_folder
from reproduce.runner import NotRun
from trustworthy import datasets

PUBLISHED = {"cifar10": "cifar-10-batches-bin"}
"""Files that hold the pixels of the dissertation, where others of the same name do not."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Images:
    """Images in [0, 1], float32 (n, channels, side, side), and classes; `held` are the rows that choose an epoch."""

    source: str
    x: Tensor = field(repr=False)
    y: Tensor = field(repr=False)
    held_x: Tensor = field(repr=False)
    held_y: Tensor = field(repr=False)
    test_x: Tensor = field(repr=False)
    test_y: Tensor = field(repr=False)

    @property
    def shape(self) -> dict[str, int]:
        """What a network needs to know."""
        classes = 1 + int(max(self.y.max(), self.test_y.max()))
        return {"channels": self.x.shape[1], "classes": classes, "image_size": self.x.shape[2]}


@functools.lru_cache(maxsize=3)
def images(
    name: str,
    *,
    rows: int | None = None,
    held: int = 0,
    points: int | None = None,
    side: int | None = None,
    published: bool = False,
) -> Images:
    """A sample of a data set, the same at every call: `held` rows of the training set choose epochs or settings.

    side : images are brought to it by the mean of what falls into a pixel, or by repeating pixels; None: as they are.
    published : refuse pixels other than the published ones. Raises NotRun.
    """
    limit = None if rows is None or points is None else max(rows + held, points)
    found = datasets.load(name, limit=limit)
    if published and PUBLISHED.get(name, "") not in found.source:
        raise NotRun(f"the files of {name} here are not the published ones, {PUBLISHED[name]} in TRUSTWORTHY_DATA.")
    order, test = (np.random.RandomState(0).permutation(len(y)) for y in (found.y_train, found.y_test))
    chosen = {"": order[held:][:rows], "held_": order[:held]}
    parts = {f"{at}{part}": _tensor(part, getattr(found, f"{part}_train")[row], side) for at, row in chosen.items()
             for part in "xy"}  # fmt: skip
    parts |= {f"test_{part}": _tensor(part, getattr(found, f"{part}_test")[test[:points]], side) for part in "xy"}
    return Images(source=without_folder(found.source), **parts)


def _tensor(part: str, values: Any, side: int | None) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return tensor if part == "y" or side is None else torch.nn.functional.interpolate(tensor, size=side, mode="area")
