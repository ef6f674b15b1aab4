"""Random changes of a training batch: values that are called as `augment(batch, moment) -> batch`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Shaped
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.training.data import Batch
from trustworthy.training.moment import Moment

Augmentation = Callable[[Batch, Moment], Batch]
Images = Shaped[Tensor, "batch channels height width"]


def random_crop(x: Images, *, padding: int = 4, generator: torch.Generator | None = None) -> Images:
    """Pad with zeros on every side, then cut each image out again at its own uniformly random place.

    Parameters
    ----------
    x : images.
    padding : pixels >= 0 added on each side; each image moves by -padding to padding in either direction.
    generator : on the device of `x`; None for the global stream.
    """
    checks.integer("padding", padding, at_least=0)
    count, _, height, width = x.shape
    padded = F.pad(x, [padding] * 4)
    down, right = torch.randint(2 * padding + 1, (2, count), generator=generator, device=x.device)
    rows = down[:, None] + torch.arange(height, device=x.device)  # (batch, height)
    columns = right[:, None] + torch.arange(width, device=x.device)  # (batch, width)
    image = torch.arange(count, device=x.device)[:, None, None]
    return padded.movedim(1, -1)[image, rows[:, :, None], columns[:, None, :]].movedim(-1, 1).contiguous()


def random_flip(x: Images, *, generator: torch.Generator | None = None) -> Images:
    """Mirror each image left to right with probability one half.

    Parameters
    ----------
    x : images.
    generator : on the device of `x`; None for the global stream.
    """
    mirrored = torch.rand(len(x), generator=generator, device=x.device) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(-1), x)


@dataclass(frozen=True, kw_only=True)
class CropAndFlip:
    """Random crop after padding, then random mirroring, of the images of a batch: chapter 2's augmentation.

    Parameters
    ----------
    padding : pixels >= 0 added on each side, see `random_crop`.

    Raises
    ------
    InvalidInput : the targets are images too, which would no longer lie on the inputs.
    """

    padding: int = 4

    def __post_init__(self) -> None:
        checks.integer("padding", self.padding, at_least=0)

    def __call__(self, batch: Batch, moment: Moment) -> Batch:
        x, *rest = batch
        if any(_as_large(part, x) for part in rest):
            raise InvalidInput(
                "augment must move targets that are images as it moves the inputs, got CropAndFlip(), which moves the "
                "inputs alone; use SameCropAndTurn()."
            )
        x = random_crop(x, padding=self.padding, generator=moment.generator)
        return (random_flip(x, generator=moment.generator), *rest)


@dataclass(frozen=True, kw_only=True)
class SameCropAndTurn:
    """One random crop, and one of the symmetries of the square, for all images of an example: for pairs of images.

    Every part of the batch that has the height and width of the first is treated, such as source, target and mask;
    others, such as labels, are left as they are.

    Parameters
    ----------
    size : side in pixels, >= 1, of the crop; None keeps images whole. What is square is turned by quarters and
        mirrored, 8 ways in all; what is not is mirrored in both directions, 4 ways.
    """

    size: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None:
            checks.integer("size", self.size, at_least=1)

    def __call__(self, batch: Batch, moment: Moment) -> Batch:
        (count, *_), (height, width), generator = batch[0].shape, batch[0].shape[-2:], moment.generator
        if self.size is not None and self.size > min(height, width):
            raise InvalidInput(f"size must be at most the side of the images, got {self.size} for {height} x {width}.")
        rows, columns = self.size or height, self.size or width
        device = batch[0].device
        top = torch.randint(height - rows + 1, (count,), generator=generator, device=device)
        left = torch.randint(width - columns + 1, (count,), generator=generator, device=device)
        turns = torch.randint(8 if rows == columns else 4, (count,), generator=generator, device=device)

        def changed(image: Tensor, top: int, left: int, turn: int) -> Tensor:
            image = image[..., top : top + rows, left : left + columns]
            image = image.flip([axis for bit, axis in ((1, -1), (2, -2)) if turn & bit])
            return image.transpose(-1, -2) if turn & 4 else image

        drawn = list(zip(top.tolist(), left.tolist(), turns.tolist(), strict=True))
        return tuple(
            torch.stack([changed(image, *how) for image, how in zip(part, drawn, strict=True)])
            if _as_large(part, batch[0])
            else part
            for part in batch
        )


def _as_large(part: Tensor, images: Tensor) -> bool:
    """Whether it has a height and a width, those of `images`."""
    return part.ndim >= 3 and part.shape[-2:] == images.shape[-2:]


@dataclass(frozen=True, kw_only=True)
class GaussianNoise:
    """Independent normal noise on every number of the inputs, of which nothing is clipped: what smoothing asks for.

    Parameters
    ----------
    sigma : standard deviation >= 0, in the units of the inputs.
    """

    sigma: float

    def __post_init__(self) -> None:
        checks.real("sigma", self.sigma, at_least=0.0)

    def __call__(self, batch: Batch, moment: Moment) -> Batch:
        x, *rest = batch
        noise = torch.randn(x.shape, generator=moment.generator, device=x.device, dtype=x.dtype)
        return (x + self.sigma * noise, *rest)
