"""The smallest perturbation that an attack can find."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from trustworthy.attacks.attack import Attack, BudgetAttack
from trustworthy.attacks.evaluate import Advance, attacked, silent
from trustworthy.attacks.incumbent import where
from trustworthy.attacks.problem import Problem
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.grid import Grid
from trustworthy.core.norms import Norm
from trustworthy.core.protocols import AnyClassifier
from trustworthy.core.result import Array, AttackResult
from trustworthy.core.threat import Bounds


@dataclass(frozen=True, kw_only=True)
class Bisection(Attack):
    """A minimal-distance attack made of one with a budget, by bisection over the radius of each example.

    Parameters
    ----------
    attack : its `eps`, one number, is the largest radius tried; its norm, bounds, eot and loss hold.
    bisections : cuts of the interval, by half, and to a quarter as long as no radius has failed: what is far smaller
        than `attack.eps` is then resolved as well. At worst the radius is resolved to 1.5 attack.eps / 2**bisections.

    The distance is that of the point found, which may lie well inside its ball. Cost: at most 1 + bisections runs of
    `attack` and as many forward passes. Random: what `attack` draws.
    """

    attack: BudgetAttack
    bisections: int = 10
    norm: Norm = field(init=False, repr=False)
    bounds: Bounds | None = field(init=False, repr=False)
    eot: int = field(init=False, repr=False)
    loss: str = field(init=False, repr=False)

    minimises_distance: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("norm", "bounds", "eot", "loss", "asks"):
            object.__setattr__(self, name, getattr(self.attack, name))
        super().__post_init__()
        checks.integer("bisections", self.bisections, at_least=0)
        if isinstance(self.attack.eps, Tensor):
            raise InvalidInput("eps of the attack must be one radius, the largest to try, got a tensor.")

    def search(self, problem: Problem, generator: torch.Generator | None) -> Tensor:
        nearest = problem.x.clone()
        right = (~problem.is_adversarial(problem.x)).nonzero().squeeze(1)
        if len(right) == 0:
            return nearest
        problem = problem.subset(right)
        found = self.attack.search(problem, generator)
        broken = problem.is_adversarial(found).nonzero().squeeze(1)
        nearest[right[broken]] = self._bisect(problem.subset(broken), found[broken], generator)
        return nearest

    def _bisect(self, problem: Problem, nearest: Tensor, generator: torch.Generator | None) -> Tensor:
        high = self.geometry.size(nearest - problem.x)
        low = torch.zeros_like(high)
        for _ in range(self.bisections if len(nearest) else 0):
            radius = torch.where(low > 0, (low + high) / 2, high / 4)
            found = replace(self.attack, eps=radius).search(problem, generator)
            broken, length = problem.is_adversarial(found), self.geometry.size(found - problem.x)
            closer = broken & (length < high)
            nearest, high = where(closer, found, nearest), torch.where(closer, length, high)
            # A point found well inside its ball may bring `high` below a radius that failed.
            low = torch.minimum(torch.where(broken, low, radius), high)
        return nearest


def minimal_distortion(
    model: AnyClassifier,
    attack: Attack,
    x: Array,
    y: Array,
    *,
    target: Array | None = None,
    free: Array | None = None,
    grid: Grid | None = None,
    bisections: int = 10,
    generator: torch.Generator | None = None,
    batch_size: int = 256,
    advance: Advance = silent,
) -> AttackResult:
    """Smallest distance at which `attack` succeeds, per example, and the adversarial examples found there.

    An upper bound on the true minimum, like everything an attack finds; 0 where the prediction is wrong to begin
    with, inf and the input itself where nothing is found.

    Parameters
    ----------
    model, x, y, target, free, grid, generator : see `Attack.__call__`.
    attack : one that minimises the distance just runs; one with a budget is bisected up to its `eps` (`Bisection`).
    bisections : cuts of the interval from 0 to `attack.eps`.
    batch_size : examples attacked at once.
    advance : called after each batch with the share of the examples that is done, up to 1.
    """
    if isinstance(attack, BudgetAttack):
        attack = Bisection(attack=attack, bisections=bisections)
    how = {"target": target, "free": free, "grid": grid, "generator": generator}
    return attacked(model, attack, x, y, **how, batch_size=batch_size, advance=advance)
