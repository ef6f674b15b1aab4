"""Figure 7.2: the most relevant superpixels of photographs, and how compact they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reproduce.ch7.figure_7_1 import tiled
from reproduce.ch7.judged import explained, methods_of
from reproduce.ch7.suites import BUDGETS, suite
from reproduce.runner import Setting
from reproduce.store import Measured

SHARE = 0.2


def cells(options: dict[str, Any]) -> list[str]:
    """One cell."""
    return ["imagenet"]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Spread of the most relevant fifth of the superpixels, of each method, and the pictures."""
    return list(_measured(cell, setting))


def _measured(cell: str, setting: Setting) -> Iterator[Measured]:
    scale = setting.options["budget"]
    rows = suite(cell, BUDGETS[scale][cell])
    present = rows.groups.present
    few = (SHARE * present.sum(1) + 0.5).floor().clamp_min(1)
    kept = torch.arange(present.shape[1]) < few[:, None]
    shown = [[_rgb(image) for image in rows.x]]
    for method in methods_of(cell, setting.options["methods"]):
        order = torch.from_numpy(explained(cell, scale, method, setting.seed).orders["complement"])
        masks = rows.groups.free(torch.zeros_like(present).scatter_(1, order, kept))[:, 0]
        yield Measured(name=f"{cell}.{method}", value=round(float(np.mean([_spread(mask) for mask in masks])), 5))
        shown.append([_rgb(image * (0.15 + 0.85 * mask)) for image, mask in zip(rows.x, masks, strict=True)])
    yield Measured(name=f"{cell}.picture", value=None, conditions={"png": tiled(shown, 1)})


def _spread(mask: Tensor) -> float:
    """Root mean squared distance of the chosen pixels from their middle, over the side of the image."""
    places = mask.nonzero().double()
    return float((places - places.mean(0)).square().sum(1).mean().sqrt()) / len(mask)


def _rgb(image: Tensor) -> np.ndarray:
    return (255 * image).byte().movedim(0, -1).numpy()
