"""Accuracy against the radius of the attack."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float

from trustworthy.attacks.attack import Attack, BudgetAttack
from trustworthy.attacks.evaluate import batches, check_examples, correct
from trustworthy.attacks.result import Array
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.protocols import AnyClassifier


@dataclass(frozen=True)
class RobustnessCurve:
    """Accuracy under attack at each radius; it cannot rise with the radius.

    attack : the attack as it prints, joined with " | " where several were combined.
    norm : name of the norm that radii are measured in.
    eps : radii, ascending.
    broken_at : per example the smallest radius known to break it: 0 where the clean prediction is already wrong,
        inf where no attack succeeded.
    """

    attack: str
    norm: str
    eps: Float[np.ndarray, " radii"]
    broken_at: Float[np.ndarray, " n"]

    @property
    def robust(self) -> Bool[np.ndarray, "radii n"]:
        """Whether each example withstands each radius."""
        return self.broken_at[None, :] > self.eps[:, None]

    @property
    def accuracy(self) -> Float[np.ndarray, " radii"]:
        """Share of examples classified rightly under attack, at each radius."""
        return self.robust.mean(1)

    def worst(self, *others: RobustnessCurve) -> RobustnessCurve:
        """The curve of the strongest attack on each example; all curves are of the same examples, norm and radii."""
        for other in others:
            same = other.norm == self.norm and np.array_equal(other.eps, self.eps)
            if not same or len(other.broken_at) != len(self.broken_at):
                raise InvalidInput("others must have the norm, the radii and the examples of this curve.")
        every = (self, *others)
        broken_at = np.minimum.reduce([curve.broken_at for curve in every])
        return RobustnessCurve(" | ".join(curve.attack for curve in every), self.norm, self.eps, broken_at)


def robustness_curve(
    model: AnyClassifier,
    attack: Attack,
    x: Array,
    y: Array,
    eps: Iterable[float],
    *,
    generator: torch.Generator | None = None,
    batch_size: int = 256,
) -> RobustnessCurve:
    """Accuracy of `model` under `attack` at each radius of `eps`.

    An attack with a budget runs at each radius in ascending order, on the examples that no smaller radius broke (a
    larger ball contains the smaller one). An attack that minimises the distance runs once, and its distances are read.

    Parameters
    ----------
    model, x, y, generator : see `Attack.__call__`.
    attack : its own `eps`, if it has one, is not used.
    eps : radii >= 0 in the units of the input; sorted, repetitions dropped.
    batch_size : examples attacked at once.

    Cost: one forward pass, then at most one attack per radius on each example that is not yet broken.
    """
    radii = np.unique([checks.real("eps", radius, at_least=0.0) for radius in eps])
    if len(radii) == 0:
        raise InvalidInput("eps must hold at least one radius, got none.")
    check_examples(x, y, attack.bounds)
    shared = {"bounds": attack.bounds, "eot": attack.eot, "generator": generator, "batch_size": batch_size}
    right = correct(model, x, y, **shared)
    broken_at = np.where(right, np.inf, 0.0)
    if isinstance(attack, BudgetAttack):
        for radius in radii[radii > 0]:
            stronger = replace(attack, eps=float(radius))
            for rows in batches(np.flatnonzero(np.isinf(broken_at)), batch_size):
                success = stronger(model, x[rows], y[rows], generator=generator).success
                broken_at[rows[torch.as_tensor(success).cpu().numpy()]] = radius
    else:
        for rows in batches(np.flatnonzero(right), batch_size):
            distance = attack(model, x[rows], y[rows], generator=generator).distance
            broken_at[rows] = torch.as_tensor(distance).cpu().numpy()
    return RobustnessCurve(repr(attack), attack.geometry.name, radii, broken_at)
