"""Images side by side as one PNG, for the pages of figures."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

ZOOM, GAP = 2, 4


def grey(images: np.ndarray) -> list[Image.Image]:
    """Images (n, 1, height, width), scaled together from their 0.5 to their 99.5 % point, twice as large."""
    low, high = np.percentile(images, (0.5, 99.5))
    scaled = (255 * np.clip((images - low) / max(high - low, 1e-9), 0, 1)).round().astype(np.uint8)
    return [
        Image.fromarray(image[0]).convert("RGB").resize((ZOOM * image.shape[2], ZOOM * image.shape[1]), 0)
        for image in scaled
    ]


def panel(columns: list[list[Image.Image]]) -> Image.Image:
    """Columns of images on white."""
    width, height = columns[0][0].size
    whole = Image.new("RGB", (len(columns) * (width + GAP) - GAP, len(columns[0]) * (height + GAP) - GAP), "white")
    for at, column in enumerate(columns):
        for row, image in enumerate(column):
            whole.paste(image, (at * (width + GAP), row * (height + GAP)))
    return whole


def png(image: Image.Image) -> str:
    """The picture as text, in greys and red: records are text files."""
    stream = io.BytesIO()
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for level in range(32) for value in 3 * [255 * level // 31]] + [255, 0, 0])
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(stream, format="png", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()
