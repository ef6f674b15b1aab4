"""A stochastic model that hides its gradients from single draws, and whose robustness is known in closed form."""

from __future__ import annotations

import torch
from torch import Tensor, nn

PIXELS = 16
EPS = 0.1
WEIGHT = torch.ones(PIXELS) * torch.tensor([1.0, -1.0]).repeat(PIXELS // 2)
FREQUENCY, AMPLITUDE = 400.0, 0.02
REACH = EPS * float(WEIGHT.abs().sum())
"""What a perturbation of at most EPS a pixel can take from the score of a linear model: eps times the dual norm."""


class Shattered(nn.Module):
    """Logits (-s/2, s/2) of s = w.x + amplitude * sum sin(frequency * x + U), U uniform phases of each pixel and draw.

    The gradient of a draw is w + 8 cos(...) in each pixel: its sign is that of w with a probability of 0.54 only.
    The sines are symmetric about 0, whatever x is, so that the mean probability of class 1 exceeds 1/2 exactly where
    w.x > 0: the mean prediction is that of the linear model, and it withstands eps where y w.x > eps |w|_1.
    """

    def forward(self, x: Tensor) -> Tensor:
        pixels = x.flatten(1) - 0.5
        score = pixels @ WEIGHT + AMPLITUDE * torch.sin(
            FREQUENCY * pixels + 2 * torch.pi * torch.rand_like(pixels)
        ).sum(1)
        return torch.stack([-score / 2, score / 2], 1)


def examples(n: int = 20) -> tuple[Tensor, Tensor]:
    """Images of both classes, all right: half of each have a margin that EPS can take, 0.7 of REACH, half 1.4 of it."""
    y = torch.arange(n) % 2
    margin = REACH * torch.where(torch.arange(n) // 2 % 2 == 0, 0.7, 1.4) * (2 * y - 1)
    return (0.5 + margin[:, None] * WEIGHT / PIXELS).reshape(n, 1, 4, 4), y
