"""Carlini and Wagner's attack (eqs. 2.2 and 2.3): the nearest adversarial example by penalised descent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trustworthy.attacks.attack import NearestAttack
from trustworthy.attacks.incumbent import where
from trustworthy.attacks.problem import Problem
from trustworthy.core import checks
from trustworthy.core.free import only, put_back
from trustworthy.core.norms import Radius, per_example
from trustworthy.core.threat import Bounds


@dataclass(frozen=True, kw_only=True)
class CarliniWagner(NearestAttack):
    """Minimise c * g(x') + ||x' - x||_2^2 over the box, eq. (2.2), and keep the nearest adversarial iterate.

    With Z the logits, g(x') = max(Z_y - max_{i != y} Z_i, -kappa) leaves the true class y, and with a target t
    g(x') = max(max_{i != t} Z_i - Z_t, -kappa) reaches it. Eq. (2.3) prints the second form and calls t the correct
    label; read so, its minimisation would strengthen the correct prediction.

    The box is kept by x' = m + h tanh(w), where m is the middle of the bounds and h is 1 % more than their half-width:
    a coordinate that lies exactly on a bound then has a finite w and a slope to leave it by. Adam runs on w.

    Parameters
    ----------
    norm : only "l2".
    c : weight of g, > 0; None to search for the smallest weight that succeeds, example by example.
    kappa : margin by which the wrong class must win, >= 0.
    steps : Adam steps for each c.
    learning_rate : of Adam at its first step, on w (where bounds is None, on x in units of the distance that a linear
        model would need); it falls to zero along a cosine, so that the iterates settle on the decision boundary
        instead of oscillating about it.
    searches : weights tried where c is None. The first is twice what a linear model with the gradient at x would need;
        then ten times more or less until one fails and one succeeds, then the geometric mean of the two.
    abort_early : give up a weight for an example that no iterate has broken and whose objective has not fallen by
        0.01 % within a tenth of the steps.
    bounds, eot : see `Attack`.

    Cost: at most searches * steps * eot gradients (steps * eot where c is given), one more, and a forward pass. Nothing
    is random. Reference: Carlini and Wagner 2017.
    """

    c: float | None = None
    kappa: float = 0.0
    steps: int = 300
    learning_rate: float = 0.05
    searches: int = 6
    abort_early: bool = True

    norms: ClassVar = ("l2",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.c is not None:
            checks.real("c", self.c, above=0.0)
        checks.real("kappa", self.kappa, at_least=0.0)
        checks.integer("steps", self.steps, at_least=1)
        checks.real("learning_rate", self.learning_rate, above=0.0)
        checks.integer("searches", self.searches, at_least=1)

    def search(self, problem: Problem, generator: torch.Generator | None) -> Tensor:
        nearest, distance = problem.x.clone(), problem.x.new_full((len(problem.x),), torch.inf)
        c, kappa, reach = self._begin(problem)
        low, high = torch.zeros_like(c), torch.full_like(c, torch.inf)
        for _ in range(self.searches if self.c is None else 1):
            found, length = self._descend(problem, c, kappa, reach)
            closer = length < distance
            nearest, distance = where(closer, found, nearest), torch.where(closer, length, distance)
            reached = length.isfinite()
            low, high = torch.where(reached, low, c), torch.where(reached, c, high)
            c = torch.where(high.isinf(), 10 * c, torch.where(low > 0, (low * high).sqrt(), high / 10))
        return nearest

    def _begin(self, problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
        """First weight, margin to win by, and distance that a linear model would need, for each example."""
        gradient, margin, _ = problem.ascent(problem.x)
        gradient = only(problem.free, gradient)
        # A point that wins by rounding error may lose when judged again in another batch: ask for a trace more.
        kappa = self.kappa + 1e-4 * margin.abs()
        # A linear model has its nearest adversarial example at distance m / |w|, where c |w| = 2 m / |w|.
        missing, slope = (kappa - margin).clamp_min(0.0), gradient.flatten(1).norm(dim=1)
        reach, c = missing / slope, 4 * missing / slope.square()
        c = torch.where(c.isfinite() & (c > 0), c, 1.0) if self.c is None else torch.full_like(margin, self.c)
        return c, kappa, torch.where(reach.isfinite() & (reach > 0), reach, 1.0)

    def _descend(self, problem: Problem, c: Tensor, kappa: Tensor, reach: Tensor) -> tuple[Tensor, Tensor]:
        """Nearest adversarial iterate for weights `c`, and its squared distance, inf where there is none."""
        nearest, distance = problem.x.clone(), torch.full_like(c, torch.inf)
        live = torch.arange(len(c), device=c.device)
        descent = Descent(problem, c, kappa, reach, self)
        before, window = descent.lowest, max(1, self.steps // 10)
        for step in range(self.steps):
            descent.step(step)
            if self.abort_early and step % window == window - 1:
                going = descent.distance.isfinite() | (descent.lowest < 0.9999 * before)
                live, before = live[going], descent.lowest[going]
                if len(live) < len(going):
                    descent.keep(going)
                if len(live) == 0:
                    return nearest, distance
        descent.judge(*descent.problem.appraise(descent.x))
        nearest[live], distance[live] = descent.nearest, descent.distance
        return nearest, distance


class Descent:
    """Adam on the objective of eq. (2.2), from the inputs, with the nearest adversarial iterate on the way."""

    def __init__(self, problem: Problem, c: Tensor, kappa: Tensor, reach: Tensor, attack: CarliniWagner) -> None:
        self.problem, self.c, self.kappa = problem, c, kappa
        self.learning_rate, self.steps = attack.learning_rate, attack.steps
        self.chart = FreeSpace(reach) if attack.bounds is None else TanhBox(attack.bounds)
        self.x, self.w = problem.x, self.chart.coordinates(problem.x)
        self.mean, self.square = torch.zeros_like(self.x), torch.zeros_like(self.x)
        self.nearest, self.distance = self.x, torch.full_like(c, torch.inf)
        self.lowest = torch.full_like(c, torch.inf)

    def step(self, step: int) -> None:
        """Judge the present point and move on."""
        gradient, margin, success = self.problem.ascent(self.x)
        gradient = only(self.problem.free, gradient)
        delta, distance = self.judge(margin, success)
        self.lowest = torch.minimum(self.lowest, distance - self.c * torch.minimum(margin, self.kappa))
        pull = (self.c * (margin < self.kappa)).reshape(-1, *[1] * (delta.ndim - 1))
        downhill = delta.mul_(2).addcmul_(pull, gradient, value=-1)
        self._adam(step, downhill.mul_(self.chart.slope(self.x)))
        # tanh(atanh(x)) is not x: without a gradient w stands still, and x moves by rounding all the same.
        self.x = put_back(self.problem.free, self.chart.point(self.w), self.problem.x)

    def judge(self, margin: Tensor, success: Tensor) -> tuple[Tensor, Tensor]:
        """Take over the present point where it is the nearest adversarial one; its move and squared distance."""
        delta = self.x - self.problem.x
        distance = delta.flatten(1).square().sum(1)
        better = success & (margin >= self.kappa) & (distance < self.distance)
        self.nearest = where(better, self.x, self.nearest)
        self.distance = torch.where(better, distance, self.distance)
        return delta, distance

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the examples."""
        self.problem = self.problem.subset(rows)
        self.chart = self.chart.subset(rows)
        for name in ("c", "kappa", "x", "w", "mean", "square", "nearest", "distance", "lowest"):
            setattr(self, name, getattr(self, name)[rows])

    def _adam(self, step: int, gradient: Tensor) -> None:
        rate = self.learning_rate * (1 + math.cos(math.pi * step / self.steps)) / 2
        self.mean.lerp_(gradient, 0.1)
        self.square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        scale = (self.square / (1 - 0.999 ** (step + 1))).sqrt_().add_(1e-8)
        self.w.addcdiv_(self.mean, scale, value=-rate / (1 - 0.9 ** (step + 1)))


class TanhBox:
    """Coordinates w of the box: x = middle + half * tanh(w), the box widened by 1 % to keep w finite at its faces."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.middle, self.half = sum(bounds) / 2, 1.01 * (bounds[1] - bounds[0]) / 2
        self.edge = math.atanh(1 / 1.01)

    def subset(self, rows: Tensor) -> TanhBox:
        return self

    def coordinates(self, x: Tensor) -> Tensor:
        """w of a point of the box."""
        return ((x - self.middle) / self.half).atanh_()

    def point(self, w: Tensor) -> Tensor:
        """Move `w` into the box, in place, and return its x."""
        return w.clamp_(-self.edge, self.edge).tanh().mul_(self.half).add_(self.middle).clamp_(*self.bounds)

    def slope(self, x: Tensor) -> Tensor:
        """dx / dw at x."""
        return ((x - self.middle) / self.half).square_().neg_().add_(1.0).mul_(self.half)


class FreeSpace:
    """Coordinates of a space without bounds: w = x / reach, so that Adam's steps suit the way of each example."""

    def __init__(self, reach: Tensor) -> None:
        self.reach = reach

    def subset(self, rows: Tensor) -> FreeSpace:
        return FreeSpace(self.reach[rows])

    def coordinates(self, x: Tensor) -> Tensor:
        return x / per_example(self.reach, x)

    def point(self, w: Tensor) -> Tensor:
        return w * per_example(self.reach, w)

    def slope(self, x: Tensor) -> Radius:
        return per_example(self.reach, x)
