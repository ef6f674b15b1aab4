"""Greedy-AS as it was released with the dissertation (ChengYuHsieh/explanation_robustness), step by step.

Kept as it is, with what it leaves to be desired: the attack's step does not shrink with the radius and its last point
alone is tested, the regression has no intercept, and what a step chooses is in no order but by noise.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Model = Callable[[Tensor], Tensor]
ITERATIONS, ROUNDS, TOLERANCE, FIRST, LIMITS = 100, 25, 1e-3, 10.0, (1e-8, 1e3)


def distance(
    model: Model, x: Tensor, y: int, free: Tensor, iterations: int = ITERATIONS, rounds: int = ROUNDS
) -> tuple[Tensor, int]:
    """g for masks `free` (k, *shape) of one example (*shape): radii (k,), inf where none succeeded, and model calls."""
    k = len(free)
    low, high = x.new_zeros(k), x.new_full((k,), torch.inf)
    eps, calls = x.new_full((k,), FIRST), 0
    for _ in range(rounds):
        open_ = (high - low > TOLERANCE) & (eps >= LIMITS[0]) & (eps <= LIMITS[1])
        if not bool(open_.any()):
            break
        broken = _pgd(model, x, y, free[open_], eps[open_], iterations)
        calls += int(open_.sum()) * (iterations + 1)
        high[open_] = torch.where(broken, eps[open_], high[open_])
        low[open_] = torch.where(broken, low[open_], eps[open_])
        unbracketed_above, unbracketed_below = high.isinf(), low == 0
        middle = (low + high) / 2
        following = torch.where(unbracketed_above, eps * 10, torch.where(unbracketed_below, eps / 10, middle))
        eps = torch.where(open_, following, eps)
    return high, calls


def _pgd(model: Model, x: Tensor, y: int, free: Tensor, eps: Tensor, iterations: int) -> Tensor:
    """Whether the last of `iterations` normalised steps of length 1 down the true logit has left the class."""
    shape, found = (-1, *[1] * x.ndim), []
    for mask, radius in zip(free.split(512), eps.split(512), strict=True):
        point = x.expand(mask.shape).clone()
        for _ in range(iterations):
            point.requires_grad_()
            gradient = torch.autograd.grad(model(point)[:, y].sum(), point)[0] * mask
            length = gradient.flatten(1).norm(dim=1).clamp_min(1e-12).reshape(shape)
            moved = (point.detach() - gradient / length).clamp(0.0, 1.0) - x
            size = moved.flatten(1).norm(dim=1).clamp_min(1e-12)
            point = x + moved * (radius / size).clamp_max(1.0).reshape(shape)
        with torch.no_grad():
            found.append(model(point).argmax(1) != y)
    return torch.cat(found)


def greedy_as(
    model: Model,
    x: Tensor,
    y: int,
    groups: Tensor,
    *,
    relevant: bool,
    coalitions: int = 5000,
    share: float = 0.05,
    until: float = 0.5,
    inclusion: float = 0.2,
    iterations: int = ITERATIONS,
    rounds: int = ROUNDS,
    generator: torch.Generator,
) -> tuple[Tensor, int]:
    """Scores (groups,) of one example (*shape) with `groups` (groups, *shape) of masks, and model calls.

    relevant : minimise the distance within the chosen set, else maximise that of the others.
    """
    count = len(groups)
    scores, calls = torch.zeros(count, dtype=torch.float64, device=x.device), 0
    chosen = scores > 0
    per, score = int(share * count), 1000.0
    for _ in range(round(until / share)):
        drawn = (torch.rand(coalitions, count, generator=generator, device=x.device) < inclusion) | chosen
        inside = (drawn.float() @ groups.flatten(1).float() > 0).reshape(coalitions, *x.shape)
        values, asked = distance(model, x, y, inside if relevant else ~inside, iterations, rounds)
        calls += asked
        values = torch.where(values.isinf(), x.norm(), values)
        design = drawn.double()
        weights = torch.linalg.pinv(design.T @ design) @ design.T @ values.double()
        weights = (-weights if relevant else weights).masked_fill(chosen, -torch.inf)
        best = weights.topk(per).indices
        scores[best] = score
        chosen[best] = True
        score -= 2
    return scores + 1e-12 * torch.rand(count, generator=generator, dtype=torch.float64, device=x.device), calls
