"""What the scripts of this chapter share: which call of the library a method of the dissertation is."""

from __future__ import annotations

import numpy as np

from reproduce.data import Split, correct, in_chunks, prepared, rows
from reproduce.runner import NotRun, Setting
from trustworthy.neighbors import (
    CellDescent,
    Mean,
    NaiveM,
    NearestNeighborVerifier,
    NeighborAttack,
    QPGreedy,
    QPTopM,
    Substitute,
)

ATTACKS: dict[str, NeighborAttack] = {
    "qp-top-1": QPTopM(m=1),
    "qp-top-10": QPTopM(m=10),
    "qp-greedy": QPGreedy(),
    "qp-greedy-released": QPGreedy(near="pivot", n_constraints=200),
    "cell-descent": CellDescent(),
    "naive-1": NaiveM(m=1),
    "naive-10": NaiveM(m=10),
    "mean": Mean(),
    "substitute": Substitute(),
    "substitute-released": Substitute(shrink=False),
}
"""Method of the dissertation, or ours beside it -> the attack."""


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
        return verifier.attack(part, labels, ATTACKS[method]).distance

    return in_chunks(setting, measure, x, y, size=min(50, max(1, len(x) // 4)))


def sample(verifier: NearestNeighborVerifier, split: Split, points: int) -> tuple[np.ndarray, np.ndarray]:
    """The test points of an entry: the first ones that are classified correctly."""
    x, y = correct(split, verifier.predict, points)
    if len(x) == 0:
        raise NotRun(f"no test point of {split.name} is classified correctly.")
    return x, y
