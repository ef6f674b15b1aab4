"""Accuracy of the mean of several draws (Figures 2.4 and 2.10)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from reproduce.ch2.models import BUDGETS, Spec, digest, model
from reproduce.kept import kept
from trustworthy.attacks import PGD
from trustworthy.core.predictive import pooled, predict
from trustworthy.core.seeds import torch_generator


def over_draws(spec: Spec, eps: float, counts: list[int]) -> dict[int, np.ndarray]:
    """For each number of draws, how often a row is right, (n,): in as many groups of them as the draws give.

    eps : radius of the attack (PGD in linf, the draws of the budget averaged) before the model is asked; 0 for none.
    """
    budget = BUDGETS[spec.scale]
    return kept(_over_draws)(
        spec, spec.budget, eps, counts, budget["pgd"]["steps"], budget["eot"], digest(evaluation=True)
    )


def _over_draws(
    spec: Spec, budget: dict[str, Any], eps: float, counts: list[int], steps: int, eot: int, code: str
) -> dict[int, np.ndarray]:
    net, rows, generator = model(spec), spec.images, torch_generator(spec.seed, "draws")
    x, y = rows.test_x, rows.test_y
    if eps:
        attack = PGD(eps=eps, steps=steps, eot=eot)
        x = torch.cat([attack.perturb(net, part, of, generator=generator) for part, of in _batches(x, y)])
    members = predict(net, x, draws=max(counts), generator=generator).members
    found = {}
    for count in counts:
        groups = [members[first : first + count] for first in range(0, len(members) - count + 1, count)]
        right = [(pooled(group).argmax(1) == y).double() for group in groups]
        found[count] = torch.stack(right).mean(0).numpy()
    return found


def _batches(x: torch.Tensor, y: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(zip(x.split(128), y.split(128), strict=True))
