"""Figure 5.1: where the naive ensemble is uncertain, in pictures and as precision and recall at k (5.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from reproduce.ch5.maps import scored, told
from reproduce.ch5.models import Spec, asked
from reproduce.ch5.picture import ZOOM, grey, panel, png
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.datasets.pairs import boxes

SHOWN = {"precision": "precision@5%", "recall": "recall@5%", "auroc": "auroc"}


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a test with foreign pixels."""
    return ["impurities", "lncap"]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """How well the pixels are found, how uncertain they are, and the picture."""
    return list(_measured(cell, setting))


def _measured(cell: str, setting: Setting) -> Iterator[Measured]:
    options = setting.options
    spec = Spec(scale=options["budget"], suite=options["suite"], method="naive", seed=setting.seed)
    specs = [replace(spec, seed=setting.seed + k) for k in range(options["seeds"])]
    pairs = spec.data.tests[cell]
    for name, metric in SHOWN.items():
        more = {"png": _picture(spec, cell, options["shown"])} if name == "precision" else {}
        yield told(f"{cell}.{name}", [scored(each)[cell].values[metric] for each in specs], **more)
    spreads = [asked(each, pairs.x).std.mean(1).numpy() for each in specs]
    yield told(f"{cell}.inside", [float(spread[pairs.masks].mean()) for spread in spreads])
    yield told(f"{cell}.outside", [float(spread[~pairs.masks].mean()) for spread in spreads])
    yield Measured(name=f"{cell}.share", value=round(float(pairs.masks.mean()), 6))


def _picture(spec: Spec, cell: str, shown: int) -> str:
    """A row an image: the source with boxes, the truth, the mean, the standard deviation with boxes."""
    pairs = spec.data.tests[cell]
    rows = np.argsort(-pairs.masks.mean((1, 2)), kind="stable")[:shown]
    answers = asked(spec, pairs.x[rows])
    columns = [pairs.x[rows], pairs.y[rows], answers.mean, answers.std]
    images = [grey(column[:, :1].numpy()) for column in columns]
    for images_of in (images[0], images[3]):
        for image, mask in zip(images_of, pairs.masks[rows], strict=True):
            _boxed(image, mask)
    return png(panel(images))


def _boxed(image: Image.Image, mask: np.ndarray) -> None:
    draw = ImageDraw.Draw(image)
    for top, left, bottom, right in boxes(mask):
        draw.rectangle([ZOOM * left, ZOOM * top, ZOOM * right - 1, ZOOM * bottom - 1], outline=(255, 0, 0), width=ZOOM)
