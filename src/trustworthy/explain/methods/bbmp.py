"""BBMP: a mask, learned by gradient descent, that deletes little and takes away much of the explained number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.free import Examples
from trustworthy.explain.explainer import Baseline, Explainer, Question, Scored


@dataclass(frozen=True, kw_only=True)
class BBMP(Explainer):
    """How far each feature is deleted, in (0, 1), by the mask m of least

    (f(x + m (b - x)) - f(b)) / |f(x) - f(b)| + l1 * mean(m) + tv * mean |difference of neighbours in m|^3.

    The released code of chapter 7 returns the part that is kept, and has the other term push that part to nothing; here
    the mask deletes, and is small. Coarse groups make the mask coarse.

    Parameters
    ----------
    steps, learning_rate : of Adam.
    l1 : price of what is deleted, >= 0: with 1, to delete all costs as much as it gains.
    tv : price of a ragged mask, >= 0; of images alone.
    baseline : b, in the units of the input, or "blur" for a blurred image (a Gaussian of 5 pixels).

    Cost: `steps` gradients and 2 forward passes. Reference: Fong and Vedaldi 2017; "BBMP" of Table 7.1.
    """

    steps: int = 200
    learning_rate: float = 0.1
    l1: float = 1.0
    tv: float = 0.1
    baseline: Baseline | Literal["blur"] = 0.0

    asks: ClassVar = "gradients"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.integer("steps", self.steps, at_least=1)
        checks.real("learning_rate", self.learning_rate, above=0.0)
        checks.real("l1", self.l1, at_least=0.0)
        checks.real("tv", self.tv, at_least=0.0)

    def explain(self, question: Question) -> Scored:
        x, groups = question.x, question.groups
        missing = blurred(x) if isinstance(self.baseline, str) else question.without(self.baseline)
        way = (missing - x).expand(x.shape)
        gain = (question.scores(x) - question.scores(x + way)).abs().clamp_min(torch.finfo(x.dtype).tiny)
        share = groups.present.to(x) / groups.present.sum(1, keepdim=True)
        depth = x.new_zeros(len(x), groups.count)  # of the deletion, before the sigmoid
        mean, square = torch.zeros_like(depth), torch.zeros_like(depth)
        for step in range(1, self.steps + 1):
            depth.requires_grad_()
            mask = groups.spread(depth.sigmoid()).clamp_max(1.0)  # groups may overlap
            slope, _ = question.gradients(x + mask.detach() * way)
            lost = (slope * way * mask).flatten(1).sum(1) / gain
            loss = lost.sum() + self.l1 * (share * depth.sigmoid()).sum() + self.tv * raggedness(mask).sum()
            (gradient,) = torch.autograd.grad(loss, depth)
            # Adam; that of torch.optim imports a compiler first, which takes longer than most explanations.
            mean.lerp_(gradient, 0.1)
            square.lerp_(gradient.square(), 0.001)
            scale = (square / (1 - 0.999**step)).sqrt() + 1e-8
            depth = depth.detach() - self.learning_rate / (1 - 0.9**step) * mean / scale
        return Scored(depth.sigmoid())


def raggedness(mask: Float[Tensor, "n *shape"]) -> Float[Tensor, ""] | Float[Tensor, " n"]:
    """Mean cube of the difference of neighbouring pixels; 0 of what is no image."""
    if mask.ndim != 4:
        return mask.new_zeros(())
    return sum((mask.diff(dim=axis).abs().pow(3).flatten(1).sum(1) for axis in (2, 3)), mask.new_zeros(())) / (
        mask[0].numel()
    )


def blurred(x: Examples) -> Examples:
    """Images through a Gaussian of 5 pixels, 11 pixels wide, edges repeated."""
    if x.ndim != 4:
        raise InvalidInput(f"baseline 'blur' is of images (n, channels, h, w), got x of shape {tuple(x.shape)}.")
    kernel = (-0.5 * (torch.arange(-5, 6, device=x.device, dtype=x.dtype) / 5).square()).exp()
    kernel = (kernel / kernel.sum()).reshape(1, 1, 1, -1)
    flat = x.flatten(0, 1)[:, None]
    for turned in (kernel, kernel.mT):
        across, down = turned.shape[3] // 2, turned.shape[2] // 2
        flat = F.conv2d(F.pad(flat, (across, across, down, down), mode="replicate"), turned)
    return flat.reshape(x.shape)
