"""Square Attack: random search over windows, from scores alone."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trustworthy.attacks.attack import BudgetAttack
from trustworthy.attacks.incumbent import Incumbent
from trustworthy.attacks.problem import Problem
from trustworthy.attacks.square_windows import LAYOUTS, AbstractLayout, layout_of
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.free import only
from trustworthy.core.norms import L2, Linf, per_example
from trustworthy.core.threat import ThreatModel

HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)  # shares of the steps after which the area halves


@dataclass(frozen=True, kw_only=True)
class SquareAttack(BudgetAttack):
    """Score-based black-box attack: change a random window to the border of the ball, keep what raises the loss.

    Images get square windows, as in the paper. Of features, which have no order, a window is a random subset, and
    every feature has a sign of its own where an image has one sign per channel and window. Examples already broken
    ask no more queries.

    Parameters
    ----------
    eps, bounds, eot, loss : see `BudgetAttack` and `Attack`.
    norm : "linf" or "l2".
    layout : "image" for examples (channels, height, width) or (height, width), "features" for any; "auto" takes those
        of three axes for images and all others for features, since (length, dim) may be embedded words.
    steps : windows tried.
    share : share of the positions that the first windows cover, in (0, 1]; it halves along the budget.

    Where not all is free, the windows of an image lie within the smallest rectangle around what is free of it, and
    each holds some of that; subsets are of the free features.

    Cost: at most eot * (steps + 3) forward passes, no gradient. Random: the windows and signs, shared by all examples
    of a batch, so that an example's result does not depend on its companions. Reference: Andriushchenko et al. 2020.
    """

    loss: str = "margin"
    layout: str = "auto"
    steps: int = 1000
    share: float = 0.8

    asks: ClassVar = "scores"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.choice("layout", self.layout, LAYOUTS)
        checks.integer("steps", self.steps, at_least=1)
        checks.real("share", self.share, above=0.0, at_most=1.0)
        if not isinstance(self.geometry, Linf | L2):
            raise InvalidInput(f"norm must be 'linf' or 'l2' for SquareAttack, got {self.norm!r}; APGD searches in l1.")

    def search(self, problem: Problem, generator: torch.Generator | None) -> Tensor:
        threat = self.threat(problem)
        layout = layout_of(problem.x, self.layout, threat.free)
        linf = isinstance(self.geometry, Linf)
        propose, begin = (_repaint, layout.stripes) if linf else (_shift, layout.tiles)
        found, live = problem.x.clone(), torch.arange(len(problem.x), device=problem.x.device)
        best = Incumbent(problem.x, is_noisy=problem.is_noisy)
        candidate = problem.x
        for step in range(-1, self.steps + 1):
            best.update(candidate, *problem.appraise(candidate))
            if bool(best.success.any()):
                found[live] = best.x
                left = ~best.success
                problem, threat, best, live = problem.subset(left), threat.subset(left), best.subset(left), live[left]
                layout = layout.subset(left)
                if len(live) == 0:
                    return found
            if step == -1:
                direction = only(threat.free, layout.spread(begin(generator), problem.x))
                radius = per_example(threat.eps, problem.x)
                candidate = threat.clip(problem.x + radius * threat.geometry.steepest(direction))
            elif step < self.steps:
                share = self.share / 2 ** bisect_right(HALVINGS, step / self.steps)
                candidate = propose(problem.x, best.x, threat, layout, share, generator)
        found[live] = best.x
        return found


def _repaint(
    x: Tensor, current: Tensor, threat: ThreatModel, layout: AbstractLayout, share: float, g: torch.Generator | None
) -> Tensor:
    """In linf: put the perturbation inside one window to plus or minus eps."""
    mask = layout.spread(layout.window(share, g).mask, x)
    signs = layout.spread(layout.signs(g), x)
    return threat.clip(torch.where(mask, x + per_example(threat.eps, x) * signs, current))


def _shift(
    x: Tensor, current: Tensor, threat: ThreatModel, layout: AbstractLayout, share: float, g: torch.Generator | None
) -> Tensor:
    """In l2: empty one window into another, which also takes what the budget has left over (Algorithm 3)."""
    tiny = torch.finfo(x.dtype).tiny
    delta = (current - x).reshape(len(x), layout.groups, layout.positions)
    into, emptied = layout.window(share, g), layout.window(share, g)
    pattern = into.pattern * layout.signs(g)
    pattern = pattern / pattern.norm(dim=-1, keepdim=True).clamp_min(tiny)
    old = delta * into.mask
    direction = pattern + old / old.norm(dim=-1, keepdim=True).clamp_min(tiny)
    direction = direction / direction.norm(dim=-1, keepdim=True).clamp_min(tiny)
    takes = into.mask.any(-1, keepdim=True).expand(-1, layout.groups, -1)  # a group without a free position takes none
    touched = (into.mask | emptied.mask) & takes
    radius = per_example(threat.eps, delta)
    spare = (radius**2 - delta.square().sum((1, 2), keepdim=True)).clamp_min(0.0) / takes.sum(1, keepdim=True)
    length = ((delta * touched).square().sum(-1, keepdim=True) + spare).sqrt()
    moved = torch.where(touched, 0.0, delta) + direction * length
    return threat.project(x, x + moved.reshape(x.shape))
