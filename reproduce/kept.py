"""Results that take minutes and that several entries use, kept on disk while what they depend on is the same."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from joblib import Memory

import trustworthy
from trustworthy.datasets import cache


def kept(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its results on disk, by its arguments; `digest_of` its source should be one of them."""
    return Memory(cache.directory() / "reproduce", verbose=0).cache(function)


@functools.cache
def digest_of(own: tuple[Path, ...], library: tuple[str, ...]) -> str:
    """Of the source that a result depends on: files, and parts of the library by their folders."""
    folder = Path(trustworthy.__file__).parent
    sources = [*own, *(path for part in library for path in (folder / part).rglob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(sources))).hexdigest()
