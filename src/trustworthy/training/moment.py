"""Where in a run a loss or an augmentation is asked."""

from __future__ import annotations

from dataclasses import dataclass

import torch


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
