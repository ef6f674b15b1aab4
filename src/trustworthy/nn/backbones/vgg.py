"""VGG16 for small images (chapters 2 and 5)."""

from __future__ import annotations

from torch import nn

from trustworthy.core import checks
from trustworthy.nn.backbones.arguments import image_arguments
from trustworthy.nn.backbones.conv_stack import Conv, Pool, conv_stack

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


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
    factor = checks.real("width", width, above=0.0)
    scaled = [(max(1, round(wide * factor)), depth) for wide, depth in _STAGES]
    plan = [layer for wide, depth in scaled for layer in (*[Conv(wide)] * depth, Pool())]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(scaled[-1][0], classes)]
    return nn.Sequential(*conv_stack(plan, channels), *head)
