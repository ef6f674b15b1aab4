"""APGD: projected gradient ascent that chooses its own step sizes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trustworthy.attacks import l1_box
from trustworthy.attacks.incumbent import Incumbent, where
from trustworthy.attacks.problem import Problem
from trustworthy.attacks.restarts import RestartedAttack
from trustworthy.core.free import dimension
from trustworthy.core.norms import L1, per_example
from trustworthy.core.threat import ThreatModel

MOMENTUM = 0.75  # weight of the gradient step against the last move (alpha of the paper)
RISES = 0.75  # share of a window's steps that must raise the loss for the step size to stay (rho of the paper)


@dataclass(frozen=True, kw_only=True)
class APGD(RestartedAttack):
    """Projected ascent with momentum whose step halves, example by example, when it stops paying.

    In linf and l2 the step begins at 2 eps. At checkpoints that come ever closer, an example whose loss rose in fewer
    than three quarters of the steps, or whose best point and step have not changed since the last checkpoint, halves
    its step and goes back to its best point (Croce and Hein 2020). In l1 a step moves the coordinates of largest
    gradient alone: their number follows the sparsity of the best perturbation, divided by 1.5 at each checkpoint, and
    the step, eps at first, shrinks by 1.5 (to eps / 10 at least) while the sparsity does not fall (Croce and Hein
    2021).

    Parameters
    ----------
    eps, norm, bounds, eot, loss, steps, random_start, restarts : see `BudgetAttack`, `Attack` and `RestartedAttack`.

    Cost: restarts * eot * (steps + 1) gradients, and eot forward passes with a random start. Random: the starts.
    """

    steps: int = 100
    random_start: bool = True
    restarts: int = 1

    def ascend(self, problem: Problem, threat: ThreatModel, start: Tensor) -> Incumbent:
        search = SparseAscent if isinstance(threat.geometry, L1) else MomentumAscent
        return search(problem, threat, start, self.steps).run()


class Ascent:
    """What both forms of the search share: the present point, and the best one with its gradient."""

    def __init__(self, problem: Problem, threat: ThreatModel, start: Tensor, steps: int) -> None:
        self.problem, self.threat, self.steps, self.x = problem, threat, steps, start
        self.eps = torch.as_tensor(threat.eps, dtype=start.dtype, device=start.device).expand(len(start))
        self.gradient, self.loss, success = problem.ascent(start)
        self.best, self.best_gradient, self.best_loss = start, self.gradient, self.loss
        self.worst = Incumbent(start, is_noisy=problem.is_noisy)
        self.worst.update(start, self.loss, success)

    def look(self) -> Tensor:
        """Take loss and gradient at the present point; says for which examples the loss rose."""
        self.gradient, loss, success = self.problem.ascent(self.x)
        self.worst.update(self.x, loss, success)
        rose, better = loss > self.loss, loss > self.best_loss
        self.best = where(better, self.x, self.best)
        self.best_gradient = where(better, self.gradient, self.best_gradient)
        self.best_loss = torch.maximum(loss, self.best_loss)
        self.loss = loss
        return rose

    def go_back(self, rows: Tensor) -> None:
        """Return to the best point."""
        self.x = where(rows, self.best, self.x)
        self.gradient = where(rows, self.best_gradient, self.gradient)
        self.loss = torch.where(rows, self.best_loss, self.loss)


class MomentumAscent(Ascent):
    """The search in linf and l2."""

    def run(self) -> Incumbent:
        size, halved = 2.0 * self.eps, torch.ones_like(self.eps, dtype=torch.bool)
        rises, known = torch.zeros_like(self.eps), self.best_loss
        before, due, last = self.x, checkpoints(self.steps), 0
        for step in range(1, self.steps + 1):
            here = self.x
            self.x = self.moved(size, before, MOMENTUM if step > 1 else 1.0)
            before = here
            rises = rises + self.look()
            if step in due:
                stale = ~halved & (self.best_loss == known)
                halved = (rises < RISES * (step - last)) | stale
                size = torch.where(halved, size / 2, size)
                self.go_back(halved)
                before = where(halved, self.x, before)
                rises, known, last = torch.zeros_like(rises), self.best_loss, step
        return self.worst

    def moved(self, size: Tensor, before: Tensor, momentum: float) -> Tensor:
        x, threat, origin = self.x, self.threat, self.problem.x
        direction = threat.geometry.steepest(threat.movable(x, self.gradient))
        step = threat.project(origin, x + per_example(size, x) * direction)
        return threat.project(origin, x + momentum * (step - x) + (1 - momentum) * (x - before))


class SparseAscent(Ascent):
    """The search in l1."""

    def run(self) -> Incumbent:
        known = torch.ones_like(self.eps) * dimension(self.threat.free, self.x)
        size, count = self.eps, (0.2 * known).long()
        window = max(1, round(0.04 * self.steps))
        for step in range(1, self.steps + 1):
            self.x = self.moved(size, count.clamp_min(1))
            self.look()
            if step % window == 0:
                # A coordinate that rounding alone has moved does not count.
                changed = (self.best - self.problem.x).flatten(1).abs() > 1e-6 * self.eps[:, None]
                now = changed.sum(1)
                sparser = now < 0.95 * known
                size = torch.where(sparser, self.eps, torch.maximum(size / 1.5, self.eps / 10))
                self.go_back(sparser)
                count, known = 2 * now // 3, now  # whole numbers: a quotient is rounded in another way on a GPU
        return self.worst

    def moved(self, size: Tensor, count: Tensor) -> Tensor:
        gradient = self.threat.movable(self.x, self.gradient).flatten(1)
        largest = gradient.abs().sort(dim=1, descending=True).values
        least = largest.gather(1, count[:, None] - 1)
        direction = gradient.sign() * (gradient.abs() >= least)
        direction = direction / direction.abs().sum(1, keepdim=True).clamp_min(1.0)
        step = per_example(size, self.x) * direction.reshape(self.x.shape)
        return l1_box.project(self.threat, self.problem.x, self.x + step)


def checkpoints(steps: int) -> set[int]:
    """Steps after which the step size is reconsidered: windows of 0.22, 0.19, 0.16 ... of the budget, 0.06 at least."""
    percent, window, found = 22, 22, set()
    while percent <= 100:
        found.add(-(-percent * steps // 100))  # rounded up
        window = max(window - 3, 6)
        percent += window
    return found
