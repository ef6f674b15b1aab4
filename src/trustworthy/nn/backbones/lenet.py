"""The LeNet that chapter 7 explains on MNIST."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.nn.backbones.arguments import image_arguments
from trustworthy.nn.normalize import Normalize


class LeNet(nn.Module):
    """5x5 convolutions to 20 and 50 channels (ReLU, 2x2 max-pooling each), then linear layers to 500 and classes.

    Parameters
    ----------
    channels : channels of the images, >= 1.
    classes : number of logits, >= 2.
    image_size : side of the square images, >= 16 pixels; 28 makes the dissertation's 800 features.
    mean, std : of the pixels in [0, 1], for the normalisation inside; MNIST's by default.
    """

    def __init__(
        self, *, channels: int = 1, classes: int = 10, image_size: int = 28, mean: float = 0.1307, std: float = 0.3081
    ) -> None:
        image_arguments("LeNet", channels, classes, image_size, smallest=16)
        side = ((image_size - 4) // 2 - 4) // 2
        super().__init__()
        self.layers = nn.Sequential(
            Normalize(mean, std),
            nn.Conv2d(channels, 20, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(20, 50, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(50 * side * side, 500),
            nn.ReLU(),
            nn.Linear(500, classes),
        )

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.layers(x)
