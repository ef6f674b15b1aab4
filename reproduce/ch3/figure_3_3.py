"""Figures 3.3 and 3.7: certified errors of nearest neighbours, linear bounds of a network, and randomised smoothing."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch

from reproduce import intervals
from reproduce.ch3.metrics import learned
from reproduce.claim import find
from reproduce.data import Split, in_chunks, prepared, rows
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.certify import RandomizedSmoothing, certify_linear
from trustworthy.neighbors import NearestNeighborVerifier
from trustworthy.training import Engine, GaussianNoise, fit


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a data set and method."""
    return [f"{data}.{method}" for data in options["data"] for method in options["methods"]]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Certified error at each radius of the figure's axis; misclassified points have radius 0."""
    data, _, method = cell.partition(".")
    split = prepared(data, setting.seed)
    x, y = split.x_test[: setting.options["points"]], split.y_test[: setting.options["points"]]
    if method in ("1-nn", "arml"):
        metric = None if method == "1-nn" else learned("arml", data, setting)
        verifier = NearestNeighborVerifier(metric=metric, n_jobs=setting.n_jobs)
        verifier.fit(*rows(split, setting.options.get("rows")))
        bounds = in_chunks(setting, lambda x, y: verifier.exact(x, y).lower, x, y, size=64)
    else:
        draws = torch.Generator().manual_seed(setting.seed)
        bounds = in_chunks(setting, lambda x, y: _certified(method, data, x, y, setting, draws), x, y, size=10)
    return intervals.errors(cell, find("figure-3.3")[0].axis[data], bounds, source=split.source)


def _certified(
    method: str, data: str, x: np.ndarray, y: np.ndarray, setting: Setting, draws: torch.Generator
) -> np.ndarray:
    kind, _, noise = method.partition("-")
    images, labels = torch.from_numpy(_images(x)), torch.from_numpy(y)
    net = trained(data, float(noise or 0), setting.options["epochs"], setting.seed)
    with torch.no_grad():
        if kind == "convnet":
            return certify_linear(net, images, labels, norm="l2").lower
        smoothing = RandomizedSmoothing(sigma=float(noise), n=setting.options["draws"])
        return smoothing(net, images, labels, generator=draws).lower


def _images(x: np.ndarray) -> np.ndarray:
    side = round(x.shape[1] ** 0.5)
    return np.ascontiguousarray(x.reshape(-1, 1, side, side), dtype=np.float32)


@functools.lru_cache(maxsize=1)
def trained(data: str, noise: float, epochs: int, seed: int) -> torch.nn.Module:
    """A small convolutional network, trained under Gaussian noise where it will be smoothed."""
    split = prepared(data, seed)
    torch.manual_seed(seed)
    net = _net(split)

    examples = torch.from_numpy(_images(split.x_train)), torch.from_numpy(split.y_train)
    augment = GaussianNoise(sigma=noise) if noise else None
    fit(net, examples, epochs=epochs, augment=augment, seed=seed, engine=Engine(progress=False))
    return net.eval()


def _net(split: Split) -> torch.nn.Module:
    side = round(split.x_train.shape[1] ** 0.5)
    width, classes = 16 * (side // 2 - 1) ** 2, int(split.y_train.max()) + 1
    layers = [torch.nn.Conv2d(1, 16, 4, stride=2, padding=0), torch.nn.ReLU(), torch.nn.Flatten()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(width, 100), torch.nn.ReLU(), torch.nn.Linear(100, classes))
