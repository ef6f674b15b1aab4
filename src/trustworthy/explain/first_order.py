"""g(f, x, S) estimated from a few gradients: the distance to the linearised boundary inside the box.

Where a perturbation of a neighbouring coalition is known, one or two gradients tell coalitions apart almost as well as
a search does, at a hundredth of its cost. An estimate is no bound: it ranks features, and judges nothing.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trustworthy.attacks.goal import Goal
from trustworthy.attacks.incumbent import where
from trustworthy.attacks.problem import Problem
from trustworthy.core.free import Examples, only
from trustworthy.core.norms import AbstractNorm, per_example
from trustworthy.core.threat import Bounds

ROUNDS = 3  # of holding coordinates at the bounds that the nearest point of the boundary would leave


def estimates(
    problem: Problem, geometry: AbstractNorm, bounds: Bounds | None, start: Examples, steps: int
) -> Float[Tensor, " batch"]:
    """Distance of each example of `problem` to where its margin vanishes, within what is free.

    start : points (batch, *shape) at which the model is linearised first, then half-way to what was found.

    A linearisation that has no boundary beyond the example tells nothing, as on the way to another class; inf where all
    of them are such. A target must be above every other class, so that the longest way to be so counts.

    Cost: `steps` gradients, each of problem.eot draws.
    """
    move = only(problem.free, start - problem.x)
    size = problem.x.new_full((len(problem.x),), torch.inf)
    targeted = isinstance(problem.goal, Goal) and problem.goal.target is not None
    for _ in range(steps):
        gradient, margin, _ = problem.ascent(problem.x + move)
        slope = only(problem.free, gradient)
        nearest, exists = _nearest(problem.x, slope, _inner(slope, move) - margin, geometry, bounds)
        found = geometry.size(nearest)
        longest = torch.maximum(found, torch.where(size.isinf(), 0.0, size)) if targeted else found
        size = torch.where(exists, longest, size)
        move = _inside(problem.x, (move + where(exists, nearest, torch.zeros_like(move))) / 2, bounds)
    return size


def _nearest(
    x: Examples, slope: Examples, reach: Float[Tensor, " batch"], geometry: AbstractNorm, bounds: Bounds | None
) -> tuple[Examples, Bool[Tensor, " batch"]]:
    """The shortest d with <slope, d> = reach, of whose coordinates those that would leave the bounds are held there.

    And whether there is one, other than 0.
    """
    move, loose, exists = torch.zeros_like(x), torch.ones_like(x, dtype=torch.bool), reach > 0
    for _ in range(1 if bounds is None else ROUNDS):
        inside = _inside(x, move, bounds)
        loose = loose & (inside == move)
        held, left = torch.where(loose, 0.0, inside), torch.where(loose, slope, 0.0)
        missing, steepness = (reach - _inner(slope, held)).clamp_min(0.0), geometry.dual.size(left)
        exists = exists & ((steepness > 0) | (missing == 0))
        length = torch.where(steepness > 0, missing / steepness, 0.0)
        move = torch.where(loose, per_example(length, x) * geometry.steepest(left), held)
    return move, exists


def _inner(a: Examples, b: Examples) -> Float[Tensor, " batch"]:
    return (a * b).flatten(1).sum(1)


def _inside(x: Examples, move: Examples, bounds: Bounds | None) -> Examples:
    """The part of a move that leads to the bounds at most."""
    return move if bounds is None else torch.minimum(torch.maximum(move, bounds[0] - x), bounds[1] - x)
