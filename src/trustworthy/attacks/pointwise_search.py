"""Which few coordinates must change: one by one first, then sets, from which back is put what is not needed.

`PointwiseAttack` calls it. Examples and points are flat, (n, d). All examples of a batch advance together, each within
its own queries.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trustworthy.attacks.problem import Problem

SINGLES, SETS = 0.5, 0.9
"""Shares of the queries from which on single coordinates, and sets of them, are tried no more."""
HALVINGS = 10
"""Bisections of the way of a quantity back to its own value."""


class Search:
    """The best point found so far for each example of a problem, all of which are right.

    step, spread : (d,), see `PointwiseAttack`. most : forward passes for each example.
    count, size : changed coordinates of the best point, more than there are where there is none, and how far they move.
    """

    def __init__(self, problem: Problem, step: Tensor, spread: Tensor, most: int) -> None:
        self.problem, self.step, self.spread, self.most = problem, step, spread, most
        self.x = problem.x.flatten(1)
        self.free = torch.ones_like(self.x, dtype=torch.bool) if problem.free is None else problem.free.flatten(1)
        self.best, self.count = self.x.clone(), torch.full_like(self.x[:, 0], self.x.shape[1] + 1, dtype=torch.int64)
        self.size, self.kept = torch.full_like(self.x[:, 0], torch.inf), torch.zeros_like(self.x)

    def gap(self, a: Tensor, b: Tensor, at: Int[Tensor, " k"] | None = None) -> Tensor:
        """How far each coordinate (those of `at`) moves from `a` to `b`: by its spread, or 1 for another category."""
        step, spread = (self.step, self.spread) if at is None else (self.step[at], self.spread[at])
        return torch.where(step.isinf(), (a != b).to(a), (a - b).abs() / spread)

    def distances(self, points: Float[Tensor, "points d"]) -> Float[Tensor, "n points"]:
        """How far what is free of each example is from each point; NaN, a value that is not there, counts nothing."""
        held, absent = ~self.free, points.isnan()
        pairs = zip(self.x, held, strict=True)
        return torch.stack([self.gap(points, own).masked_fill(absent | out, 0.0).sum(1) for own, out in pairs])

    def may_ask(self, share: float = 1.0) -> Bool[Tensor, " n"]:
        """Whether one more question stays within this share of the queries."""
        return self.problem.queries[self.problem.rows] + self.problem.eot <= share * self.most

    def ask(self, rows: Int[Tensor, " some"], points: Float[Tensor, "some d"]) -> Bool[Tensor, " some"]:
        """Whether the attack on the examples `rows` succeeds at `points`; false where no query is left."""
        may = self.may_ask()[rows]
        hit = torch.zeros_like(may)
        if bool(may.any()):
            part = self.problem.subset(rows[may])
            hit[may] = part.is_adversarial(points[may].reshape(part.x.shape))
        return hit

    def take(self, rows: Int[Tensor, " some"], points: Float[Tensor, "some d"]) -> None:
        """Keep those adversarial points that change fewer coordinates than the best, or as many by less."""
        own = self.x[rows]
        count, size = (points != own).sum(1), self.gap(points, own).sum(1)
        better = (count < self.count[rows]) | ((count == self.count[rows]) & (size < self.size[rows]))
        rows = rows[better]
        self.best[rows], self.count[rows], self.size[rows] = points[better], count[better], size[better]

    def singles(self, tried: list[Float[Tensor, " _"]]) -> None:
        """Give one coordinate at a time each of its tried values, the smallest change first."""
        lengths = torch.tensor([len(values) for values in tried], device=self.x.device)
        at, values = torch.arange(len(tried), device=self.x.device).repeat_interleave(lengths), torch.cat(tried)
        gap = self.gap(values, self.x[:, at], at)  # (n, k)
        gap = gap.masked_fill(~self.free[:, at] | (gap == 0), torch.inf)
        order, rows = gap.argsort(dim=1, stable=True), torch.arange(len(self.x), device=self.x.device)
        for place in range(len(values)):
            which = order[rows, place]
            going = gap[rows, which].isfinite() & self.may_ask(SINGLES)[rows]
            rows, which = rows[going], which[going]
            if len(rows) == 0:
                break
            points = self.x[rows].scatter(1, at[which][:, None], values[which][:, None])
            hit = self.ask(rows, points)
            self.take(rows[hit], points[hit])
            rows = rows[~hit]

    def unfinished(self) -> Int[Tensor, " some"]:
        """Examples for which fewer coordinates than now may be found among sets."""
        return ((self.count > 1) & self.may_ask(SETS)).nonzero().squeeze(1)

    def sets(self, rows: Int[Tensor, " some"], points: Float[Tensor, "n d"], noise: Float[Tensor, " d"] | None) -> None:
        """Begin at what is free of `points`, where it serves, and put back what is not needed.

        Put back first are the coordinates that move least (`noise` None), or those that earlier sets kept least often.
        """
        points = torch.where(self.free & ~points.isnan(), points, self.x)[rows]
        hit = self.ask(rows, points)
        rows, points = rows[hit], points[hit]
        rank = self.gap(points, self.x[rows]) if noise is None else self.kept[rows] + noise
        found = self._put_back(rows, points, rank.argsort(dim=1, stable=True))
        self.kept[rows] += found != self.x[rows]
        self.take(rows, found)

    def _put_back(self, rows: Tensor, current: Tensor, order: Int[Tensor, "some d"]) -> Float[Tensor, "some d"]:
        """Put back half of the changed coordinates at once, a quarter, ... one, until each that is left is needed."""
        x = self.x[rows]
        chunk = ((current != x).sum(1) // 2).clamp_min(1)
        going = torch.ones_like(rows, dtype=torch.bool)
        while bool(going.any()):
            changed = (current != x).gather(1, order)
            group = ((changed.cumsum(1) - 1) // chunk[:, None]).masked_fill(~changed, -1)
            group = torch.empty_like(group).scatter(1, order, group)  # (some, d): which coordinates go together
            fewer = torch.zeros_like(going)
            for place in range(int(group[going].max()) + 1):
                back = group == place
                left = ((current != x) & ~back).any(1)  # all of them back would be the example itself
                live = (going & back.any(1) & left).nonzero().squeeze(1)
                candidate = torch.where(back[live], x[live], current[live])
                hit = self.ask(rows[live], candidate)
                current[live[hit]], fewer[live[hit]] = candidate[hit], True
            going &= (fewer | (chunk > 1)) & self.may_ask(SETS)[rows]
            chunk = (chunk // 2).clamp_min(1)
        return current

    def shrink(self) -> None:
        """Move every changed quantity of the best points towards its own value, as far as that still succeeds."""
        moved = (self.best != self.x) & self.step.isfinite()
        order = self.gap(self.best, self.x).masked_fill(~moved, -1.0).argsort(dim=1, descending=True, stable=True)
        for place in range(int(moved.sum(1).max())):
            at = order[:, place : place + 1]
            own, step, changed = self.x.gather(1, at), self.step[at], moved.gather(1, at)
            low, high = own, self.best.gather(1, at)
            for _ in range(HALVINGS):
                middle = (low + high) / 2
                middle = torch.where(step > 0, own + ((middle - own) / step).round() * step, middle)
                going = changed & (middle != low) & (middle != high)
                rows = going.squeeze(1).nonzero().squeeze(1)
                hit = torch.zeros_like(going)
                hit[rows, 0] = self.ask(rows, self.best[rows].scatter(1, at[rows], middle[rows]))
                low, high = torch.where(hit, low, middle), torch.where(hit, middle, high)
            self.best.scatter_(1, at, high)
