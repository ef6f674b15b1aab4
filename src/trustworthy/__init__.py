"""Can I depend on this machine-learning model? Robustness, uncertainty and interpretation, measured and improved.

Public names load on first use, so that importing the package is quick and needs no torch.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "audit": "report.audit",
    "harden": "report.hardening.harden",
    "LabelPropagation": "graphs",
    "NearestNeighborVerifier": "neighbors",
    "ThreatModel": "core.threat",
}
_PACKAGES = (
    "attacks",
    "certify",
    "core",
    "datasets",
    "graphs",
    "integrate",
    "metric_learning",
    "metrics",
    "neighbors",
    "nn",
    "report",
    "training",
)

__all__ = ["__version__", *_HOME, *_PACKAGES]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # takes longer to import than all the rest here

        return version(__name__)
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
