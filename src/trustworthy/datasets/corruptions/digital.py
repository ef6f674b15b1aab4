"""Contrast, elastic transform, pixelation and JPEG compression."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from jaxtyping import Float
from PIL import Image
from scipy import ndimage

Images = Float[np.ndarray, "n c h w"]


def contrast(x: Images, *, factor: float) -> Images:
    """Shrink each channel towards its mean by `factor`."""
    mean = x.mean(axis=(2, 3), keepdims=True)
    return mean + factor * (x - mean)


def elastic_transform(x: Images, *, alpha: float, sigma: float, shift: float, rng: np.random.Generator) -> Images:
    """A random affine map that moves three points by at most `shift`, then a smooth random displacement field.

    The field is uniform noise in [-1, 1], smoothed by a Gaussian of width `sigma` and multiplied by `alpha`. All three
    are fractions of the shorter side.
    """
    n, _, h, w = x.shape
    side = min(h, w)
    rows, columns = np.mgrid[:h, :w].astype(float)
    anchors = np.array([w // 2, h // 2]) + side // 3 * np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    moved = anchors + rng.uniform(-shift * side, shift * side, (n, 3, 2))
    # The affine map from the moved points back to the anchors says where each pixel comes from.
    affine = np.linalg.solve(np.concatenate([moved, np.ones((n, 3, 1))], axis=2), anchors)  # (n, 3, 2)
    origin = np.stack([columns, rows, np.ones((h, w))], axis=2) @ affine[:, None]  # (n, h, w, 2) as (x, y)
    warped = _sampled(x, origin[..., 1], origin[..., 0], mode="mirror")
    dx, dy = (_smooth_field((n, h, w), sigma * side, rng) * alpha * side for _ in range(2))
    return _sampled(warped, rows + dy, columns + dx, mode="reflect")


def _smooth_field(shape: tuple[int, int, int], sigma: float, rng: np.random.Generator) -> Float[np.ndarray, "n h w"]:
    return ndimage.gaussian_filter(rng.uniform(-1.0, 1.0, shape), sigma, axes=(1, 2), mode="reflect", truncate=3)


def _sampled(x: Images, rows: Float[np.ndarray, "n h w"], columns: Float[np.ndarray, "n h w"], mode: str) -> Images:
    """Bilinear interpolation of each image at its own positions."""
    images = np.broadcast_to(np.arange(float(len(x)))[:, None, None], rows.shape)
    where = np.stack([images, rows, columns])
    channels = [ndimage.map_coordinates(x[:, k], where, order=1, mode=mode) for k in range(x.shape[1])]
    return np.stack(channels, axis=1)


def pixelate(x: Images, *, factor: float) -> Images:
    """Shrink to int(factor side) with a box filter and stretch back, the same way."""
    return _pixelation(x.shape[2], factor) @ x @ _pixelation(x.shape[3], factor).T


def _pixelation(side: int, factor: float) -> Float[np.ndarray, "side side"]:
    """Matrix of Pillow's two resizes of a line, which are linear: what they make of the identity."""
    line = Image.fromarray(np.eye(side, dtype=np.float32))
    small = line.resize((side, int(side * factor)), Image.Resampling.BOX)
    return np.asarray(small.resize((side, side), Image.Resampling.BOX))


def jpeg_compression(x: Images, *, quality: int) -> Images:
    """Encode at 8 bits as a JPEG file of `quality`, and decode."""
    pixels = np.rint(x * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    pixels = pixels[..., 0] if x.shape[1] == 1 else pixels
    decoded = np.stack([_through_jpeg(image, quality) for image in pixels])
    return decoded.reshape(*decoded.shape[:3], -1).transpose(0, 3, 1, 2) / 255


def _through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))
