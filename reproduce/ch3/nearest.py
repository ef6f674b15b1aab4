"""What the scripts of this chapter share: which call of the library a method of the dissertation is."""

from __future__ import annotations

from typing import Any

import numpy as np

from reproduce.data import Split, correct, in_chunks, prepared, rows
from reproduce.runner import NotRun, Setting
from trustworthy.neighbors import NearestNeighborVerifier

ATTACKS: dict[str, tuple[str, dict[str, Any]]] = {
    "qp-top-1": ("qp-top-m", {"m": 1}),
    "qp-top-10": ("qp-top-m", {"m": 10}),
    "qp-greedy": ("qp-greedy", {}),
    "qp-greedy-released": ("qp-greedy", {"near": "pivot", "n_constraints": 200}),
    "cell-descent": ("cell-descent", {}),
    "naive-1": ("naive-m", {"m": 1}),
    "naive-10": ("naive-m", {"m": 10}),
    "mean": ("mean", {}),
    "substitute": ("substitute", {}),
    "substitute-released": ("substitute", {"shrink": False}),
}
"""Method of the dissertation, or ours beside it -> name and options of `NearestNeighborVerifier.attack`."""


def fitted(data: str, setting: Setting, limit: int | None = None) -> tuple[NearestNeighborVerifier, Split]:
    """A Euclidean classifier on the training rows of a data set."""
    split = prepared(data, setting.seed)
    verifier = NearestNeighborVerifier(n_neighbors=setting.options.get("neighbors", 1), n_jobs=setting.n_jobs)
    return verifier.fit(*rows(split, limit)), split


def sizes(verifier: NearestNeighborVerifier, method: str, x: np.ndarray, y: np.ndarray, setting: Setting) -> np.ndarray:
    """Size of the perturbation of each point, or its lower bound; inf where an attack fails."""

    def measure(part: np.ndarray, labels: np.ndarray) -> np.ndarray:
        if method == "qp-exact":
            return verifier.exact(part, labels).upper
        if method == "qp-verify":
            return verifier.lower_bound(part, labels)
        name, options = ATTACKS[method]
        return verifier.attack(part, labels, method=name, **options).upper

    return in_chunks(setting, measure, x, y, size=min(50, max(1, len(x) // 4)))


def sample(verifier: NearestNeighborVerifier, split: Split, points: int) -> tuple[np.ndarray, np.ndarray]:
    """The test points of an entry: the first ones that are classified correctly."""
    x, y = correct(split, verifier.predict, points)
    if len(x) == 0:
        raise NotRun(f"no test point of {split.name} is classified correctly.")
    return x, y
