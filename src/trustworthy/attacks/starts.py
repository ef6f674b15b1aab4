"""Where a decision-based attack begins: at other examples, or at random points."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trustworthy.attacks.problem import Problem, single
from trustworthy.core.errors import InvalidInput
from trustworthy.core.inputs import as_batch
from trustworthy.core.predictive import pooled
from trustworthy.core.result import Array
from trustworthy.core.threat import Bounds

TRIALS = 100
"""Starting points tried for an example."""


def as_starts(starts: Array, problem: Problem, bounds: Bounds | None) -> Float[Tensor, "points *shape"]:
    """Check points to begin from: valid inputs of the shape of the examples; they come in the type of these."""
    pool, shape = as_batch(starts, bounds, "starts").to(problem.dtype), problem.x.shape[1:]
    if pool.shape[1:] != shape:
        raise InvalidInput(f"starts must have shape (any, {', '.join(map(str, shape))}), got {pool.shape}.")
    return pool


def served(
    problem: Problem, pool: Float[Tensor, "points *shape"]
) -> Iterator[tuple[Float[Tensor, "some *shape"], Bool[Tensor, "batch some"]]]:
    """The points of `pool` in turn, as many at once as there are examples, and for which examples each one serves.

    One serves where the attack on the example succeeds at it. These questions are not among the counted queries, since
    all examples share them.
    """
    for part in pool.split(len(problem.x)):
        part = part.to(problem.x.device)
        with torch.no_grad():
            scores = pooled([single(predictor(part)) for predictor in problem.draws()])
        serves = [problem.goal.reached(row.expand(len(problem.x), -1)) for row in scores]
        yield part.to(problem.x.dtype), torch.stack(serves, dim=1)


def nearest_serving(
    problem: Problem,
    pool: Float[Tensor, "points *shape"],
    count: int,
    distances: Callable[[Tensor], Float[Tensor, "batch points"]],
) -> Int[Tensor, "batch count"]:
    """Rows of `pool` nearest to each example, those that serve first; only the nearest are kept in mind.

    distances : from some points, in the type of the search, to how far each example is from each of them.
    """
    x, first = problem.x, 0
    distance, which = x.new_empty(len(x), 0), torch.empty(len(x), 0, dtype=torch.int64, device=x.device)
    for part, serves in served(problem, pool):
        near = distances(part)
        rows = torch.arange(first, first + len(part), device=x.device).expand(len(x), -1)
        distance = torch.cat([distance, near.masked_fill(~serves, torch.inf)], dim=1)
        order = distance.argsort(dim=1, stable=True)[:, :count]
        distance, which = distance.gather(1, order), torch.cat([which, rows], dim=1).gather(1, order)
        first += len(part)
    return which


def random_point(
    x: Float[Tensor, "batch *shape"], bounds: Bounds | None, trial: int, generator: torch.Generator | None
) -> Float[Tensor, "batch *shape"]:
    """Noise of random mean and spread in the bounds; without bounds normal around `x`, wider with each trial."""
    drawn = torch.empty_like(x[0])
    if bounds is None:
        return x + 0.1 * 1.1**trial * drawn.normal_(generator=generator)
    low, high = bounds
    mean, spread = x.new_empty(2).uniform_(generator=generator)
    noise = mean + spread * drawn.uniform_(-1.0, 1.0, generator=generator)
    return (low + (high - low) * noise.clamp(0.0, 1.0)).expand_as(x)
