"""Figure 7.4: why a digit is not read as one class, and why not as another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from reproduce.ch7.figure_7_1 import tiled
from reproduce.ch7.judged import targeted
from reproduce.ch7.suites import BUDGETS, suite
from reproduce.runner import Setting
from reproduce.store import Measured

SHARE = 0.2


def cells(options: dict[str, Any]) -> list[str]:
    """One cell."""
    return ["mnist"]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Overlap of the most relevant fifth of the pixels: for two targets, and for one target under two seeds."""
    return list(_measured(cell, setting))


def _measured(cell: str, setting: Setting) -> Iterator[Measured]:
    scale, shown = setting.options["budget"], setting.options["shown"]
    rows = suite(cell, BUDGETS[scale][cell])
    x = rows.x[:shown]
    with torch.no_grad():
        rivals = rows.model(x).argsort(dim=1, descending=True)[:, 1:3]
    first, second = (_top(targeted(cell, scale, rivals[:, k], setting.seed)) for k in range(2))
    again = _top(targeted(cell, scale, rivals[:, 0], setting.seed + 1))
    yield Measured(name=f"{cell}.chance", value=SHARE)
    yield Measured(name=f"{cell}.targets", value=_overlap(first, second))
    yield Measured(name=f"{cell}.seeds", value=_overlap(first, again))
    grey = [np.repeat((255 * image[0]).byte().numpy()[..., None], 3, -1) for image in x]
    marked = [[_marked(image, top) for image, top in zip(grey, tops, strict=True)] for tops in (first, second)]
    said = {str(k): [int(rows.y[k]), *rivals[k].tolist()] for k in range(shown)}
    yield Measured(name=f"{cell}.picture", value=None, conditions={"png": tiled([grey, *marked]), "classes": said})


def _top(scores: np.ndarray) -> np.ndarray:
    return np.argsort(-scores, axis=1, kind="stable")[:, : round(SHARE * scores.shape[1])]


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    shared = [len(np.intersect1d(a, b)) / len(a) for a, b in zip(one, other, strict=True)]
    return round(float(np.mean(shared)), 5)


def _marked(image: np.ndarray, top: np.ndarray) -> np.ndarray:
    drawn = (image // 2).reshape(-1, 3)
    drawn[top] = (drawn[top] // 2) + np.array([128, 40, 30], np.uint8)
    return drawn.reshape(image.shape)
