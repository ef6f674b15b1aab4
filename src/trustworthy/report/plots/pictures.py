"""Inputs as PNG data URIs: pictures, amplified differences, maps of saliency; pixels stay pixels, CSS scales them."""

from __future__ import annotations

import base64
import io
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Bool, Float, Num
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.image import imsave
from numpy.typing import NDArray

LARGEST = 128  # px; larger pictures are thinned, a page of photographs would otherwise weigh megabytes

_NO_METADATA: Any = {"Software": None}  # pictures must not change with the version of matplotlib
SIGNED = LinearSegmentedColormap.from_list("signed", ["#0072b2", "#ffffff", "#d55e00"])  # Okabe-Ito blue, vermilion

_OUTLINE = np.array([0.84, 0.37, 0.0])  # vermilion


def picture_png(image: Num[np.ndarray, "c h w"]) -> str:
    """An image with values in [0, 1] as a data URI: one channel grey, three colour, any other number their mean."""
    pixels = np.clip(np.nan_to_num(thinned(image)), 0.0, 1.0)
    colour = pixels if len(pixels) == 3 else np.repeat(pixels.mean(0, keepdims=True), 3, axis=0)
    return data_uri(colour.transpose(1, 2, 0))


def difference_png(
    original: Num[np.ndarray, "c h w"], adversarial: Num[np.ndarray, "c h w"], amplification: float
) -> str:
    """What an attack changed, times `amplification`, around one half: 0.5 / eps uses the whole range of colours.

    Blue where darker, white where equal, vermilion where brighter; three channels are colours around mid-grey instead.
    """
    difference = amplification * np.nan_to_num(thinned(adversarial) - thinned(original))
    shifted = np.clip(0.5 + difference, 0.0, 1.0)
    if len(shifted) == 3:
        return data_uri(shifted.transpose(1, 2, 0))
    return data_uri(SIGNED(shifted.mean(0))[..., :3])


def saliency_png(saliency: Num[np.ndarray, "h w"]) -> str:
    """A map of influence, scaled to its own maximum, in cividis: dark none, bright the strongest of this picture."""
    strength = np.abs(np.nan_to_num(thinned(saliency[None])[0]))
    scaled = strength / max(float(strength.max(initial=0.0)), np.finfo(float).tiny)
    return data_uri(mpl.colormaps["cividis"](scaled)[..., :3])


def field_png(image: Num[np.ndarray, "c h w"], mask: Bool[np.ndarray, "h w"] | None = None) -> str:
    """An image of any units, from its darkest to its brightest but for a hundredth of its pixels; `mask` outlined."""
    pixels = np.nan_to_num(thinned(image))
    low, high = np.percentile(pixels, [0.5, 99.5])
    grey = np.clip((pixels - low) / max(float(high - low), np.finfo(float).tiny), 0.0, 1.0)
    colour = grey if len(grey) == 3 else np.repeat(grey.mean(0, keepdims=True), 3, axis=0)
    return data_uri(_outlined(colour.transpose(1, 2, 0), mask))


def uncertainty_png(uncertainty: Num[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"] | None = None) -> str:
    """A map of what is uncertain, in cividis up to its highest values but for a hundredth; `mask` outlined."""
    strength = np.nan_to_num(thinned(uncertainty[None])[0])
    highest = max(float(np.percentile(strength, 99.0)), np.finfo(float).tiny)
    return data_uri(_outlined(mpl.colormaps["cividis"](np.clip(strength / highest, 0.0, 1.0))[..., :3], mask))


def _outlined(rgb: NDArray[np.float64], mask: Bool[np.ndarray, "h w"] | None) -> NDArray[np.float64]:
    """Vermilion where a pixel outside of `mask` touches it."""
    if mask is None:
        return rgb
    inside = np.pad(thinned(mask[None].astype(np.uint8))[0] > 0, 1)
    near = inside[:-2, 1:-1] | inside[2:, 1:-1] | inside[1:-1, :-2] | inside[1:-1, 2:]
    return np.where((near & ~inside[1:-1, 1:-1])[..., None], _OUTLINE, rgb)


def thinned(image: Num[np.ndarray, "c h w"]) -> Float[np.ndarray, "c small_h small_w"]:
    step = -(-max(image.shape[1:]) // LARGEST)
    return image[:, ::step, ::step].astype(np.float64)


def data_uri(rgb: NDArray[np.float64]) -> str:
    stream = io.BytesIO()
    imsave(stream, rgb, format="png", metadata=_NO_METADATA)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
