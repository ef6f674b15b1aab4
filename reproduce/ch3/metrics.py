"""The metrics of Tables 3.4 to 3.6 by the names in their rows."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Memory
from threadpoolctl import threadpool_limits

from reproduce.data import prepared, rows
from reproduce.runner import Setting
from trustworthy import metric_learning
from trustworthy.datasets import cache

LEARNERS = {"nca": "NCA", "lmnn": "LMNN", "itml": "ITML", "lfda": "LFDA", "arml": "ARML"}
"""Name of a row -> class of `trustworthy.metric_learning`, used with its defaults."""


def learned(metric: str, data: str, setting: Setting) -> np.ndarray | None:
    """Mahalanobis matrix that a method learns from the training rows; None for the Euclidean metric."""
    if metric.partition("-")[0] == "euclidean":
        return None
    limit = setting.options.get("rows")
    if metric != "arml":  # ours takes mini-batches of anchors; at the scale small the baselines take fewer rows
        limit = setting.options.get("metric_rows", limit)
    return _learned(metric, data, limit, setting.seed)


@functools.lru_cache(maxsize=2)
def _learned(metric: str, data: str, limit: int | None, seed: int) -> np.ndarray:
    """Three entries use the same matrices, which take minutes each: they are kept while the code is the same."""
    fitted = Memory(cache.directory() / "reproduce", verbose=0).cache(_fitted)
    return fitted(metric, data, limit, seed, _code())


def _fitted(metric: str, data: str, limit: int | None, seed: int, code: str) -> np.ndarray:
    return matrix(metric, *rows(prepared(data, seed), limit), seed)


def _code() -> str:
    """Digest of the learners' source."""
    sources = sorted(Path(metric_learning.__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def matrix(metric: str, x: np.ndarray, y: np.ndarray, seed: int, **options: Any) -> np.ndarray:
    """Fit one learner on one thread and return its matrix."""
    learner = getattr(metric_learning, LEARNERS[metric])
    known = learner().get_params()
    settings = {"random_state": seed, **options}
    with threadpool_limits(1):
        return (
            learner(**{key: value for key, value in settings.items() if key in known})
            .fit(x, y)
            .get_mahalanobis_matrix()
        )
