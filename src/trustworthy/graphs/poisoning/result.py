"""What an attack on training data returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int


@dataclass(frozen=True)
class PoisoningResult:
    """Poisoned training data and what they do to the learner.

    labels : (n,) the given labels with the attacked ones changed; unlabelled rows keep their mark.
    features : (n, features) the given features, or the changed ones.
    flipped : rows, ascending, whose label or features were changed.
    objective : value of eq. (1.2) that the attacker reached by its own knowledge; lower is better for it.
    error_before, error_after : RMSE (regression) or share of wrong classes (classification; a tie is wrong) of the
        unlabelled rows: against the truth, or where that is not given against the predictions from clean labels.
    bound : proven upper bound on `error_after` of any attack of the same budget; NaN where none was worked out.
    """

    labels: np.ndarray
    features: Any
    flipped: Int[np.ndarray, " flipped"]
    objective: float
    error_before: float
    error_after: float
    bound: float

    @property
    def gap(self) -> float:
        """How far the attack may be from the worst one."""
        return self.bound - self.error_after
