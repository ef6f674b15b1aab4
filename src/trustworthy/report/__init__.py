"""The trust report: measure a model, save the findings, render them, gate on them, and harden what worries."""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "KINDS": "findings",
    "AuditRecord": "finding",
    "Finding": "finding",
    "Hardened": "hardening.harden",
    "Kind": "kind",
    "Omission": "finding",
    "Plan": "plan",
    "harden": "hardening.harden",
    "make_plan": "plan",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
