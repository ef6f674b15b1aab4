"""What can be proved about the distance to the nearest change of prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True)
class Certificate:
    """Bounds on the minimal adversarial perturbation of each example.

    lower : no perturbation smaller than this changes the prediction; 0 where the prediction is already wrong.
    upper : some perturbation of this size does; inf where none is known.
    exact : whether lower and upper are the same number, proved optimal.
    perturbation : the perturbation of size `upper`, or None where the method finds none.
    """

    lower: Float[np.ndarray, " n"]
    upper: Float[np.ndarray, " n"]
    exact: Bool[np.ndarray, " n"]
    perturbation: Float[np.ndarray, "n features"] | None = None
