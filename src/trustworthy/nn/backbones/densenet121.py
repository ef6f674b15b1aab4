"""DenseNet-121 with the names of torchvision's weights (chapter 5: Camelyon17)."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.nn.backbones.arguments import image_arguments

_GROWTH = 32  # channels that a layer adds
_BOTTLENECK = 4 * _GROWTH
_LAYERS = (6, 12, 24, 16)
_OLD_NAME = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


class _DenseLayer(nn.Sequential):
    """Batch normalisation, ReLU, 1x1 convolution, the same with 3x3, beside all that came before."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.add_module("norm1", nn.BatchNorm2d(channels))
        self.add_module("relu1", nn.ReLU())
        self.add_module("conv1", nn.Conv2d(channels, _BOTTLENECK, 1, bias=False))
        self.add_module("norm2", nn.BatchNorm2d(_BOTTLENECK))
        self.add_module("relu2", nn.ReLU())
        self.add_module("conv2", nn.Conv2d(_BOTTLENECK, _GROWTH, 3, padding=1, bias=False))

    def forward(self, input: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch more height width"]:
        return torch.cat((input, super().forward(input)), 1)


class _DenseNet(nn.Module):
    """See `densenet121`."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        conv0 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        self.features = nn.Sequential(
            OrderedDict(conv0=conv0, norm0=nn.BatchNorm2d(64), relu0=nn.ReLU(), pool0=nn.MaxPool2d(3, 2, 1))
        )
        wide = 64
        for place, layers in enumerate(_LAYERS, start=1):
            block = {f"denselayer{layer + 1}": _DenseLayer(wide + layer * _GROWTH) for layer in range(layers)}
            self.features.add_module(f"denseblock{place}", nn.Sequential(OrderedDict(block)))
            wide += layers * _GROWTH
            if place < len(_LAYERS):
                self.features.add_module(f"transition{place}", _transition(wide))
                wide //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(wide))
        self.relu, self.pool = nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(wide, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.classifier(self.pool(self.relu(self.features(x))).flatten(1))

    @staticmethod
    def current_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights by the names they have here, of files that write "norm.1" for "norm1" too; `load_weights` asks."""
        return {_OLD_NAME.sub(r"\1\2", name): value for name, value in tensors.items()}


def _transition(channels: int) -> nn.Sequential:
    conv = nn.Conv2d(channels, channels // 2, 1, bias=False)
    return nn.Sequential(OrderedDict(norm=nn.BatchNorm2d(channels), relu=nn.ReLU(), conv=conv, pool=nn.AvgPool2d(2)))


def densenet121(*, channels: int = 3, classes: int = 1000, image_size: int = 224) -> nn.Module:
    """DenseNet-121: a 7x7 convolution, four blocks of 6, 12, 24 and 16 layers that each add 32 channels, a linear one.

    Parameters, names of the weights and the images that they want are as of `resnet50`; `load_weights` knows the old
    names of torchvision's first files ("denselayer1.norm.1.weight") too. For another number of classes load the weights
    into 1000 and set `model.classifier = nn.Linear(1024, classes)`.

    References
    ----------
    Huang et al. (2017), Densely connected convolutional networks.
    """
    image_arguments("densenet121", channels, classes, image_size, smallest=32)
    return _DenseNet(channels, classes)
