"""ResNet-50 with the names of torchvision's weights (chapter 5: RxRx1)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.nn.backbones.arguments import image_arguments

_EXPANSION = 4
_BLOCKS = (3, 4, 6, 3)


class _Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a shortcut, which is a 1x1 convolution where the shapes differ."""

    def __init__(self, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        outer = _EXPANSION * inner
        self.conv1, self.bn1 = nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, outer, 1, bias=False), nn.BatchNorm2d(outer)
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels != outer:
            projection = nn.Conv2d(channels, outer, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(outer))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch outer height2 width2"]:
        residual = self.relu1(self.bn1(self.conv1(x)))
        residual = self.relu2(self.bn2(self.conv2(residual)))
        return self.relu3(self.bn3(self.conv3(residual)) + self.downsample(x))


class _ResNet(nn.Module):
    """See `resnet50`."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = nn.Conv2d(channels, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        entering = 64
        for stage, blocks in enumerate(_BLOCKS):
            inner, layers = 64 * 2**stage, []
            for block in range(blocks):
                layers.append(_Bottleneck(entering, inner, stride=2 if stage and not block else 1))
                entering = _EXPANSION * inner
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(entering, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(len(_BLOCKS)):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return self.fc(self.avgpool(x).flatten(1))


def resnet50(*, channels: int = 3, classes: int = 1000, image_size: int = 224) -> nn.Module:
    """ResNet-50: a 7x7 convolution, four stages of 3, 4, 6 and 3 bottlenecks, mean pooling, one linear layer.

    Names and shapes of the weights are torchvision's, so `load_weights` reads what it publishes; the stride of a
    bottleneck is in its 3x3 convolution. For another number of classes load the weights into 1000 and set
    `model.fc = nn.Linear(2048, classes)`. Published weights want images normalised as for ImageNet:
    `nn.Sequential(Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), model)`.

    Parameters
    ----------
    channels : channels of the images, >= 1.
    classes : number of logits, >= 2.
    image_size : side of the square images, >= 32 pixels.

    References
    ----------
    He et al. (2016), Deep residual learning for image recognition.
    """
    image_arguments("resnet50", channels, classes, image_size, smallest=32)
    return _ResNet(channels, classes)
