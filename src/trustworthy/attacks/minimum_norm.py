"""The smallest perturbation of what is free that changes the class: (7.1) and (7.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from trustworthy.attacks.attack import Attack
from trustworthy.attacks.goal import Goal
from trustworthy.attacks.incumbent import where
from trustworthy.attacks.losses import soft_margin
from trustworthy.attacks.problem import Problem
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.free import only, put_back
from trustworthy.core.inputs import as_batch
from trustworthy.core.norms import L2, Linf, Norm, per_example
from trustworthy.core.predictive import pooled
from trustworthy.core.result import Array
from trustworthy.core.threat import ThreatModel

CONFIRMATIONS = 4  # answers of a stochastic model, pooled, that a point must hold against
SHORTEST = 0.01  # last steps of a leg, and last changes of its radius, as shares of the first ones
POLISH = 5  # the last leg takes one step of so many


@dataclass(frozen=True)
class Leg:
    """One way to go; others end at other parts of the boundary, and the nearest is kept.

    temperature : of the soft margin that is followed, in shares of the margin at the input; 0 for the margin itself.
    stride : first step as a share of the radius.
    pace : by which share the radius grows where a point fails, and shrinks where it succeeds, at first.
    reach : first radius in units of the distance to the boundary of the linearised model.
    rival : follow the logit of this class alone, 0 for the likeliest other one at the input.
    """

    temperature: float = 0.085
    stride: float = 1.0
    pace: float = 0.15
    reach: float = 1.0
    rival: int | None = None


LEGS = (
    Leg(stride=0.7, pace=0.2),
    Leg(temperature=0.17, stride=0.5, pace=0.2),
    Leg(rival=1),
    Leg(rival=2),
    Leg(stride=0.7, reach=3.0),
)
LAST = Leg(temperature=0.0, stride=0.2, pace=0.05)
WARM = Leg(stride=0.35, pace=0.1)
FAR = 1e6  # no coordinate goes further where there are no bounds
SHORT = 20  # steps of a leg at least, where there are several


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
        begun, found = self._begun(problem), problem.x.clone()
        scores = pooled([problem.scores(problem.x) for _ in range(CONFIRMATIONS if problem.is_noisy else 1)])
        right = (~problem.goal.reached(scores)).nonzero().squeeze(1)
        if len(right):
            walk = Walk(problem.subset(right), self, scores[right])
            if self.start is None:
                walk.explore(self.steps)
            else:
                walk.go(WARM, self.steps, begun[right])
            found[right] = walk.nearest
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

    def __init__(self, problem: Problem, attack: MinimumNorm, scores: Tensor) -> None:
        self.problem, self.x, self.scores = problem, problem.x, scores
        self.threat = ThreatModel(attack.geometry, 0.0, attack.bounds, problem.free)
        self.geometry = self.threat.geometry
        self.missing = positive(-problem.goal.losses(scores))
        low, high = attack.bounds or (-FAR, FAR)
        corner = torch.where(problem.x - low > high - problem.x, low, high)
        self.farthest = self.geometry.size(only(problem.free, corner - problem.x))
        self.nearest, self.distance = problem.x, problem.x.new_full((len(problem.x),), torch.inf)

    def explore(self, steps: int) -> None:
        """As many legs as there are steps for, each from the inputs, and one more from the nearest points."""
        last = steps // POLISH
        count = min(max((steps - last) // SHORT, 1), len(LEGS))
        legs = LEGS[:count]
        for which, leg in enumerate(legs):
            self.go(leg, (steps - last + which) // count, self.problem.x)
        self.go(LAST, last, where(self.distance.isfinite(), self.nearest, self.x))

    def go(self, leg: Leg, steps: int, x: Tensor) -> None:
        """Ask `steps` times, at `x` first."""
        self.x, problem = x, self._followed(leg)
        radius = self.geometry.size(x - problem.x)
        for step in range(steps):
            gradient, _, success = problem.ascent(self.x)
            self._keep(success)
            uphill = self.threat.movable(self.x, gradient)
            share = SHORTEST + (1 - SHORTEST) * (1 + math.cos(math.pi * step / steps)) / 2
            paced = radius * torch.where(success, 1 - share * leg.pace, 1 + share * leg.pace)
            linear = positive(leg.reach * self.missing / self.geometry.dual.size(uphill))
            radius = torch.where(radius > 0, paced, linear).minimum(self.farthest)
            length = per_example(share * leg.stride * radius, x)
            move = self.x - problem.x + length * self.geometry.steepest(uphill)
            self.x = self.threat.clip(problem.x + self._resized(move, radius))

    def _followed(self, leg: Leg) -> Problem:
        """The problem with what this leg climbs."""
        problem = self.problem.subset(self.problem.rows >= 0)
        goal = problem.goal
        if not isinstance(goal, Goal):
            return problem
        if leg.temperature > 0:
            heat = (leg.temperature * self.missing)[:, None]
            problem.goal = replace(goal, loss=partial(soft_margin, temperature=heat))
        if leg.rival is not None and goal.target is None:
            others = self.scores.scatter(1, goal.y[:, None], -torch.inf).argsort(1, descending=True)
            rival = others[:, min(leg.rival, others.shape[1] - 2)]
            problem.goal = replace(goal, loss=partial(lead, rival=rival))
        return problem

    def _resized(self, move: Tensor, radius: Tensor) -> Tensor:
        """The move, as long as the radius; in linf, no coordinate longer."""
        if isinstance(self.geometry, Linf):
            return self.geometry.project(move, radius)
        kind = torch.finfo(move.dtype)
        scale = (radius / self.geometry.size(move).clamp_min(kind.tiny)).clamp_max(kind.max)  # zero times inf is NaN
        return move * per_example(scale, move)

    def _keep(self, success: Tensor) -> None:
        """Take over the present points where they are the nearest adversarial ones."""
        length = self.geometry.size(self.problem.asked(self.x).to(self.x) - self.problem.x)
        better = success & (length < self.distance)
        if self.problem.is_noisy and bool(better.any()):
            rows = better.nonzero().squeeze(1)
            part = self.problem.subset(rows)
            better[rows] = part.goal.reached(pooled([part.scores(self.x[rows]) for _ in range(CONFIRMATIONS)]))
        self.nearest = where(better, self.x, self.nearest)
        self.distance = torch.where(better, length, self.distance)


def positive(values: Tensor) -> Tensor:
    """The values, 1 where they are of no use as lengths."""
    return torch.where(values.isfinite() & (values > 0), values, 1.0)


def lead(logits: Tensor, y: Tensor, target: Tensor | None = None, *, rival: Tensor) -> Tensor:
    """By how much the logit of `rival` exceeds that of the true class."""
    return (logits.gather(1, rival[:, None]) - logits.gather(1, y[:, None])).squeeze(1)
