"""How many processor threads the command line uses."""

from __future__ import annotations

import os
from typing import Annotated

import typer

Threads = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Processor threads; default: OMP_NUM_THREADS, else the cores that are idle."),
]


def idle_cores() -> int:
    """Cores that nothing has kept busy in the last minute, at least one; half of the cores where no system says it.

    Threads that wait for a core that other work holds make a run many times slower, and a core left idle helps nobody.
    """
    cores = os.cpu_count() or 1
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else cores / 2
    return max(1, cores - round(busy))


def set_threads(wanted: int | None) -> None:
    """Set torch's threads: `wanted`, else OMP_NUM_THREADS, else the cores that are idle."""
    import torch

    if wanted is not None:
        torch.set_num_threads(wanted)
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(idle_cores())
