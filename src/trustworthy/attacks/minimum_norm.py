"""The smallest perturbation of what is free that changes the class: (7.1) and (7.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from trustworthy.attacks.attack import Attack
from trustworthy.attacks.incumbent import where
from trustworthy.attacks.problem import Problem
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.free import only, put_back
from trustworthy.core.inputs import as_batch
from trustworthy.core.norms import L2, Linf, Norm, per_example
from trustworthy.core.predictive import pooled
from trustworthy.core.result import Array
from trustworthy.core.threat import ThreatModel

PACE = 0.05  # share by which a radius grows where its point fails, and shrinks where it succeeds, at first
LONGEST, SHORTEST = 1.0, 0.01  # steps as shares of the radius, from the first to the last; the pace falls likewise
CONFIRMATIONS = 4  # further answers of a stochastic model, together, that a nearer point must hold against


@dataclass(frozen=True, kw_only=True)
class MinimumNorm(Attack):
    """Walk along the gradient on a sphere that shrinks where the class has changed and grows where it has not.

    Direction and norm are decoupled (Rony et al. 2019): a step goes along the gradient of the margin, by the dual norm
    (in linf by its signs), then the perturbation is brought to the radius inside the box. The first radius is the
    distance to the boundary of the model's linearisation, and steps are shares of the radius, so that no scale of the
    inputs is presumed. The nearest adversarial point of all is returned.

    Parameters
    ----------
    norm : "l2" or "linf".
    steps : gradients taken, >= 1.
    start : points (batch, *shape) to go on from, one for each example, for instance what was found with other free
        coordinates; of each the free part is taken, and one that equals its example is none. About 20 steps then do.
    bounds, eot : see `Attack`.

    An upper bound on the true minimum. A point of a stochastic model counts only where four more answers, together,
    agree. Cost: steps * eot gradients, one forward pass less. Nothing is random.
    """

    norm: Norm = "l2"
    steps: int = 200
    start: Array | None = field(default=None, repr=False)
    loss: str = field(default="margin", init=False, repr=False)

    minimises_distance: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.geometry, L2 | Linf):
            raise InvalidInput(f"norm must be 'l2' or 'linf' for MinimumNorm, got {self.norm!r}.")
        checks.integer("steps", self.steps, at_least=1)

    def search(self, problem: Problem, generator: torch.Generator | None) -> Tensor:
        begun = self._begun(problem)
        walk = Walk(problem, self)
        found, rows = walk.nearest, (walk.distance > 0).nonzero().squeeze(1)
        if len(rows) and self.steps > 1:
            walk.go_on(rows, begun)
            for step in range(1, self.steps):
                walk.look()
                walk.step(SHORTEST + (LONGEST - SHORTEST) * (1 + math.cos(math.pi * step / self.steps)) / 2)
            found[rows] = walk.nearest
        return found

    def _begun(self, problem: Problem) -> Tensor:
        """Where each example's walk goes on from: the example itself where it has no start."""
        if self.start is None:
            return problem.x
        start = as_batch(self.start, self.bounds, "start").to(problem.x)
        if start.shape != problem.x.shape:
            raise InvalidInput(
                f"start must have the shape of x, {tuple(problem.x.shape)}, got {tuple(start.shape)}; repeat the "
                "example where there is none."
            )
        return put_back(problem.free, start, problem.x)


class Walk:
    """The present points, their radii, and the nearest adversarial points so far."""

    def __init__(self, problem: Problem, attack: MinimumNorm) -> None:
        self.problem, self.x = problem, problem.x
        self.threat = ThreatModel(attack.geometry, 0.0, attack.bounds, problem.free)
        self.geometry = self.threat.geometry
        self.nearest, self.distance = problem.x.clone(), problem.x.new_full((len(problem.x),), torch.inf)
        self.look()
        # A linear model has its boundary at this distance.
        radius = -self.margin / self.geometry.dual.size(self.uphill)
        self.radius = torch.where(radius.isfinite() & (radius > 0), radius, 1.0)

    def go_on(self, rows: Tensor, begun: Tensor) -> None:
        """With `rows` alone, from where they begin, or by a step."""
        self.problem, self.threat = self.problem.subset(rows), self.threat.subset(rows)
        for name in ("nearest", "distance", "radius", "uphill"):
            setattr(self, name, getattr(self, name)[rows])
        self.x = self.problem.x
        begun, free = begun[rows], self.placed(self.geometry.steepest(self.uphill))
        given = (begun != self.x).flatten(1).any(1)
        self.radius = torch.where(given, self.geometry.size(begun - self.x), self.radius)
        self.x = where(given, begun, free)

    def look(self) -> None:
        """Ask about the present points; they are taken over where they are the nearest."""
        gradient, self.margin, self.success = self.problem.ascent(self.x)
        self.uphill = self.threat.movable(self.x, gradient)
        length = self.geometry.size(self.problem.asked(self.x).to(self.x) - self.problem.x)
        better = self.success & (length < self.distance)
        if self.problem.is_noisy:
            better = self._confirmed(better)
        self.nearest = where(better, self.x, self.nearest)
        self.distance = torch.where(better, length, self.distance)

    def step(self, share: float) -> None:
        """Bring the radius nearer to the boundary, and the point along the gradient to that radius."""
        pace = PACE * share
        self.radius = torch.where(self.success, self.radius * (1 - pace), self.radius * (1 + pace))
        length = per_example(share * self.radius, self.x)
        self.x = self.placed(self.x - self.problem.x + length * self.geometry.steepest(self.uphill))

    def placed(self, move: Tensor) -> Tensor:
        """The point of the box along `move` whose distance is the radius, as far as the box allows."""
        size, kind = self.geometry.size(move), torch.finfo(move.dtype)
        if isinstance(self.geometry, Linf):
            move = self.geometry.project(move, self.radius)
        else:
            scale = (self.radius / size.clamp_min(kind.tiny)).clamp_max(kind.max)  # a move of zero times inf is NaN
            move = move * per_example(scale, move)
        return self.threat.clip(self.problem.x + only(self.problem.free, move))

    def _confirmed(self, rows: Tensor) -> Tensor:
        chosen = rows.nonzero().squeeze(1)
        if len(chosen) == 0:
            return rows
        part = self.problem.subset(chosen)
        answers = [part.scores(self.x[chosen]) for _ in range(CONFIRMATIONS)]
        confirmed = torch.zeros_like(rows)
        confirmed[chosen] = part.goal.reached(pooled(answers))
        return confirmed
