"""Figure 5.5 and section 5.4: what the weight of the distance does to the members of FastEnsemble."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reproduce.ch5.fields import Fields
from reproduce.ch5.maps import derived
from reproduce.ch5.models import CHOOSING_SEED, Spec, asked, chosen, digest, fitted, loss_of
from reproduce.ch5.table_5_1 import cells
from reproduce.kept import kept
from reproduce.runner import Setting
from reproduce.store import Measured

__all__ = ["cells", "measure"]
JUDGED = ("distance", "correlation", "member")


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Distance, correlation and losses at each weight, beside those at the weight below it; the chosen weight."""
    return list(_measured(cell, setting))


def _measured(cell: str, setting: Setting) -> Iterator[Measured]:
    spec = Spec(scale=setting.options["budget"], suite=cell, method="fast", seed=CHOOSING_SEED)
    weights = spec.common["weights"]
    found = {}
    for done, weight in enumerate(weights, start=1):
        own = replace(spec, weight=weight)
        found[weight] = kept(_of)(own, own.budget, digest(evaluation=True))
        yield from (Measured(name=f"{cell}.{name}@{weight:g}", value=value) for name, value in found[weight].items())
        setting.tell(done / len(weights))
    for before, weight in pairwise(weights):
        yield from (derived(f"{cell}.{name}-before@{weight:g}", found[before][name]) for name in JUDGED)
    yield Measured(name=f"{cell}.chosen", value=chosen(spec))


def _of(spec: Spec, budget: dict[str, Any], code: str) -> dict[str, float]:
    """What is drawn at one weight; of classes on the clean test rows, of images on clean fields."""
    data, members = spec.data, fitted(spec).model.members
    x, y = (data.tests["clean"].x, data.tests["clean"].y) if isinstance(data, Fields) else (data.test_x, data.test_y)
    answers = asked(spec, x).members
    pairs = list(combinations(range(len(members)), 2))
    weights = [torch.cat([part.detach().flatten() for part in member.parameters()]) for member in members]
    apart = [(weights[a] - weights[b]).abs().mean() for a, b in pairs]
    alike = [_alike(answers[a], answers[b], y, spec.kind) for a, b in pairs]
    losses = [_loss(spec, each, y) for each in answers[1:]]  # the first one is the seed
    found = {
        "distance": float(np.mean(apart)) / float(weights[0].abs().mean()),
        "correlation": float(np.mean(alike)),
        "member": float(np.mean(losses)),
        "ensemble": loss_of(spec, x, y),
        "validation": loss_of(spec, *spec.held),
    }
    return {name: round(value, 6) for name, value in found.items()}


def _alike(a: Tensor, b: Tensor, y: Tensor, kind: str) -> float:
    if kind == "classes":
        return float((a.argmax(1) == b.argmax(1)).double().mean())
    return float(np.corrcoef((a - y).flatten().numpy(), (b - y).flatten().numpy())[0, 1])


def _loss(spec: Spec, answers: Tensor, y: Tensor) -> float:
    return float((answers - y).abs().mean() if spec.kind == "images" else spec.loss.nats(answers, y).mean())
