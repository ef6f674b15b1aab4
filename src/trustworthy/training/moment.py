"""Where in a run a loss or an augmentation is asked, and the random streams of that step.

Each stream at step k is a function of the seed, its name, k and the process alone. A resumed run therefore needs no
state of any generator, and whatever an evaluation or a callback draws shifts nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from trustworthy.core.seeds import derived_seed


@dataclass(frozen=True, slots=True)
class Moment:
    """What a loss or an augmentation may depend on beside the model and the batch.

    step : updates of the weights before this one, 0 to steps - 1.
    steps : updates of the whole run.
    epoch : passes over the data before this one, counted from 0.
    rows : examples of the whole training set, N: a prior over the weights enters the mean loss as KL / rows.
    generator : on the device of the batch, set anew for each step; the only source of randomness that repeats.
    """

    step: int
    steps: int
    epoch: int
    rows: int
    generator: torch.Generator


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
