"""Two small models to compare in a report: one trained as usual, one on adversarial examples."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

import torch
from torch import nn

from trustworthy.attacks import PGD
from trustworthy.attacks.adversarial_loss import AdversarialCrossEntropy
from trustworthy.core import seeds
from trustworthy.datasets import Dataset
from trustworthy.nn.backbones import SmallConvNet
from trustworthy.training import Engine, Linear, cross_entropy, fit

EPS = 0.15
"""linf radius of the training attack."""
EPOCHS = {"plain": 10, "adversarial": 15}


def plain() -> nn.Module:
    """The first of them on the digits, for `trustworthy explain trustworthy.report.demonstration:plain`."""
    from trustworthy.datasets import load

    return train_models(load("digits"), 0, progress=False, names=["plain"])["plain"]


def train_models(
    data: Dataset, seed: int, progress: bool | None = None, names: Collection[str] = tuple(EPOCHS)
) -> dict[str, nn.Module]:
    """Train a small conv net on grey images, plain and against PGD; the initial weights are the same."""
    losses = {"plain": cross_entropy, "adversarial": AdversarialCrossEntropy(attack=PGD(eps=EPS, steps=5))}
    models: dict[str, nn.Module] = {}
    for name, loss in ((name, loss) for name, loss in losses.items() if name in names):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds.derived_seed(seed, "weights"))
            model = SmallConvNet(channels=data.shape[0], classes=data.n_classes, image_size=data.shape[1], width=16)
        fit(
            model, (data.x_train, data.y_train), epochs=EPOCHS[name], loss=loss, schedule=Linear(), batch_size=64,
            optimizer=partial(torch.optim.AdamW, lr=3e-3), seed=seed, engine=Engine(progress=progress),
        )  # fmt: skip
        models[name] = model
    return models
