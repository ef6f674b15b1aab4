"""Certify a small network: what can be proved about the distance to the nearest adversarial example?

    python examples/certify_network.py

Three answers on the digits: intervals, linear bounds (CROWN), and a smoothed classifier under Gaussian noise. The
first two are of the network itself, the third of another classifier: the network's vote under noise.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from trustworthy import datasets
from trustworthy.certify import Certificate, RandomizedSmoothing, certify_linear
from trustworthy.training import Engine, GaussianNoise, fit

SIGMA = 0.25
RADII = (0.0, 0.1, 0.2, 0.3, 0.5)


def network() -> nn.Sequential:
    """A convolution and a hidden layer."""
    layers = [nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 3 * 3, 32), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(32, 10))


def row(name: str, certificate: Certificate) -> str:
    """Share of images that are right and stay right within each radius, and the median radius."""
    shares = [np.mean(certificate.lower > radius) for radius in RADII]
    return f"{name:<12}" + "".join(f"{share:>8.2f}" for share in shares) + f"{np.median(certificate.lower):>9.3f}"


torch.manual_seed(0)
data = datasets.load("digits")
train = data.x_train, data.y_train
plain, robust = network(), network()
fit(plain, train, epochs=30, engine=Engine(progress=False))
fit(robust, train, epochs=30, augment=GaussianNoise(sigma=SIGMA), engine=Engine(progress=False))

x, y = data.x_test[:100], data.y_test[:100]
smoothing = RandomizedSmoothing(sigma=SIGMA, n=2000)
generator = torch.Generator().manual_seed(0)
print(f"certified accuracy of {len(x)} digits within an l2 radius of")
print(" " * 12 + "".join(f"{radius:>8.1f}" for radius in RADII) + "   median")
for name, model in (("plain", plain), ("noisy", robust)):
    print(f"trained {name}")
    print(row("  interval", certify_linear(model, x, y, norm="l2", method="interval")))
    print(row("  crown", certify_linear(model, x, y, norm="l2")))
    print(row("  smoothing", smoothing(model, x, y, generator=generator)))
