"""The metrics of Tables 3.4 to 3.6 by the names in their rows."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from reproduce.data import prepared, rows
from reproduce.runner import Setting
from trustworthy import metric_learning

LEARNERS: dict[str, tuple[str, dict[str, Any]]] = {
    "nca": ("NCA", {"max_iter": 100}),
    "lmnn": ("LMNN", {}),
    "itml": ("ITML", {}),
    "lfda": ("LFDA", {}),
    "arml": ("ARML", {}),
}
"""Name of a row -> class of `trustworthy.metric_learning` and its options."""


def learned(metric: str, data: str, setting: Setting) -> np.ndarray | None:
    """Mahalanobis matrix that a method learns from the training rows; None for the Euclidean metric."""
    if metric.partition("-")[0] == "euclidean":
        return None
    limit = setting.options.get("rows")
    if metric != "arml":  # ours takes mini-batches of anchors; the baselines of the scale may take fewer rows
        limit = setting.options.get("metric_rows", limit)
    return _learned(metric, data, limit, setting.seed)


@functools.lru_cache(maxsize=2)
def _learned(metric: str, data: str, limit: int | None, seed: int) -> np.ndarray:
    name, options = LEARNERS[metric]
    learner = getattr(metric_learning, name)
    if "random_state" in learner().get_params():
        options = options | {"random_state": seed}
    x, y = rows(prepared(data, seed), limit)
    with threadpool_limits(1):
        return learner(**options).fit(x, y).get_mahalanobis_matrix()
