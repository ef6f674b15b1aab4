"""Tables 3.5 and 3.6: certified and empirical robust errors of 11-NN under Euclidean and learned metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from reproduce import intervals
from reproduce.ch3.metrics import learned
from reproduce.claim import find
from reproduce.data import in_chunks, prepared, rows
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.attacks import BoundaryAttack
from trustworthy.neighbors import NearestNeighborVerifier

RADII = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
TABLE = {"satimage": "table-3.6", "usps": "table-3.6"}


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a data set, kind of error and metric."""
    kinds = ("certified", "empirical")
    return [f"{data}.{kind}.{metric}" for data in options["data"] for kind in kinds for metric in options["metrics"]]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Errors at each radius from lower bounds (Theorem 3), or from the perturbations that attacks find."""
    data, kind, metric = cell.split(".")
    split = prepared(data, setting.seed)
    matrix = learned(metric, data, setting)
    verifier = NearestNeighborVerifier(
        n_neighbors=setting.options["neighbors"], metric=matrix, n_jobs=setting.n_jobs
    ).fit(*rows(split, setting.options.get("rows")))
    radii = find(TABLE.get(data, "table-3.5"))[0].axis.get(data, RADII)
    if kind == "certified":
        n = setting.options["points"]
        bounds = in_chunks(setting, verifier.lower_bound, split.x_test[:n], split.y_test[:n], size=100)
        return intervals.errors(cell, radii, bounds, source=split.source)
    n = setting.options["attacked"]
    x, y = split.x_test[:n], split.y_test[:n]
    steps = setting.options["steps"]
    steps = steps[data] if isinstance(steps, dict) else steps
    starts, _ = rows(split, setting.options.get("rows", 2000))
    walked = in_chunks(setting, lambda x, y: boundary(verifier, starts, x, y, steps, setting.seed), x, y, size=100)
    direct = verifier.attack(x, y, "cell-descent").distance
    return [
        *intervals.errors(cell, radii, walked, source=split.source, attack=f"boundary, {steps} steps"),
        *intervals.errors(f"{data}.best.{metric}", radii, np.minimum(walked, direct), attack="boundary, cell-descent"),
    ]


def boundary(
    verifier: NearestNeighborVerifier, starts: np.ndarray, x: np.ndarray, y: np.ndarray, steps: int, seed: int
) -> np.ndarray:
    """Size of the boundary attack's perturbation in [0, 1], run on predictions; 0 where misclassified, inf if none."""
    classes = verifier.classes_
    found = np.where(verifier.predict(x) == y, np.inf, 0.0)
    todo = np.flatnonzero(found)
    inside = np.clip(x[todo], 0.0, 1.0)  # min-max of the training rows lets test rows leave the box a little

    def model(batch: torch.Tensor) -> torch.Tensor:
        codes = np.searchsorted(classes, verifier.predict(batch.numpy()))
        return torch.nn.functional.one_hot(torch.from_numpy(codes), len(classes)).to(batch.dtype)

    attack = BoundaryAttack(steps=steps, starts=torch.from_numpy(np.clip(starts, 0, 1)), bounds=(0.0, 1.0))
    result = attack(
        model,
        torch.from_numpy(inside),
        torch.from_numpy(np.searchsorted(classes, y[todo])),
        generator=torch.Generator().manual_seed(seed),
    )
    broken = result.success.numpy()
    found[todo[broken]] = np.linalg.norm(result.adversarial.numpy()[broken] - x[todo][broken], axis=1)
    return found
