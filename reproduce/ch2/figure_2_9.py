"""Figure 2.9: how far adversarial examples of one defence fool another (2.26)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from reproduce.ch2.attacked import BATCH, is_right
from reproduce.ch2.models import BUDGETS, Spec, digest, model
from reproduce.kept import kept
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.attacks import PGD
from trustworthy.core.seeds import torch_generator

GROUPS = {"plain": ("none", "bnn"), "robust": ("rse", "adversarial-2", "adv-bnn")}
"""The two groups that the dissertation sees."""


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a data set and way to attack: by one draw a step, or by the mean of several."""
    return [f"{data}{suffix}" for data in options["networks"] for suffix in ("", "-eot")]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """The matrix, and its means within and across the two groups."""
    data, options = cell.removesuffix("-eot"), setting.options
    budget = BUDGETS[options["budget"]]
    eot = budget["eot"] if cell.endswith("-eot") else 1
    specs = [
        Spec(scale=options["budget"], data=data, network=options["networks"][data], method=method, seed=setting.seed)
        for group in GROUPS.values()
        for method in group
    ]
    attack = PGD(eps=options["eps"], steps=budget["pgd"]["steps"], eot=eot)
    clean, attacked = kept(_accuracies)(specs, specs[0].budget, attack, budget["draws"], digest(evaluation=True))
    loss, own = clean[None, :] - attacked, clean - attacked.diagonal()
    affinity = np.divide(loss, own[None, :], out=np.full_like(loss, np.nan), where=own[None, :] > 0)
    names = [spec.method for spec in specs]
    found = {(a, b): float(affinity[i, j]) for i, a in enumerate(names) for j, b in enumerate(names) if i != j}
    group = {name: key for key, members in GROUPS.items() for name in members}
    means = {
        **{key: [rho for (a, b), rho in found.items() if group[a] == group[b] == key] for key in GROUPS},
        "across": [rho for (a, b), rho in found.items() if group[a] != group[b]],
    }
    points = len(specs[0].images.test_x)
    about = {"eot": eot, "points": points, "eps": options["eps"]}
    rows = [(f"{a}-to-{b}", rho) for (a, b), rho in found.items()] + [
        (key, float(np.nanmean(m))) for key, m in means.items()
    ]
    return [Measured(name=f"{cell}.{name}", value=_finite(value), conditions=about) for name, value in rows]


def _finite(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def _accuracies(
    specs: list[Spec], budget: dict[str, Any], attack: PGD, draws: int, code: str
) -> tuple[np.ndarray, np.ndarray]:
    """Acc[B], and Acc[B|A] with a row a source A, by means of fresh draws."""
    rows, generator = specs[0].images, torch_generator(specs[0].seed, "transfer")
    x, y = rows.test_x, rows.test_y
    models = [model(spec) for spec in specs]

    def accuracies(x: Tensor) -> list[float]:
        return [float(is_right(net, x, y, draws, generator).mean()) for net in models]

    def made(net: torch.nn.Module) -> Tensor:
        pairs = zip(x.split(BATCH), y.split(BATCH), strict=True)
        return torch.cat([attack.perturb(net, part, classes, generator=generator) for part, classes in pairs])

    return np.array(accuracies(x)), np.array([accuracies(made(net)) for net in models])
