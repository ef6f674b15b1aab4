"""Accuracy against the radius of the attack."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float

from trustworthy.attacks.attack import Attack, BudgetAttack
from trustworthy.attacks.evaluate import Advance, as_numpy, batches, check_examples, silent, taken
from trustworthy.attacks.judgement import FreshDraws
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.grid import Grid
from trustworthy.core.protocols import AnyClassifier
from trustworthy.core.result import Array


@dataclass(frozen=True)
class RobustnessCurve:
    """Accuracy under attack at each radius; it cannot rise with the radius.

    attack : the attack as it prints, joined with " | " where several were combined.
    norm : name of the norm that radii are measured in.
    eps : radii, ascending.
    broken_at : per example the smallest radius known to break it: 0 where the clean prediction is already wrong,
        inf where no attack succeeded.
    limits_at : the same of a stochastic model, as far as the draws of its judge tell: per example the smallest radius
        at which it may be broken, and the smallest at which it surely is. Both are `broken_at` where nothing is open.
    """

    attack: str
    norm: str
    eps: Float[np.ndarray, " radii"]
    broken_at: Float[np.ndarray, " n"]
    limits_at: Float[np.ndarray, "2 n"]

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
        limits_at = np.minimum.reduce([curve.limits_at for curve in every])
        return RobustnessCurve(" | ".join(curve.attack for curve in every), self.norm, self.eps, broken_at, limits_at)


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
    judge: FreshDraws | None = None,
    batch_size: int = 256,
    advance: Advance = silent,
) -> RobustnessCurve:
    """Accuracy of `model` under `attack` at each radius of `eps`.

    An attack with a budget runs at each radius in ascending order, on the examples that no smaller radius broke (a
    larger ball contains the smaller one). An attack that minimises the distance runs once, and its distances are read.

    Parameters
    ----------
    model, x, y, free, grid, generator, judge : see `Attack.__call__`. With a judge, an example is attacked at larger
        radii until it is surely broken, and counts as broken where its mean prediction is wrong.
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

    at = np.full((3, len(x)), np.inf)  # smallest radius that may break each example, does by the mean, surely does
    for batch in batches(np.arange(len(x)), batch_size, advance):
        with attack.pose(model, x[batch], y[batch], generator=generator, judge=judge) as problem:
            wrong = problem.is_adversarial(problem.x) if judge is None else None
            _lower(at, batch, problem.judged(problem.x) if wrong is None else (wrong, torch.zeros_like(wrong)), 0.0)
        for radius in radii[radii > 0].tolist() if isinstance(attack, BudgetAttack) else [None]:
            left = batch[np.isinf(at[2, batch])]
            if len(left) == 0:
                break
            sized = attack if radius is None else replace(attack, eps=radius)
            found = sized(model, x[left], y[left], free=taken(free, left), grid=grid, generator=generator, judge=judge)
            _lower(at, left, (found.success, found.open), as_numpy(found.distance) if radius is None else radius)
    return RobustnessCurve(repr(attack), attack.geometry.name, radii, at[1], at[[0, 2]])


def _lower(
    at: Float[np.ndarray, "3 n"], rows: np.ndarray, judged: tuple[Array, Array], radius: np.ndarray | float
) -> None:
    """Lower `at` of `rows` to `radius` where the judgement (broken, open) says that they may be, are, surely are."""
    broken, unsure = map(as_numpy, judged)
    for place, holds in enumerate((broken | unsure, broken, broken & ~unsure)):
        at[place, rows] = np.where(holds, np.minimum(at[place, rows], radius), at[place, rows])
