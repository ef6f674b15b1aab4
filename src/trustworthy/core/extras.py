"""Packages of the extras, imported where they are used: starting a command needs none of them."""

from __future__ import annotations

import importlib
from typing import Any

from trustworthy.core.errors import MissingPackage

_EXTRA = {
    "pandas": "data", "pyarrow": "data", "pyreadr": "data", "onnx": "onnx", "onnxruntime": "onnx", "skops": "skops",
    "transformers": "text", "mapie": "conformal", "flask": "studio", "sqlalchemy": "studio", "nd2": "bio",
    "czifile": "bio", "liffile": "bio", "bioimageio": "bio",
}  # fmt: skip


def required(module: str, purpose: str = "reading these data") -> Any:
    """Import a module that `purpose` needs. Raises MissingPackage, which says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        wanted = f"trustworthy[{_EXTRA[package]}]" if package in _EXTRA else package
        raise MissingPackage(f"{purpose} needs {package} ({error}): pip install '{wanted}'") from error
