"""What the tests of the audit share: a plan that takes a second, and models whose numbers are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trustworthy.report.audit import audit
from trustworthy.report.findings import KINDS
from trustworthy.report.plan import make_plan

SMALL: dict[str, Any] = {
    "rows": 0,
    "resamples": 50,
    "draws": 2,
    "attacks": {
        "tried": [{"name": "PGD", "steps": 10, "random_start": False}],
        "decision": {"name": "BoundaryAttack", "steps": 20},
        "decision_rows": 6,
        "linf": 0.5,
        "l2": 0.5,
    },
    "linf": {"multiples": [0.5, 1.0, 2.0]},
    "l2": {"multiples": [0.5, 1.0, 2.0]},
    "distortion": {"rows": 0, "attack": {"name": "PGD", "steps": 10, "random_start": False}, "bisections": 12},
    "exchange": {"rows": 10, "queries": 30},
    "pictures": {"shown": 3},
    "randomness": {"draws": [1, 2, 4], "eot": [1, 8], "rows": 20},
    "defenses": {"repeats": 1},
    "transfer": {"rows": 20},
    "corruptions": {"rows": 6, "severities": [5]},
    "poisoning": {"rows": 40, "labelled": 10, "flips": 3},
    "selective": {"target_risk": 0.1},
    "interpretation": {"images": 2, "repeats": 2},
    "explanation": {"images": 2, "coalitions": 4, "steps": 5, "orders": 2},
    "diagnosis": {"rows": 8, "queries": 5},
}


def plan_of(kinds: Any, **changes: Any) -> Any:
    """The small plan for these kinds, sections changed key by key."""
    common = {"rows", "resamples", "draws", "attacks", *(kind.section for kind in kinds)}
    given = {key: value for key, value in SMALL.items() if key in common}
    for key, value in changes.items():
        given[key] = {**given.get(key, {}), **value} if isinstance(value, dict) else value
    for step in given.get("skip", ()):
        given.pop(step.rpartition(".")[2], None)
    return make_plan("quick", given, kinds=kinds)


def audited(model: Any, data: Any, *steps: str, out: Any = None, seed: int = 0, **changes: Any) -> Any:
    """The record of an audit by the small plan of the kinds that `steps` name, or of all."""
    kinds = [kind for kind in KINDS if not steps or kind.step in steps]
    assert len(kinds) == len(steps or KINDS)
    return audit(model, data, out, plan=plan_of(kinds, **changes), kinds=kinds, seed=seed)


class Linear(nn.Module):
    """Two logits, 0 and w.x + b, with a dropout and a batch normalisation that a careless audit would disturb."""

    def __init__(self, weight: Tensor, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = bias
        self.noise, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(1, affine=False, eps=0.0)

    def forward(self, x: Tensor) -> Tensor:
        score = self.noise(self.norm((x.flatten(1) @ self.weight + self.bias)[:, None]))
        return torch.cat([torch.zeros_like(score), score], dim=1)


def table(n: int = 60, features: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Rows of features with different spreads, and labels that the first feature decides but for some noise."""
    random = np.random.default_rng(0)
    x = random.normal(size=(n, features)) * np.arange(1.0, features + 1.0) + 3.0
    y = (x[:, 0] - 3.0 + 0.3 * random.normal(size=n) > 0).astype(np.int64)
    return x.astype(np.float32), y


def linear_of(x: np.ndarray) -> Linear:
    """A linear model of `table` that uses every feature."""
    weight = torch.tensor([1.0, 0.1, -0.05, 0.02, 0.03])[: x.shape[1]]
    return Linear(weight, bias=-float(weight.sum()) * 3.0)


def images(n: int = 24, size: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Grey images in [0, 1], some pixels exactly on the bounds; the label says whether the left half is brighter."""
    random = np.random.default_rng(1)
    x = random.uniform(size=(n, 1, size, size)).round(1)
    y = (np.arange(n) % 2).astype(np.int64)
    half = size // 2
    x[y == 1, :, :, :half] = np.minimum(x[y == 1, :, :, :half] + 0.4, 1.0)
    return x.astype(np.float32), y


class Halves(nn.Module):
    """Difference of the brightness of the halves of an image, as two logits."""

    def forward(self, x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        score = 10 * (x[..., :half].flatten(1).mean(1) - x[..., half:].flatten(1).mean(1)) - 1.5
        return torch.stack([torch.zeros_like(score), score], dim=1)


def values(record: Any) -> dict[tuple[str, str], Any]:
    """Everything that a record says, but for when and how long."""
    return {(f.model, f.name): f.model_dump(exclude={"wall_time"}) for f in record.findings}
