"""Train a conv net on Fashion-MNIST, then audit it.

    trustworthy data get fashion-mnist
    python examples/fashion_mnist.py fashion.safetensors
    trustworthy audit examples/fashion_mnist.py:conv_net --weights fashion.safetensors --data fashion-mnist \
        --limit 1000 --out fashion-audit

The training is resumable: its checkpoints lie in `fashion-checkpoints`.
"""

from __future__ import annotations

import sys

from trustworthy import datasets
from trustworthy.nn.backbones import SmallConvNet
from trustworthy.training import Checkpoints, Cosine, fit, save_weights


def conv_net() -> SmallConvNet:
    """The network, untrained: `--weights` brings the trained one."""
    return SmallConvNet(channels=1, classes=10, image_size=28)


if __name__ == "__main__":
    data = datasets.load("fashion-mnist")
    model = conv_net()
    history = fit(
        model, (data.x_train, data.y_train), epochs=4, schedule=Cosine(), validation=(data.x_test, data.y_test),
        checkpoints=Checkpoints("fashion-checkpoints", every=100), seed=0,
    )  # fmt: skip
    print(history)
    save_weights(model, sys.argv[1] if len(sys.argv) > 1 else "fashion.safetensors")
