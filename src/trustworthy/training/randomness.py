"""Random streams of a run, set anew at every step.

Each stream at step k is a function of the seed, its name, k and the process alone. A resumed run therefore needs no
state of any generator, and whatever an evaluation or a callback draws shifts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trustworthy.core.seeds import derived_seed


class Streams:
    """Generators for the augmentation and the loss, and the global stream for models that draw from it (dropout)."""

    def __init__(self, seed: int, device: torch.device, process: int = 0) -> None:
        self._seed, self._device, self._process = seed, device, process
        self.augmentation = torch.Generator(device)
        self.loss = torch.Generator(device)

    def begin(self, step: int) -> None:
        """Set every stream for `step`."""
        self.augmentation.manual_seed(self._derive("augmentation", step))
        self.loss.manual_seed(self._derive("loss", step))
        seed = self._derive("model", step)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed costs a hundred times more
        if self._device.type != "cpu":
            torch.get_device_module(self._device).manual_seed(seed)

    def _derive(self, name: str, step: int) -> int:
        return derived_seed(self._seed, name, step, self._process)


@contextmanager
def global_stream_restored(device: torch.device) -> Iterator[None]:
    """Give the global stream back as it was, on the CPU and on a CUDA `device`, even after an error."""
    accelerators = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=accelerators):
        yield
