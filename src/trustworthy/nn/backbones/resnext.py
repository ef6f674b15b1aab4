"""ResNeXt29 for small images (chapter 2)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.nn.backbones.arguments import image_arguments

_EXPANSION = 2
_BLOCKS_PER_STAGE = 3


class _Block(nn.Module):
    """1x1, grouped 3x3 and 1x1 convolutions around a shortcut, which is a 1x1 convolution where the shapes differ."""

    def __init__(self, channels: int, inner: int, cardinality: int, stride: int) -> None:
        super().__init__()
        outer = _EXPANSION * inner
        self.residual = nn.Sequential(
            nn.Conv2d(channels, inner, kernel_size=1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, inner, kernel_size=3, stride=stride, padding=1, groups=cardinality, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, outer, kernel_size=1, bias=False),
            nn.BatchNorm2d(outer),
        )
        self.activation = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != outer:
            projection = nn.Conv2d(channels, outer, kernel_size=1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outer))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch outer height2 width2"]:
        return self.activation(self.residual(x) + self.shortcut(x))


class ResNeXt(nn.Module):
    """ResNeXt29: a 1x1 convolution to 64 channels, three stages of three blocks, mean pooling, one linear layer.

    The defaults are the dissertation's 2x64d.

    Parameters
    ----------
    channels : channels of the images, >= 1.
    classes : number of logits, >= 2.
    image_size : side of the square images, >= 4 pixels; two stages halve it.
    cardinality : groups of the 3x3 convolutions, >= 1.
    width : channels of each group in the first stage, >= 1; doubled by each further stage.

    References
    ----------
    Xie et al. (2017), Aggregated residual transformations for deep neural networks.
    """

    def __init__(
        self, *, channels: int = 3, classes: int = 10, image_size: int = 32, cardinality: int = 2, width: int = 64
    ) -> None:
        image_arguments("ResNeXt", channels, classes, image_size, smallest=4)
        groups = checks.integer("cardinality", cardinality, at_least=1)
        inner = groups * checks.integer("width", width, at_least=1)
        layers: list[nn.Module] = [nn.Conv2d(channels, 64, kernel_size=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
        entering = 64
        for stage in range(3):
            wide = inner * 2**stage
            for block in range(_BLOCKS_PER_STAGE):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(_Block(entering, wide, groups, stride))
                entering = _EXPANSION * wide
        super().__init__()
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(entering, classes))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.layers(x)
