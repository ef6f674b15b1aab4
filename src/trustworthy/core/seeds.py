"""Independent named random streams from one seed.

A stream depends on the seed and on its own name alone, so adding a stream never shifts another.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from trustworthy.core import checks

if TYPE_CHECKING:
    import torch


def derived_seed(seed: int, *names: object) -> int:
    """63-bit seed of the stream called `names` under `seed`."""
    checks.integer("seed", seed, at_least=0)
    text = "\0".join([str(int(seed)), *map(str, names)])  # a slash may be part of a name
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def torch_generator(seed: int, *names: object, device: torch.device | str = "cpu") -> torch.Generator:
    """`torch.Generator` on `device` for the stream called `names` under `seed`."""
    import torch

    return torch.Generator(device=device).manual_seed(derived_seed(seed, *names))


def numpy_generator(seed: int, *names: object) -> np.random.Generator:
    """NumPy generator for the stream called `names` under `seed`."""
    return np.random.default_rng(derived_seed(seed, *names))
