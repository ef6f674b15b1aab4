"""The released procedure for g(f, x, S) of (7.1), as its authors' code takes it, row by row and without haste.

ChengYuHsieh/explanation_robustness, pgd.py and mnist_example.ipynb: projected descent of the true class's logit in l2
with a normalised step of fixed length 1, from the input itself; the radius is 10 at first, ten times more or less until
it is bracketed, then bisected.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

STEP, FIRST, SMALLEST, LARGEST = 1.0, 10.0, 1e-8, 1e3


def broken(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, free: Tensor, eps: Tensor, steps: int) -> Tensor:
    """Whether the final iterate, and no other, is misclassified; in the box [0, 1], then scaled into the ball."""
    delta = torch.zeros_like(x)
    for _ in range(steps):
        z = (x + delta).requires_grad_()
        (gradient,) = torch.autograd.grad(model(z).gather(1, y[:, None]).sum(), z)
        gradient = (gradient * free).flatten(1)
        unit = gradient / gradient.norm(dim=1, keepdim=True).clamp_min(1e-12)
        delta = (x + delta - STEP * unit.reshape(x.shape)).clamp(0, 1) - x
        length = delta.flatten(1).norm(dim=1)
        shrink = (eps / length.clamp_min(1e-12)).clamp_max(1.0)
        delta = delta * shrink.reshape(-1, *[1] * (x.ndim - 1))
    with torch.no_grad():
        return model(x + delta).argmax(1) != y


def released_g(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    free: Tensor,
    *,
    steps: int = 100,
    rounds: int = 25,
    tolerance: float = 1e-3,
) -> tuple[Tensor, Tensor]:
    """The smallest radius that succeeded, inf where none did, and how many model calls each row took."""
    eps, low = torch.full((len(x),), FIRST, dtype=x.dtype), torch.zeros(len(x), dtype=x.dtype)
    high, calls = torch.full_like(eps, torch.inf), torch.zeros(len(x), dtype=torch.int64)
    for _ in range(rounds):
        rows = ((high - low > tolerance) & (eps >= SMALLEST) & (eps <= LARGEST)).nonzero().squeeze(1)
        if len(rows) == 0:
            break
        success = broken(model, x[rows], y[rows], free[rows], eps[rows], steps)
        calls[rows] += steps + 1
        high[rows] = torch.where(success, eps[rows], high[rows])
        low[rows] = torch.where(success, low[rows], eps[rows])
        outwards = torch.where(high.isinf(), eps * 10, eps / 10)
        eps = torch.where(high.isfinite() & (low > 0), (low + high) / 2, outwards)
    return high, calls
