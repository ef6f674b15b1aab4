"""A small convolutional network for small images."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.nn.backbones.arguments import image_arguments
from trustworthy.nn.backbones.vgg import convolution


class SmallConvNet(nn.Module):
    """Two 3x3 convolutions (batch normalisation, ReLU, 2x2 max-pooling each), then two linear layers.

    Parameters
    ----------
    channels : channels of the images, >= 1.
    classes : number of logits, >= 2.
    image_size : side of the square images, >= 8 pixels.
    width : channels of the first convolution; the second has 2 x width, the hidden linear layer 4 x width.
    """

    def __init__(self, *, channels: int = 1, classes: int = 10, image_size: int = 28, width: int = 32) -> None:
        image_arguments("SmallConvNet", channels, classes, image_size, smallest=8)
        checks.integer("width", width, at_least=1)
        super().__init__()
        self.layers = nn.Sequential(
            *convolution(channels, width),
            nn.MaxPool2d(2),
            *convolution(width, 2 * width),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * width * (image_size // 4) ** 2, 4 * width),
            nn.ReLU(),
            nn.Linear(4 * width, classes),
        )

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.layers(x)
