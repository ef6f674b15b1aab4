"""Random changes of a training batch, as pure functions `(batch, generator) -> batch` for the argument `augment`."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Shaped
from torch import Tensor

from trustworthy.core import checks
from trustworthy.training.data import Batch

Augmentation = Callable[[Batch, torch.Generator], Batch]
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


def crop_and_flip(padding: int = 4) -> Augmentation:
    """Random crop after padding, then random mirroring, of the images of a batch: chapter 2's augmentation."""
    checks.integer("padding", padding, at_least=0)

    def augment(batch: Batch, generator: torch.Generator) -> Batch:
        x, *rest = batch
        x = random_crop(x, padding=padding, generator=generator)
        return (random_flip(x, generator=generator), *rest)

    augment.__qualname__ = f"crop_and_flip({padding})"  # tells one run's settings from another's
    return augment
