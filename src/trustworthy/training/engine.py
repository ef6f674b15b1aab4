"""How a run is computed, beside what it computes."""

from __future__ import annotations

from dataclasses import dataclass

from accelerate import Accelerator

from trustworthy.core import checks


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Hardware, memory and display of a run.

    Parameters
    ----------
    accelerator : `accelerate.Accelerator`: device, mixed precision, several processes; None for Accelerate's default.
    workers : processes that load a torch `Dataset`; 0 for none.
    accumulate : parts >= 1 that each batch is cut into, so that memory holds one part at a time. Their gradients add
        up to that of the batch, up to rounding, unless the model normalises by batch or the loss draws at random.
    clip : largest l2 norm > 0 of the gradient of all weights together, a longer one is scaled down to it; None for no
        limit.
    progress : show a progress bar on standard error; None shows it only on a terminal.
    """

    accelerator: Accelerator | None = None
    workers: int = 0
    accumulate: int = 1
    clip: float | None = None
    progress: bool | None = None

    def __post_init__(self) -> None:
        checks.integer("workers", self.workers, at_least=0)
        checks.integer("accumulate", self.accumulate, at_least=1)
        if self.clip is not None:
            checks.real("clip", self.clip, above=0.0)
