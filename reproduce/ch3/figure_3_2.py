"""Figure 3.2: images and their nearest adversarial examples."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from reproduce.ch3.nearest import fitted, sample
from reproduce.runner import Setting
from reproduce.store import Measured


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a data set."""
    return list(options["data"])


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Share of changed predictions, their sizes, and the picture."""
    verifier, split = fitted(cell, setting)
    x, y = sample(verifier, split, setting.options["points"])
    found = verifier.exact(x, y)
    assert found.perturbation is not None
    moved = x + found.perturbation
    changed = float((verifier.predict(moved) != y).mean())
    return [
        Measured(name=f"{cell}.changed", value=changed, conditions={"points": len(x), "png": _png(x, moved)}),
        Measured(name=f"{cell}.size", value=round(float(found.upper.mean()), 6), unit="mean l2 norm"),
    ]


def _png(above: np.ndarray, below: np.ndarray) -> str:
    side = round(above.shape[1] ** 0.5)
    lines = [np.concatenate(list(rows.reshape(-1, side, side)), axis=1) for rows in (above, below)]
    pixels = (np.clip(np.concatenate(lines), 0, 1) * 255).round().astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(255 - pixels).resize((pixels.shape[1] * 2, pixels.shape[0] * 2), Image.Resampling.NEAREST).save(
        stream, format="png", optimize=True
    )
    return base64.b64encode(stream.getvalue()).decode()
