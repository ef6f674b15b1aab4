"""Figure 7.1: the most relevant fifth of the pixels of digits, and how many of them are black."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from reproduce.ch7.judged import explained, methods_of
from reproduce.ch7.suites import BUDGETS, suite
from reproduce.runner import Setting
from reproduce.store import Measured

SHARE, ZOOM, GAP = 0.2, 3, 4


def cells(options: dict[str, Any]) -> list[str]:
    """One cell."""
    return ["mnist"]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Share of black pixels among the most relevant fifth, of each method, and the pictures."""
    return list(_measured(cell, setting))


def _measured(cell: str, setting: Setting) -> Iterator[Measured]:
    scale = setting.options["budget"]
    x = suite(cell, BUDGETS[scale][cell]).x[:, 0].numpy()
    black = x.reshape(len(x), -1) == 0
    yield Measured(name=f"{cell}.all", value=round(float(black.mean()), 5))
    columns = [_grey(image) for image in x[: setting.options["shown"]]]
    rows = [columns]
    for method in methods_of(cell, setting.options["methods"]):
        order = explained(cell, scale, method, setting.seed).orders["complement"]
        top = order[:, : round(SHARE * order.shape[1])]
        value = np.take_along_axis(black, top, 1).mean()
        yield Measured(name=f"{cell}.{method}", value=round(float(value), 5))
        rows.append([_marked(image, chosen) for image, chosen in zip(x[: len(columns)], top, strict=False)])
    yield Measured(name=f"{cell}.picture", value=None, conditions={"png": tiled(rows)})


def _grey(image: np.ndarray) -> np.ndarray:
    return np.repeat((255 * image).astype(np.uint8)[..., None], 3, -1)


def _marked(image: np.ndarray, top: np.ndarray) -> np.ndarray:
    """The digit, darkened, with white pixels that are relevant in red and black ones in blue."""
    drawn = (_grey(image) // 2).reshape(-1, 3)
    bright = image.reshape(-1)[top] > 0
    drawn[top[bright]], drawn[top[~bright]] = (230, 60, 50), (60, 120, 230)
    return drawn.reshape(*image.shape, 3)


def tiled(rows: list[list[np.ndarray]], zoom: int = ZOOM) -> str:
    """Rows of pictures on white, as the text of a PNG."""
    height, width = rows[0][0].shape[:2]
    sides = (count * (zoom * side + GAP) - GAP for count, side in ((len(rows), height), (len(rows[0]), width)))
    whole = np.full((*sides, 3), 255, np.uint8)
    for down, row in enumerate(rows):
        for along, image in enumerate(row):
            top, left = down * (zoom * height + GAP), along * (zoom * width + GAP)
            whole[top : top + zoom * height, left : left + zoom * width] = image.repeat(zoom, 0).repeat(zoom, 1)
    stream = io.BytesIO()
    Image.fromarray(whole).quantize(64, dither=Image.Dither.NONE).save(stream, format="png", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()
