"""How many processor threads the command line uses."""

from __future__ import annotations

import os
from typing import Annotated

import typer

Threads = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Processor threads; default: OMP_NUM_THREADS, else half of the cores."),
]


def set_threads(wanted: int | None) -> None:
    """Set torch's threads: `wanted`, else OMP_NUM_THREADS, else half of the cores.

    Small batches gain little from a second thread, and on a busy machine threads that wait for each other make a run
    many times slower; half of the cores leaves room for what else is running.
    """
    import torch

    if wanted is not None:
        torch.set_num_threads(wanted)
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
