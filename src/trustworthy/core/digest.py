"""One hash of everything that a kept result depends on: arrays, tensors, texts, numbers, and collections of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


def digest(*parts: Any) -> str:
    """Hash of 128 bits of `parts`, as 32 hexadecimal digits; the same in every process and on every machine.

    A part is None, a bool, a number, a text, bytes, a NumPy array, a torch tensor (on any device), a sparse matrix in
    compressed rows, or a list, tuple or mapping of parts; the order of a mapping's keys does not matter. What differs
    in value, type, shape or nesting has another hash: 1 and 1.0, "1" and 1, (1, 2) and ((1,), 2).

    Raises
    ------
    TypeError : a part of another type, which has no content to hash.
    """
    state = hashlib.blake2b(digest_size=16)
    for piece in _pieces(parts):
        state.update(piece)
    return state.hexdigest()


def _pieces(part: Any) -> Iterator[bytes | memoryview]:
    """Bytes that determine `part`: each kind has a head of its own, and says how long it is."""
    if isinstance(part, bool | int | float | type(None) | np.generic):
        yield f"{type(part).__name__} {part!r};".encode()
    elif isinstance(part, str | bytes):
        content = part.encode() if isinstance(part, str) else part
        yield f"{type(part).__name__} {len(content)};".encode()
        yield content
    elif isinstance(part, np.ndarray):
        if part.dtype.hasobject:
            raise TypeError(f"an array of {part.dtype} has no content of its own to hash.")
        yield f"array {part.dtype.str} {part.shape};".encode()
        yield np.ascontiguousarray(part).tobytes()
    elif isinstance(part, Mapping):
        yield f"mapping {len(part)};".encode()
        for key in sorted(part, key=str):
            yield from _pieces(key)
            yield from _pieces(part[key])
    elif isinstance(part, list | tuple):
        yield f"list {len(part)};".encode()
        for item in part:
            yield from _pieces(item)
    elif hasattr(part, "indptr"):
        yield f"sparse {part.shape};".encode()
        yield from _pieces((part.data, part.indices, part.indptr))
    elif hasattr(part, "detach"):
        import torch  # only where there is a tensor

        yield f"tensor {part.dtype} {tuple(part.shape)};".encode()
        yield part.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().data  # NumPy knows no bfloat16
    else:
        raise TypeError(f"{type(part).__name__} has no content that can be hashed; pass its parts.")
