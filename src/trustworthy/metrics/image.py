"""How close a predicted image is to the real one, for one pair of images or for each of a batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.metrics import inputs

# scikit-image is imported where it is used: most users of the metrics have no images and should not wait for it.

PerImage = float | Float[np.ndarray, " n"]
"""A number for one image, an array of them for a batch."""

WINDOW = 11
"""Width in pixels of the Gaussian window of SSIM: a deviation of 1.5 px, cut at 3.5 deviations."""


def pearson(prediction: ArrayLike, target: ArrayLike) -> PerImage:
    """Pearson correlation between the values of two images, over all their pixels and channels.

    Parameters
    ----------
    prediction, target : (height, width), (channels, height, width) or (n, channels, height, width), finite, no
        image of them constant.

    Returns
    -------
    A number in [-1, 1]; for a batch one for each image (n,).
    """
    return _of_each(_pearson, prediction, target)


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    for name, image in (("prediction", a), ("target", b)):
        if image.min() == image.max():
            raise InvalidInput(f"{name} must not be constant (all its values are {image.flat[0]:g}): no correlation.")
    a, b = (_standardised(image) for image in (a, b))
    return float(np.clip((a * b).sum(), -1.0, 1.0))


def psnr(prediction: ArrayLike, target: ArrayLike, *, data_range: float = 1.0) -> PerImage:
    """Peak signal-to-noise ratio, 10 log10(data_range^2 / mean squared error), in decibels.

    Parameters
    ----------
    prediction, target : (height, width), (channels, height, width) or (n, channels, height, width), finite.
    data_range : distance between the lowest and the highest possible value: 1 for images in [0, 1], 255 for 8 bits.

    Returns
    -------
    Decibels; inf for equal images; for a batch one number for each image (n,).
    """
    from skimage.metrics import peak_signal_noise_ratio

    spread = checks.real("data_range", data_range, above=0.0)
    with np.errstate(divide="ignore"):  # equal images have no noise
        return _of_each(lambda a, b: float(peak_signal_noise_ratio(b, a, data_range=spread)), prediction, target)


def ssim(prediction: ArrayLike, target: ArrayLike, *, data_range: float = 1.0) -> PerImage:
    """Structural similarity with the Gaussian window of its authors, averaged over pixels and channels.

    Parameters
    ----------
    prediction, target : as in `psnr`, at least 11 pixels high and wide.
    data_range : as in `psnr`.

    Returns
    -------
    A number in [-1, 1], 1 for equal images; for a batch one for each image (n,).

    References
    ----------
    Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.
    """
    from skimage.metrics import structural_similarity

    spread = checks.real("data_range", data_range, above=0.0)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": spread}

    def similarity(a: np.ndarray, b: np.ndarray) -> float:
        if min(a.shape[-2:]) < WINDOW:
            raise InvalidInput(
                f"prediction must be at least {WINDOW} pixels high and wide for SSIM, got {a.shape[-2:]}."
            )
        # The type of what comes back says that it may come with a gradient.
        return float(np.asarray(structural_similarity(a, b, channel_axis=0 if a.ndim == 3 else None, **settings)))

    return _of_each(similarity, prediction, target)


def _of_each(measure: Callable[[np.ndarray, np.ndarray], float], prediction: ArrayLike, target: ArrayLike) -> PerImage:
    axes = ("height width", "channels height width", "n channels height width")
    a, b = inputs.finite("prediction", prediction, *axes), inputs.finite("target", target, *axes)
    if a.shape != b.shape:
        raise InvalidInput(f"prediction and target must have the same shape, got {a.shape} and {b.shape}.")
    return np.array([measure(p, t) for p, t in zip(a, b, strict=True)]) if a.ndim == 4 else measure(a, b)


def _standardised(image: np.ndarray) -> np.ndarray:
    centred = image - image.mean()
    centred /= np.abs(centred).max()  # the squares of very small or large values leave the range of float64
    return centred / np.linalg.norm(centred)
