"""U-Nets from images to images: the one of pix2pix, which chapter 5 trains, and the smaller one of pytorch_fnet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.nn.backbones.vgg import convolution
from trustworthy.nn.image_to_image import ImageToImage

_WIDEST = 8  # times the width of the first level
_SHALLOWEST, _DEEPEST = 2, 8


def depth_for(size: int | Sequence[int]) -> int:
    """Levels of a `UNet` for images of `size` pixels (a side, or height and width): each halves the shorter side.

    From 2 to 8, the depth of pix2pix for 256 pixels; a larger image does not need more.
    """
    sides = [size] if isinstance(size, int) else list(size)
    if not sides:
        raise InvalidInput("image_size must be a side or a height and a width in pixels, got none.")
    shorter = min(checks.integer("image_size", side, at_least=1) for side in sides)
    return max(_SHALLOWEST, min(_DEEPEST, shorter.bit_length() - 1))


class UNet(ImageToImage):
    """The generator of pix2pix: `depth` halvings by 4x4 convolutions, as many doublings, and skips between them.

    Down: LeakyReLU(0.2), convolution, batch normalisation, the last of these in neither the first nor the innermost
    level. Up: ReLU, transposed convolution, batch normalisation. A level has width, 2 width, 4 width, then 8 width
    channels. At depth 8 and width 64 it is `unet_256`.

    Parameters
    ----------
    in_channels, out_channels : >= 1; twice the channels of the target for `Gaussian(std=None)`.
    width : channels of the first level, >= 1.
    depth : >= 2; None for `depth_for(image_size)`. Images have any size, see `ImageToImage`.
    dropout : probability in [0, 1) after the up-blocks between two levels of 8 width channels (three at depth 8), or
        after the innermost where there is none.
    image_size : pixels, a side or height and width, of the images that it will see; it sets the depth alone.
    tanh : whether the output is squashed to [-1, 1], as pix2pix and the released code do, for targets scaled to that.
        Without it the targets are normalised ones, see `Translator`.

    References
    ----------
    Isola et al. (2017), Image-to-image translation with conditional adversarial networks.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        width: int = 64,
        depth: int | None = None,
        dropout: float = 0.0,
        *,
        image_size: int | Sequence[int] = 256,
        tanh: bool = False,
    ) -> None:
        checks.integer("in_channels", in_channels, at_least=1)
        checks.integer("out_channels", out_channels, at_least=1)
        checks.integer("width", width, at_least=1)
        depth = depth_for(image_size) if depth is None else checks.integer("depth", depth, at_least=_SHALLOWEST)
        if checks.real("dropout", dropout, at_least=0.0) >= 1:
            raise InvalidInput(f"dropout must be < 1, got {dropout!r}; at 1 nothing of the features would be left.")
        # A level looks one pixel further than its stride going down, and two going up.
        super().__init__(in_channels, grid=2**depth, reach=3 * (2**depth - 1))
        wide = [width * min(2**level, _WIDEST) for level in range(depth)]
        dropped = [level for level in range(1, depth - 1) if wide[level - 1] == width * _WIDEST] or [depth - 1]
        self.down = nn.ModuleList([nn.Conv2d(in_channels, width, 4, 2, 1, bias=False)])
        self.up = nn.ModuleList()
        for level in range(1, depth):
            inner, entering = level == depth - 1, wide[level - 1]
            self.down.append(nn.Sequential(*_halving(entering, wide[level], norm=not inner)))
            rate = dropout if level in dropped else 0.0
            self.up.insert(0, nn.Sequential(*_doubling(wide[level] * (1 if inner else 2), entering, rate)))
        last = [nn.ReLU(), nn.ConvTranspose2d(2 * width, out_channels, 4, 2, 1)]
        self.up.append(nn.Sequential(*last, *([nn.Tanh()] if tanh else [])))
        self.reset_parameters()

    def translate(self, x: Tensor) -> Tensor:
        levels = []
        for block in self.down:
            levels.append(x := block(x))
        x = levels.pop()
        for block in self.up:
            x = block(x)  # (batch, channels of the level above, twice the sides)
            x = torch.cat((levels.pop(), x), 1) if levels else x
        return x


def _halving(entering: int, leaving: int, *, norm: bool) -> list[nn.Module]:
    layers = [nn.LeakyReLU(0.2), nn.Conv2d(entering, leaving, 4, 2, 1, bias=False)]
    return [*layers, nn.BatchNorm2d(leaving)] if norm else layers


def _doubling(entering: int, leaving: int, dropout: float) -> list[nn.Module]:
    layers = [nn.ReLU(), nn.ConvTranspose2d(entering, leaving, 4, 2, 1, bias=False), nn.BatchNorm2d(leaving)]
    return [*layers, nn.Dropout(dropout)] if dropout else layers


class _FNet(ImageToImage):
    """See `fnet`."""

    def __init__(self, in_channels: int, out_channels: int, width: int, depth: int) -> None:
        # Two 3x3 convolutions before and two after each level, two in the innermost, one at the end; the 2x2 strides
        # look one pixel further each.
        super().__init__(in_channels, grid=2**depth, reach=5 * (2**depth - 1) + 2 * 2**depth + 1)
        wide = [width * 2**level for level in range(depth + 1)]
        self.before = nn.ModuleList(
            [_two(entering, leaving) for entering, leaving in zip([in_channels, *wide], wide, strict=False)]
        )
        self.down, self.up, self.after = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for here, inside in pairwise(wide):
            self.down.append(nn.Sequential(nn.Conv2d(here, here, 2, 2), nn.BatchNorm2d(here), nn.ReLU()))
            self.up.append(nn.Sequential(nn.ConvTranspose2d(inside, here, 2, 2), nn.BatchNorm2d(here), nn.ReLU()))
            self.after.append(_two(2 * here, here))
        self.out = nn.Conv2d(width, out_channels, 3, padding=1)
        self.reset_parameters()

    def translate(self, x: Tensor) -> Tensor:
        levels = []
        for before, down in zip(self.before, self.down, strict=False):
            levels.append(x := before(x))
            x = down(x)
        x = self.before[-1](x)
        for up, after in zip(reversed(self.up), reversed(self.after), strict=True):
            x = after(torch.cat((levels.pop(), up(x)), 1))
        return self.out(x)


def fnet(in_channels: int = 1, out_channels: int = 1, width: int = 32, depth: int = 4) -> nn.Module:
    """The two-dimensional network of pytorch_fnet: two 3x3 convolutions before and after each 2x2 halving.

    Finer than `UNet`, as its first level works at the full resolution; images have any size, see `ImageToImage`.

    Parameters
    ----------
    in_channels, out_channels : >= 1.
    width : channels of the first level, >= 1, doubled by each further one.
    depth : halvings, >= 1.

    References
    ----------
    Ounkomol et al. (2018), Label-free prediction of three-dimensional fluorescence images from transmitted-light
    microscopy.
    """
    checks.integer("in_channels", in_channels, at_least=1)
    checks.integer("out_channels", out_channels, at_least=1)
    checks.integer("width", width, at_least=1)
    return _FNet(in_channels, out_channels, width, checks.integer("depth", depth, at_least=1))


def _two(entering: int, leaving: int) -> nn.Sequential:
    return nn.Sequential(*convolution(entering, leaving), *convolution(leaving, leaving))
