"""The two networks that chapter 2 calls "Model A", for the 96-pixel images of STL-10."""

from __future__ import annotations

from torch import nn

from trustworthy.nn.backbones.arguments import image_arguments
from trustworthy.nn.backbones.conv_stack import Conv, Pool, conv_stack


def model_a_rse(*, channels: int = 3, classes: int = 10, image_size: int = 96) -> nn.Sequential:
    """Model A of the random self-ensemble experiments: batch normalisation without scale and shift.

    Parameters
    ----------
    channels : channels of the images, >= 1.
    classes : number of logits, >= 2.
    image_size : side of the square images, 96 to 127 pixels: what pools down to one position.
    """
    image_arguments("model_a_rse", channels, classes, image_size, smallest=96, largest=127)
    plan: list[Conv | Pool] = []
    for wide in (32, 64, 128, 128):
        plan += [Conv(wide, affine=False), Pool()]
    plan += [Conv(256, padding=0, affine=False), Conv(256, padding=0, affine=False), Pool()]
    return nn.Sequential(*conv_stack(plan, channels), nn.Flatten(), nn.Linear(256, classes))


def model_a_adv_bnn(*, channels: int = 3, classes: int = 10, image_size: int = 96) -> nn.Sequential:
    """Model A of the Adv-BNN experiments: wider at the end, which pools by the mean.

    Parameters
    ----------
    channels : channels of the images, >= 1.
    classes : number of logits, >= 2.
    image_size : side of the square images, 96 to 127 pixels: what pools down to one position.
    """
    image_arguments("model_a_adv_bnn", channels, classes, image_size, smallest=96, largest=127)
    plan: list[Conv | Pool] = []
    for wide in (32, 64, 128, 256):
        plan += [Conv(wide), Pool()]
    plan += [Conv(256, padding=0), Conv(512, padding=0), Pool(mean=True)]
    return nn.Sequential(*conv_stack(plan, channels), nn.Flatten(), nn.Linear(512, classes))
