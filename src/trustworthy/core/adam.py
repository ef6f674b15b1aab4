"""Adam, one matrix at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float


@dataclass(kw_only=True)
class Adam:
    """Adaptive steps downhill with bias correction (Kingma and Ba, 2015).

    learning_rate : > 0; decays : in [0, 1), of the first and the second moment; floor : added to the divisor.
    """

    learning_rate: float
    decays: tuple[float, float] = (0.9, 0.999)
    floor: float = 1e-8
    steps: int = 0
    _moments: list[np.ndarray] = field(default_factory=list, repr=False)

    def __call__(self, value: Float[np.ndarray, "..."], gradient: Float[np.ndarray, "..."]) -> None:
        """Change `value` in place by one step against `gradient`."""
        if not self._moments:
            self._moments = [np.zeros_like(value), np.zeros_like(value)]
        self.steps += 1
        for moment, decay, power in zip(self._moments, self.decays, (gradient, gradient * gradient), strict=True):
            moment *= decay
            moment += (1 - decay) * power
        first, second = (1 - decay**self.steps for decay in self.decays)
        divisor = np.sqrt(self._moments[1] / second)
        divisor += self.floor
        value -= (self.learning_rate / first) * self._moments[0] / divisor
