"""Boundary Attack: a random walk along the decision boundary, from predicted labels alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from trustworthy.attacks.attack import NearestAttack
from trustworthy.attacks.incumbent import where
from trustworthy.attacks.problem import Problem
from trustworthy.attacks.starts import TRIALS, as_starts, nearest_serving, random_point
from trustworthy.core import checks
from trustworthy.core.free import Free, only, put_back
from trustworthy.core.norms import per_example
from trustworthy.core.result import Array

HALVINGS = 12  # bisections between a starting point and the input
PACE = 0.1  # how fast the lengths follow success: a factor exp(PACE * (success - its aim))
SPHERE_AIM, SOURCE_AIM = 0.5, 0.2  # shares of moves meant to succeed: on the sphere alone, and towards the input
PROBE = 5  # every so many steps the move on the sphere is judged alone
CONVERGED = 1e-5  # relative move towards the input below which an example's walk has ended


@dataclass(frozen=True, kw_only=True)
class BoundaryAttack(NearestAttack):
    """Decision-based black-box attack: walk along the boundary on spheres around the input, and ever closer to it.

    Begins at an adversarial point moved to the boundary by bisection. A step is a random move of relative length
    `spherical_step` on the sphere around the input, then a move of relative length `source_step` towards the input; it
    is taken where the model still errs, and the walk of an example ends when its `source_step` falls below 1e-5. Both
    lengths grow with success and shrink with failure, example by example. The model is asked for its decision only, so
    it may be any callable, scikit-learn's `predict` included.

    Parameters
    ----------
    norm : only "l2".
    starts : points (any number, *shape) to begin from, other examples for instance; each example takes the nearest one
        at which the attack succeeds. None, or where none of them serves: up to 100 random points, noise of random
        mean and spread in the bounds, or without bounds normal around the input with a scale that grows from 0.1 by a
        tenth each time. Of a start only what is free is taken, and the mixtures are tried from the nearest on, 100 at
        most. A target is seldom met by chance: give starts that the model puts there.
    steps : steps of the walk.
    spherical_step, source_step : first relative lengths, > 0.
    bounds, eot : see `Attack`.

    Cost: eot * (1.2 steps + 14) forward passes, up to 100 for random starting points, and one for `starts`, which is
    not among the counted queries, as many of them at once as there are examples. Random: the starting points and the
    moves, shared by all examples of a batch, so that an example's result does not depend on its companions. Reference:
    Brendel et al. 2018.
    """

    starts: Array | None = field(default=None, repr=False)
    steps: int = 2000
    spherical_step: float = 0.01
    source_step: float = 0.01

    norms: ClassVar = ("l2",)
    asks: ClassVar = "labels"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.integer("steps", self.steps, at_least=0)
        checks.real("spherical_step", self.spherical_step, above=0.0)
        checks.real("source_step", self.source_step, above=0.0)

    def search(self, problem: Problem, generator: torch.Generator | None) -> Tensor:
        # The walk has a stream of its own: how many starting points are drawn from `generator` depends on the other
        # examples of the batch, and the moves of an example must not depend on them.
        seed = torch.randint(2**62, (), generator=generator, device=problem.x.device)
        walk = torch.Generator(problem.x.device).manual_seed(int(seed))
        found = self._start(problem, generator)
        rows = (found != problem.x).flatten(1).any(1).nonzero().squeeze(1)
        if len(rows):
            part = problem.subset(rows)
            found[rows] = self._walk(part, to_boundary(part, found[rows]), walk)
        return found

    def _start(self, problem: Problem, generator: torch.Generator | None) -> Tensor:
        """An adversarial point for each example; the input where it is one itself or none was found."""
        x = problem.x.clone()
        broken = problem.is_adversarial(x)
        if self.starts is not None:
            self._nearest_start(problem, x, broken)
        for trial in range(TRIALS):
            if bool(broken.all()):
                break
            _take_over(problem, x, broken, random_point(problem.x, self.bounds, trial, generator))
        return x

    def _nearest_start(self, problem: Problem, x: Tensor, broken: Tensor) -> None:
        pool = as_starts(self.starts, problem, self.bounds)
        if bool(broken.all()):
            return
        # Of a start only what is free is taken, in whole steps, and the model may judge the mixture otherwise.
        whole = problem.free is None and problem.grid is None
        distances = partial(_distances, problem.free, problem.x)
        for which in nearest_serving(problem, pool, 1 if whole else TRIALS, distances).T:
            if bool(broken.all()):
                break
            _take_over(problem, x, broken, pool[which.to(pool.device)].to(x))

    def _walk(self, problem: Problem, current: Tensor, generator: torch.Generator | None) -> Tensor:
        found, live = current.clone(), torch.arange(len(current), device=current.device)
        distance = self.geometry.size(current - problem.x)
        sphere = torch.full_like(distance, self.spherical_step)
        source = torch.full_like(distance, self.source_step)
        for step in range(self.steps):
            noise = only(problem.free, torch.empty_like(found[:1]).normal_(generator=generator))
            turned = self._turned(problem.x, current, noise, sphere)
            if step % PROBE == 0:
                sphere = sphere * paced(problem.is_adversarial(turned), SPHERE_AIM)
            shrink = ((1 - source) * distance / self.geometry.size(turned - problem.x)).clamp_max(1.0)
            candidate = problem.x + per_example(shrink, current) * (turned - problem.x)
            length = self.geometry.size(candidate - problem.x)
            accepted = problem.is_adversarial(candidate) & (length < distance)
            source = (source * paced(accepted, SOURCE_AIM)).clamp_max(0.5)
            current, distance = where(accepted, candidate, current), torch.where(accepted, length, distance)
            going = source > CONVERGED
            if not bool(going.all()):
                found[live] = current
                problem, live, current = problem.subset(going), live[going], current[going]
                distance, sphere, source = distance[going], sphere[going], source[going]
                if len(live) == 0:
                    return found
        found[live] = current
        return found

    def _turned(self, x: Tensor, current: Tensor, noise: Tensor, sphere: Tensor) -> Tensor:
        """Move by the relative length `sphere` along the sphere around `x` that goes through `current`."""
        radius = (current - x).flatten(1)
        across = noise.flatten(1)
        across = across - radius * ((across * radius).sum(1) / radius.square().sum(1))[:, None]
        length = across.norm(dim=1)  # zero where there is no way around: inputs of one coordinate
        across = across * torch.where(length > 0, sphere * radius.norm(dim=1) / length, 0.0)[:, None]
        turned = (radius + across) / (1 + sphere**2).sqrt()[:, None]
        moved = x + turned.reshape(x.shape)
        return moved if self.bounds is None else moved.clamp(*self.bounds)


def _take_over(problem: Problem, x: Tensor, broken: Tensor, points: Tensor) -> None:
    """Put what is free of `points` into the rows of `x` not yet `broken`, where that breaks them."""
    rows = (~broken).nonzero().squeeze(1)
    part = problem.subset(rows)
    candidate = put_back(part.free, points[rows], part.x)
    hit = part.is_adversarial(candidate)
    x[rows[hit]], broken[rows[hit]] = candidate[hit], True


def _distances(free: Free, x: Tensor, pool: Tensor) -> Tensor:
    """Distance (batch, points) between what is free of each example and the same of each point."""
    if free is None:
        return torch.cdist(x.flatten(1), pool.flatten(1))
    return torch.stack([((pool - one) * mask).flatten(1).norm(dim=1) for one, mask in zip(x, free, strict=True)])


def to_boundary(problem: Problem, adversarial: Tensor) -> Tensor:
    """The last adversarial point on the way from `adversarial` to the input, by bisection."""
    low, high = adversarial.new_zeros(len(adversarial)), adversarial.new_ones(len(adversarial))
    nearest = adversarial
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        candidate = torch.lerp(problem.x, adversarial, per_example(middle, adversarial))
        broken = problem.is_adversarial(candidate)
        nearest = where(broken, candidate, nearest)
        low, high = torch.where(broken, low, middle), torch.where(broken, middle, high)
    return nearest


def paced(success: Tensor, aim: float) -> Tensor:
    """Factor for a length whose moves should succeed in a share `aim` of the steps."""
    grow, shrink = math.exp(PACE * (1 - aim)), math.exp(-PACE * aim)
    return torch.where(success, grow, shrink)
