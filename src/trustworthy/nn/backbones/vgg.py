"""Networks in the style of VGG: VGG16 for small images (chapters 2 and 5), and chapter 2's two "Model A"."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from trustworthy.core import checks
from trustworthy.nn.backbones.arguments import image_arguments

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def convolution(entering: int, leaving: int, *, padding: int = 1, affine: bool = True) -> list[nn.Module]:
    """A 3x3 convolution, batch normalisation (with scale and shift where `affine`), ReLU."""
    layer = nn.Conv2d(entering, leaving, kernel_size=3, padding=padding)
    return [layer, nn.BatchNorm2d(leaving, affine=affine), nn.ReLU()]


def vgg16(*, channels: int = 3, classes: int = 10, image_size: int = 32, width: float = 1.0) -> nn.Sequential:
    """Thirteen 3x3 convolutions with batch normalisation in five stages, global mean pooling, one linear layer.

    Parameters
    ----------
    channels : channels of the images, >= 1.
    classes : number of logits, >= 2.
    image_size : side of the square images, >= 32 pixels.
    width : > 0, factor on the channels of every convolution (64 to 512 at 1), rounded, at least one channel.

    References
    ----------
    Simonyan and Zisserman (2015), Very deep convolutional networks for large-scale image recognition.
    """
    image_arguments("vgg16", channels, classes, image_size, smallest=32)
    widths = _scaled(width, tuple(wide for wide, _ in _STAGES))
    scaled = list(zip(widths, (depth for _, depth in _STAGES), strict=True))
    head = nn.Linear(scaled[-1][0], classes)  # drawn before the convolutions: a seed keeps its weights
    layers: list[nn.Module] = []
    for wide, depth in scaled:
        for entering in (channels, *[wide] * (depth - 1)):
            layers += convolution(entering, wide)
        layers.append(nn.MaxPool2d(2))
        channels = wide
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)


def model_a_rse(*, channels: int = 3, classes: int = 10, image_size: int = 96, width: float = 1.0) -> nn.Sequential:
    """Model A of the random self-ensemble experiments on STL-10: batch normalisation without scale and shift.

    Parameters
    ----------
    channels : channels of the images, >= 1.
    classes : number of logits, >= 2.
    image_size : side of the square images, 96 to 127 pixels: what pools down to one position.
    width : > 0, factor on the channels of every convolution, rounded, at least one channel.
    """
    image_arguments("model_a_rse", channels, classes, image_size, smallest=96, largest=127)
    wide = _scaled(width, (32, 64, 128, 128, 256, 256))
    return _model_a((channels, *wide[:4]), wide[4:], nn.MaxPool2d(2), classes, affine=False)


def model_a_adv_bnn(*, channels: int = 3, classes: int = 10, image_size: int = 96, width: float = 1.0) -> nn.Sequential:
    """Model A of the Adv-BNN experiments: wider at the end, which pools by the mean. Parameters of `model_a_rse`."""
    image_arguments("model_a_adv_bnn", channels, classes, image_size, smallest=96, largest=127)
    wide = _scaled(width, (32, 64, 128, 256, 256, 512))
    return _model_a((channels, *wide[:4]), wide[4:], nn.AvgPool2d(2), classes, affine=True)


def _scaled(width: float, channels: tuple[int, ...]) -> list[int]:
    factor = checks.real("width", width, above=0.0)
    return [max(1, round(wide * factor)) for wide in channels]


def _model_a(
    halving: tuple[int, ...], unpadded: list[int], pool: nn.Module, classes: int, *, affine: bool
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for entering, wide in pairwise(halving):
        layers += [*convolution(entering, wide, affine=affine), nn.MaxPool2d(2)]
    for entering, wide in pairwise((halving[-1], *unpadded)):
        layers += convolution(entering, wide, padding=0, affine=affine)
    return nn.Sequential(*layers, pool, nn.Flatten(), nn.Linear(unpadded[-1], classes))
