"""What networks from images to images share: any size of image, and how far a pixel of the output looks."""

from __future__ import annotations

from abc import abstractmethod

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from trustworthy.core.errors import InvalidInput

Images = Float[Tensor, "batch channels height width"]
Answers = Float[Tensor, "batch out_channels height width"]

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
_INIT_STD = 0.02


class ImageToImage(nn.Module):
    """A network that gives an image as large as the one it takes.

    Sides are padded to multiples of `grid` at the bottom and at the right, by reflection, or by repeating the last row
    or column where a side is too short for that; the answer is cropped back. As nothing is padded at the top and at
    the left, what an image gives does not depend on its size far from its edges, so tiles that begin at multiples of
    `grid` give what the whole image does.

    Parameters
    ----------
    channels : that an image must have.
    grid : pixels, product of the strides.
    reach : pixels; in evaluation an output pixel depends on no input pixel that is further away in either direction.
    """

    def __init__(self, channels: int, grid: int, reach: int) -> None:
        super().__init__()
        self.channels, self.grid, self.reach = channels, grid, reach

    def forward(self, x: Images) -> Answers:
        if x.ndim != 4 or x.shape[1] != self.channels or 0 in x.shape[2:]:
            raise InvalidInput(
                f"x must be images (batch, {self.channels}, height, width) for this network, got {tuple(x.shape)}; "
                "the channels are axis 1."
            )
        height, width = x.shape[2:]
        return self.translate(_extended(_extended(x, 2, self.grid), 3, self.grid))[:, :, :height, :width]

    @abstractmethod
    def translate(self, x: Images) -> Answers:
        """The answer to images whose sides are multiples of `grid`."""

    def reset_parameters(self) -> None:
        """Draw all weights as pix2pix and pytorch_fnet do: N(0, 0.02^2), those of batch normalisation N(1, 0.02^2)."""
        for module in self.modules():
            if isinstance(module, _CONVOLUTIONS):
                nn.init.normal_(module.weight, 0.0, _INIT_STD)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
                nn.init.normal_(module.weight, 1.0, _INIT_STD)


def _extended(x: Tensor, axis: int, grid: int) -> Tensor:
    side = x.shape[axis]
    more = -side % grid
    if not more:
        return x
    pad = (0, more, 0, 0) if axis == 3 else (0, 0, 0, more)
    return F.pad(x, pad, mode="reflect" if more < side else "replicate")
