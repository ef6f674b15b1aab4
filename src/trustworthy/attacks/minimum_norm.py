"""The smallest perturbation of what is free that changes the class: (7.1) and (7.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from trustworthy.attacks.attack import NearestAttack
from trustworthy.attacks.goal import Goal
from trustworthy.attacks.incumbent import where
from trustworthy.attacks.losses import soft_margin
from trustworthy.attacks.problem import Problem
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.free import only, put_back
from trustworthy.core.inputs import as_batch
from trustworthy.core.norms import Linf, per_example
from trustworthy.core.predictive import pooled
from trustworthy.core.result import Array
from trustworthy.core.seeds import torch_generator
from trustworthy.core.threat import ThreatModel

CONFIRMATIONS = 4  # further answers of a stochastic model, whose margins must be positive by two standard errors
SHORTEST = 0.01  # last steps of a leg, and last changes of its radius, as shares of the first ones
POLISH = 5  # one step in so many goes to the last leg, or as many as a leg has at least, up to a third of all


@dataclass(frozen=True)
class Leg:
    """One way to go; others end at other parts of the boundary, and the nearest is kept.

    temperature : of the soft margin that is followed, in shares of the margin at the input; 0 for the margin itself.
    stride : first step as a share of the radius.
    pace : by which share the radius grows where a point fails, and shrinks where it succeeds, at first.
    reach : first radius in units of the distance to the boundary of the linearised model.
    rival : follow the logit of this class alone, 0 for the likeliest other one at the input; where there is none, or a
        target, the soft margin.
    """

    temperature: float = 0.085
    stride: float = 1.0
    pace: float = 0.15
    reach: float = 1.0
    rival: int | None = None


LEGS = (
    Leg(stride=0.7, pace=0.2),
    Leg(temperature=0.17, stride=0.5, pace=0.2),
    Leg(rival=1, temperature=0.34),
    Leg(rival=2, temperature=0.04),
    Leg(stride=0.7, reach=3.0),
)
LAST = Leg(temperature=0.0, stride=0.2, pace=0.05)
WARM = Leg(stride=0.35, pace=0.1)
FAR = 1e6  # no coordinate goes further where there are no bounds
SHORT = 20  # steps of a leg at least, where there are several
LONG = 40  # steps of a leg from which on there are more of them, which begin elsewhere


@dataclass(frozen=True, kw_only=True)
class MinimumNorm(NearestAttack):
    """The nearest point of another class: eqs. (7.1) and (7.2), by walks on spheres that shrink where it has changed.

    Direction and norm are decoupled: a step goes along the gradient by the dual norm (in linf by its signs), then
    the perturbation is brought to the radius, which grows where the class has not changed and shrinks where it has.
    Where a walk ends depends on what it follows more than on how long it is, so that the steps are divided among
    several: along margins softened to two degrees, towards the second and the third likeliest other class, from a
    longer first radius; the last fifth (of few steps a third) goes on from the nearest point of all, along the
    margin itself. Beyond 250 steps further walks begin at other points as far away. The first radius is the
    distance to the boundary of the linearised model, steps are shares of the radius and temperatures shares of the
    margin, so that no scale of inputs or logits is presumed.

    Parameters
    ----------
    norm : "l2" or "linf".
    steps : gradients taken, >= 1.
    start : points (batch, *shape) to go on from, one for each example, for instance what was found with other free
        coordinates; of each the free part is taken, and one that equals its example is none. About 20 steps then do.
    bounds, eot : see `Attack`.

    An upper bound on the true minimum. A point of a stochastic model counts only where the mean margin of four more
    answers is positive by two standard errors. Cost: steps * eot gradients and one forward pass, of a stochastic
    model four, and four more for each success. Nothing is random: further walks begin in directions of fixed seeds.
    Reference: Rony et al. 2019, with several ways and a first radius added here.
    """

    steps: int = 200
    start: Array | None = field(default=None, repr=False)

    norms: ClassVar = ("l2", "linf")

    def __post_init__(self) -> None:
        super().__post_init__()
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
        corner = torch.maximum(problem.x - low, high - problem.x)
        self.farthest = self.geometry.size(only(problem.free, corner))
        self.nearest, self.distance = problem.x, problem.x.new_full((len(problem.x),), torch.inf)

    def explore(self, steps: int) -> None:
        """As many legs as there are steps for, each from the inputs, and one more from the nearest points."""
        last = max(steps // POLISH, min(SHORT, steps // 3))
        legs = LEGS[: max((steps - last) // SHORT, 1)]
        more = max((steps - last) // LONG - len(legs), 0)
        count = len(legs) + more
        for which, leg in enumerate(legs):
            self.go(leg, (steps - last + which) // count, self.problem.x)
        for which in range(len(legs), count):
            self.go(WARM, (steps - last + which) // count, self._elsewhere(which))
        self.go(LAST, last, where(self.distance.isfinite(), self.nearest, self.x))

    def _elsewhere(self, number: int) -> Tensor:
        """Points as far as the nearest ones, in directions drawn by the number of the leg."""
        x = self.problem.x
        noise = torch.randn(x.shape, generator=torch_generator(number, "leg", device=x.device), device=x.device)
        direction = self.geometry.steepest(self.threat.movable(x, noise.to(x)))
        length = torch.where(self.distance.isfinite(), self.distance, self.farthest)
        return self.threat.clip(x + per_example(length, x) * direction)

    def go(self, leg: Leg, steps: int, x: Tensor) -> None:
        """Ask `steps` times, at `x` first."""
        self.x, problem = x, self._followed(leg)
        radius = self.geometry.size(x - problem.x)
        for step in range(steps):
            gradient, _, success = problem.ascent(self.x)
            success = self._confirmed(success)
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
        if leg.rival is not None and goal.target is None and leg.rival < self.scores.shape[1] - 1:
            others = self.scores.scatter(1, goal.y[:, None], -torch.inf).argsort(1, descending=True)
            problem.goal = replace(goal, loss=partial(lead, rival=others[:, leg.rival]))
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
        self.nearest = where(better, self.x, self.nearest)
        self.distance = torch.where(better, length, self.distance)

    def _confirmed(self, success: Tensor) -> Tensor:
        """Of a stochastic model, the successes that further answers bear out."""
        rows = success.nonzero().squeeze(1)
        if not self.problem.is_noisy or len(rows) == 0:
            return success
        part = self.problem.subset(rows)
        margins = torch.stack([part.goal.losses(part.scores(self.x[rows])) for _ in range(CONFIRMATIONS)])
        return success.index_put((rows,), margins.mean(0) > 2 * margins.std(0) / math.sqrt(CONFIRMATIONS))


def positive(values: Tensor) -> Tensor:
    """The values, 1 where they are of no use as lengths."""
    return torch.where(values.isfinite() & (values > 0), values, 1.0)


def lead(logits: Tensor, y: Tensor, target: Tensor | None = None, *, rival: Tensor) -> Tensor:
    """By how much the logit of `rival` exceeds that of the true class."""
    return (logits.gather(1, rival[:, None]) - logits.gather(1, y[:, None])).squeeze(1)
