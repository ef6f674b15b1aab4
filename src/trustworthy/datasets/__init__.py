"""Data sets by name, from files and from folders, as NumPy arrays; none of it imports torch before it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trustworthy.datasets.arrays import from_file
from trustworthy.datasets.dataset import Dataset
from trustworthy.datasets.loading import get, how, load, names, state, summary, where
from trustworthy.datasets.pictures import from_folder
from trustworthy.datasets.user_data import read

if TYPE_CHECKING:
    from trustworthy.datasets.corruptions import corrupt

__all__ = [
    "Dataset",
    "corrupt",
    "from_file",
    "from_folder",
    "get",
    "how",
    "load",
    "names",
    "read",
    "state",
    "summary",
    "where",
]


def __getattr__(name: str) -> Any:
    if name == "corrupt":
        from trustworthy.datasets.corruptions import corrupt

        return corrupt
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
