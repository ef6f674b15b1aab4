"""The public door of the corruptions: checks, random stream, dispatch."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.datasets.corruptions import blur, digital, noise, weather
from trustworthy.datasets.corruptions.constants import SCALES

if TYPE_CHECKING:
    import torch

    Randomness = np.random.Generator | torch.Generator | int | None
else:
    Randomness = Any  # torch is not imported for an annotation

AnyImages = TypeVar("AnyImages")

SMALLEST = 8
"""Smallest side of an image, in pixels."""

_GROUPS: Mapping[str, tuple[Callable[..., np.ndarray], ...]] = {
    "noise": (noise.gaussian_noise, noise.shot_noise, noise.impulse_noise),
    "blur": (blur.defocus_blur, blur.glass_blur, blur.motion_blur, blur.zoom_blur),
    "weather": (weather.snow, weather.frost, weather.fog, weather.brightness),
    "digital": (digital.contrast, digital.elastic_transform, digital.pixelate, digital.jpeg_compression),
}
_FUNCTIONS = {function.__name__: function for functions in _GROUPS.values() for function in functions}

CORRUPTIONS: Mapping[str, str] = {
    function.__name__: group for group, functions in _GROUPS.items() for function in functions
}
"""Group of each corruption, by name, in the published order."""

_CHUNK = 2**20  # values corrupted at a time: bounds the memory of the intermediate arrays


def corrupt(
    x: AnyImages,
    name: str,
    severity: int,
    generator: Randomness = None,
    *,
    scale: str = "cifar10-c",
) -> AnyImages:
    """Corrupt images as they are corrupted in practice, without an adversary.

    Parameters
    ----------
    x : images in [0, 1] of shape (n, channels, h, w), 1 or 3 channels, sides of at least 8 pixels: a floating-point
        NumPy array or torch tensor.
    name, severity : one of `CORRUPTIONS`, 1 (mild) to 5.
    generator : source of the randomness, or a seed for it. None draws a seed from the global stream of NumPy, or of
        torch if `x` is a tensor.
    scale : "cifar10-c" or "imagenet-c": the published constants for small images, or the stronger and larger ones for
        images of about 224 pixels. Lengths are in pixels and do not follow the image size, but for
        `elastic_transform`, `pixelate` and `zoom_blur`, which are relative in the published scripts too.

    Returns
    -------
    Images in [0, 1] of the type, shape, dtype and device of `x`; no gradient flows back.

    Raises
    ------
    InvalidInput, UnknownName : `x` is not such a batch, an argument is out of its range, or a name is unknown.

    Notes
    -----
    Random: the three noises, glass and motion blur, snow, frost, fog and elastic transform, independently for each
    image. The others ignore `generator`, and treat each image by itself.

    Differences from the published scripts: nothing is rounded to 8 bits on the way, except by JPEG; motion blur is
    our own instead of ImageMagick's; frost is procedural instead of photographs, so that its numbers are not
    comparable with published ones; below 28 pixels zoom blur crops nothing, because crops to whole pixels would leave
    small images as they are.

    Impulse noise may miss all values of a small image. On small images a severity can be as weak as the one before:
    `pixelate` shrinks to whole pixels (8 of them to 7, 7, 6, 6 and 5 by the constants of "cifar10-c"). At every size
    the constants of glass blur, frost and elastic transform trade one parameter against another.

    References
    ----------
    Hendrycks, Dietterich. Benchmarking neural network robustness to common corruptions and perturbations. ICLR 2019.
    """
    function = checks.choice("corruption", name, _FUNCTIONS)
    level = checks.integer("severity", severity, at_least=1, at_most=5) - 1
    columns = checks.choice("scale", scale, SCALES)[name]
    constants: dict[str, Any] = {parameter: values[level] for parameter, values in columns.items()}
    images = _checked(x)
    if "rng" in inspect.signature(function).parameters:
        constants["rng"] = _random_stream(generator, tensor=_is_tensor(x))
    out = np.empty_like(images)
    size = max(1, _CHUNK // images[0].size)
    for start in range(0, len(images), size):
        out[start : start + size] = np.clip(function(images[start : start + size], **constants), 0.0, 1.0)
    return _like(x, out)


def _is_tensor(x: object) -> bool:
    """Whether `x` is a tensor of torch, which is not imported for the question."""
    return "torch" in sys.modules and isinstance(x, sys.modules["torch"].Tensor)


def _checked(x: Any) -> np.ndarray:
    """The images of `x` in float64 if they are, else in float32, after checking that they are a batch in [0, 1]."""
    tensor = _is_tensor(x)
    values: Any = x.detach().cpu() if tensor else x
    floating = x.is_floating_point() if tensor else isinstance(x, np.ndarray) and x.dtype.kind == "f"
    if not floating:
        given = getattr(x, "dtype", type(x).__name__)
        raise InvalidInput(
            "x must be a NumPy array or torch tensor of floats in [0, 1], "
            f"got {given}; divide 8-bit images by 255 first."
        )
    if x.ndim != 4 or x.shape[1] not in (1, 3) or min(x.shape[2:]) < SMALLEST or len(x) == 0:
        raise InvalidInput(
            "x must have shape (n, channels, h, w) with n >= 1, 1 or 3 channels and sides of at least "
            f"{SMALLEST} pixels, got {tuple(x.shape)}."
        )
    double = str(x.dtype).endswith("float64")
    if tensor:
        images = (values.double() if double else values.float()).numpy()
    else:
        images = values.astype(np.float64 if double else np.float32, copy=False)
    low, high = float(images.min()), float(images.max())  # NaN if any value is
    if not (low >= 0 and high <= 1):
        found = "NaN" if np.isnan(low) else f"values from {low:g} to {high:g}"
        raise InvalidInput(f"x must lie in [0, 1], got {found}; rescale or clip it first.")
    return images


def _like(x: Any, images: np.ndarray) -> Any:
    """Return `images` as the type, dtype and device of `x`."""
    if _is_tensor(x):
        return sys.modules["torch"].from_numpy(images).to(device=x.device, dtype=x.dtype)
    return images.astype(x.dtype, copy=False)


def _random_stream(generator: Any, *, tensor: bool) -> np.random.Generator:
    """The NumPy generator that `generator` stands for."""
    if isinstance(generator, np.random.Generator):
        return generator
    torch = sys.modules.get("torch")
    if torch is not None and (isinstance(generator, torch.Generator) or (generator is None and tensor)):
        device = "cpu" if generator is None else generator.device
        return np.random.default_rng(int(torch.randint(2**63 - 1, (), generator=generator, device=device)))
    if generator is None:
        return np.random.default_rng(np.random.randint(2**32, dtype=np.uint64))  # noqa: NPY002 - the global stream
    try:
        return np.random.default_rng(checks.integer("generator", generator, at_least=0))
    except InvalidInput:
        raise InvalidInput(
            f"generator must be a numpy.random.Generator, a torch.Generator, a seed >= 0 or None, got {generator!r}."
        ) from None
