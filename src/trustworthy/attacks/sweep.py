"""Accuracy against the radius of the attack."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float

from trustworthy.attacks.attack import Attack, BudgetAttack
from trustworthy.attacks.evaluate import Advance, as_numpy, batches, check_examples, is_correct, silent, taken
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.grid import Grid
from trustworthy.core.protocols import AnyClassifier
from trustworthy.core.result import Array, AttackResult


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
    free: Array | None = None,
    grid: Grid | None = None,
    generator: torch.Generator | None = None,
    batch_size: int = 256,
    advance: Advance = silent,
) -> RobustnessCurve:
    """Accuracy of `model` under `attack` at each radius of `eps`.

    An attack with a budget runs at each radius in ascending order, on the examples that no smaller radius broke (a
    larger ball contains the smaller one). An attack that minimises the distance runs once, and its distances are read.

    Parameters
    ----------
    model, x, y, free, grid, generator : see `Attack.__call__`.
    attack : its own `eps`, if it has one, is not used.
    eps : radii >= 0 in the units of the input; sorted, repetitions dropped.
    batch_size : examples attacked at once; each batch meets all radii before the next one begins.
    advance : called after each batch with the share of the examples that is done, up to 1.

    Cost: one forward pass, then at most one attack per radius on each example that is not yet broken.
    """
    radii = np.unique([checks.real("eps", radius, at_least=0.0) for radius in eps])
    if len(radii) == 0:
        raise InvalidInput("eps must hold at least one radius, got none.")
    check_examples(x, y, attack.bounds, free)

    def attacked(attack: Attack, rows: np.ndarray) -> AttackResult:
        return attack(model, x[rows], y[rows], free=taken(free, rows), grid=grid, generator=generator)

    broken_at = np.zeros(len(x))
    for batch in batches(np.arange(len(x)), batch_size, advance):
        right = batch[is_correct(model, attack, x[batch], y[batch], generator=generator, batch_size=batch_size)]
        if len(right):
            broken_at[right] = _broken_at(attack, attacked, right, radii[radii > 0])
    return RobustnessCurve(repr(attack), attack.geometry.name, radii, broken_at)


def _broken_at(
    attack: Attack, attacked: Callable[[Attack, np.ndarray], AttackResult], rows: np.ndarray, radii: np.ndarray
) -> Float[np.ndarray, " n"]:
    """Smallest radius that breaks each of the examples `rows`, which the model classifies rightly."""
    if not isinstance(attack, BudgetAttack):
        return as_numpy(attacked(attack, rows).distance)
    broken_at = np.full(len(rows), np.inf)
    for radius in radii.tolist():
        left = np.flatnonzero(np.isinf(broken_at))
        if len(left) == 0:
            break
        broken_at[left[as_numpy(attacked(replace(attack, eps=radius), rows[left]).success)]] = radius
    return broken_at
