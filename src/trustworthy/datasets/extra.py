"""Packages of the extra `data`, imported where they are used: starting a command needs none of them."""

from __future__ import annotations

import importlib
from typing import Any

from trustworthy.core.errors import DataUnavailable


def required(module: str) -> Any:
    """Import a module, or say how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        extra = "trustworthy[data]" if package in ("pandas", "pyarrow") else package
        raise DataUnavailable(f"these data are read with {package}, which is missing: pip install '{extra}'") from error
