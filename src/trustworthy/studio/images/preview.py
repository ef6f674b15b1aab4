"""Pictures of 8 bits for the pages."""

from __future__ import annotations

import imagecodecs
import numpy as np


def preview(image: np.ndarray, low: float, high: float, side: int | None = None) -> bytes:
    """A PNG: grey, or in colours where there are three channels.

    image : (height, width) or (channels, height, width); of other numbers of channels the first one is shown.
    low, high : values shown black and white; what is outside is cut off. Where they are equal all is black.
    side : pixels of the longer side at most; every k-th pixel of larger images is shown. None for all.
    """
    channels = image[None] if image.ndim == 2 else image
    step = 1 if side is None else max(1, -(-max(channels.shape[1:]) // side))
    colours = channels if len(channels) == 3 else channels[:1]
    shown = colours[:, ::step, ::step].astype(np.float64).transpose(1, 2, 0)
    share = (shown - low) / (high - low) if high > low else np.zeros_like(shown)
    grey = np.rint(np.clip(np.nan_to_num(share), 0, 1) * 255).astype(np.uint8)
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(grey if len(colours) == 3 else grey[..., 0])))
