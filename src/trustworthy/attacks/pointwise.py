"""Pointwise Attack: as few coordinates as possible take values of other examples, from predicted labels alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trustworthy.attacks.attack import NearestAttack
from trustworthy.attacks.pointwise_search import SINGLES, Search
from trustworthy.attacks.problem import Problem
from trustworthy.attacks.starts import TRIALS, as_starts, random_point, served
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.norms import Norm
from trustworthy.core.result import Array


@dataclass(frozen=True, kw_only=True)
class PointwiseAttack(NearestAttack):
    """Decision-based black-box attack in l0: give as few coordinates as possible values that other examples have there.

    Made for the columns of a table, numbers beside categories, and for models without gradients or scores, trees for
    instance. It asks first about single coordinates, the smallest change first, with up to half of the queries: where
    all were asked, whether one of the tried values is enough is known exactly. Otherwise it begins at points where the
    model decides otherwise, and puts back as many coordinates as it can, half of them at once, a quarter, and so on,
    until each of those left is needed. The points are, by turns, the nearest of `starts` and one that has in every
    coordinate the value that tells those of `starts` where the model decides otherwise best from the others; which
    coordinates are put back first is learnt from what earlier points kept. Last, each changed quantity is bisected
    towards its own value. The model is asked for its decision only, so it may be any callable, scikit-learn's `predict`
    included.

    Parameters
    ----------
    norm : only "l0", the number of changed coordinates.
    starts : examples (any number, *shape) whose values are tried. Of a coordinate at most so many that half of the
        queries are enough for all, but two at least: evenly spread ones of its numbers, the commonest categories. None:
        the ends of the bounds are tried, and the points are noise of random mean and spread in the bounds, or without
        bounds normal around the input with a scale that grows from 0.1 by a tenth each time.
    missing : the value that stands for one that is missing; it is not taken from `starts`. Hold it by `free` where an
        example has it: then what is missing stays so, and nothing else becomes missing.
    step : (*shape), by what a coordinate can change: 0 any number, 1 whole numbers, inf a category, which takes values
        of `starts` alone. None for 0.
    spread : (*shape), unit of each coordinate, such as its standard deviation; another category counts as one unit. Of
        two points that change as many coordinates that of the smaller sum is kept. None for 1.
    queries : questions for each example, at most.
    bounds, eot : see `Attack`.

    Cost: at most eot * (queries + 1) forward passes, and eot for each of `starts`, which all examples share and which
    are not among the counted queries. Random: in which order coordinates are put back, and the points where there are
    no `starts`; shared by all examples of a batch, so that an example's result does not depend on its companions.
    Reference: Schott et al. 2019, who begin at noise and put back pixel by pixel in random order; Zeller and
    Hildebrandt 2002 for the halves.
    """

    norm: Norm = "l0"
    starts: Array | None = field(default=None, repr=False)
    missing: float | None = field(default=None, repr=False)
    step: Array | None = field(default=None, repr=False)
    spread: Array | None = field(default=None, repr=False)
    queries: int = 1000

    norms: ClassVar = ("l0",)
    asks: ClassVar = "labels"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.integer("queries", self.queries, at_least=1)

    def search(self, problem: Problem, generator: torch.Generator | None) -> Tensor:
        x = problem.x
        step, spread = (_each(name, getattr(self, name), x) for name in ("step", "spread"))
        pool = None if self.starts is None else as_starts(self.starts, problem, self.bounds)
        # Drawn before anything that depends on the other examples of the batch.
        noise = torch.rand(TRIALS, len(step), generator=generator, device=x.device).to(x)
        found = x.clone()
        right = (~problem.is_adversarial(x)).nonzero().squeeze(1)
        if len(right) == 0:
            return found
        search = Search(problem.subset(right), step, spread, self.eot * self.queries)
        tried = self._tried(x, pool, step)
        search.singles(tried)
        points = self._points(search, pool, tried, generator)
        for order in (None, *noise[1:]):
            rows = search.unfinished()
            start = next(points, None) if len(rows) else None
            if start is None:
                break
            search.sets(rows, start, order)
        search.shrink()
        found[right] = search.best.reshape(search.problem.x.shape)
        return found

    def _tried(self, x: Tensor, pool: Tensor | None, step: Float[Tensor, " d"]) -> list[Tensor]:
        """The values that each coordinate is given alone."""
        if pool is None:
            return [x.new_tensor(self.bounds or ())] * len(step)
        seen = [values[~values.isnan()].unique(return_counts=True) for values in self._known(pool.to(x)).T]
        most = 2
        while most < len(pool) and sum(min(len(v), most + 1) for v, _ in seen) <= SINGLES * self.queries:
            most += 1
        return [_some(v, c, most, ordered=bool(s.isfinite())) for (v, c), s in zip(seen, step, strict=True)]

    def _known(self, points: Tensor) -> Float[Tensor, "points d"]:
        """Flat points, NaN where a value is missing."""
        flat = points.flatten(1)
        return flat if self.missing is None else flat.masked_fill(flat == self.missing, torch.nan)

    def _points(
        self, search: Search, pool: Tensor | None, tried: list[Tensor], generator: torch.Generator | None
    ) -> Iterator[Float[Tensor, "n d"]]:
        """Up to `TRIALS` points to begin from, for each example."""
        x = search.problem.x
        if pool is None:
            for trial in range(TRIALS):
                yield random_point(x, self.bounds, trial, generator).flatten(1)
            return
        parts, serves = zip(*served(search.problem, pool), strict=True)
        points, serves = self._known(torch.cat(parts)), torch.cat(serves, dim=1)
        telling = most_telling(points, serves, tried, search.step)
        distance = search.distances(points).masked_fill(~serves, torch.inf)
        for which in distance.argsort(dim=1, stable=True)[:, : TRIALS // 2].T:
            yield telling
            yield points[which]


def most_telling(
    points: Float[Tensor, "points d"],
    serves: Bool[Tensor, "n points"],
    tried: list[Float[Tensor, " _"]],
    step: Float[Tensor, " d"],
) -> Float[Tensor, "n d"]:
    """In each coordinate the tried value that speaks most for the points that serve an example, against the others.

    Of a quantity it is the largest or the smallest value, by which of both means is larger; of a category the one that
    is most more frequent where the points serve. NaN, a missing value, speaks for nothing.
    """
    inside, outside = serves.to(points), (~serves).to(points)
    weight = inside / inside.sum(1, keepdim=True).clamp_min(1) - outside / outside.sum(1, keepdim=True).clamp_min(1)
    chosen = []
    for column, values, size in zip(points.T, tried, step, strict=True):
        centred = (column - column.nanmean()).nan_to_num(0.0)[:, None]
        speaks = (column[:, None] == values).to(points) if bool(size.isinf()) else centred * values
        chosen.append(
            values[(weight @ speaks).argmax(1)] if len(values) else weight.new_full((len(weight),), torch.nan)
        )
    return torch.stack(chosen, dim=1)


def _some(values: Tensor, counts: Tensor, most: int, *, ordered: bool) -> Tensor:
    """At most `most` of the distinct `values`: evenly spread ones of those in order, the commonest of others."""
    if len(values) <= most:
        return values
    if ordered:
        return values[torch.linspace(0, len(values) - 1, most, device=values.device).round().long()]
    return values[counts.argsort(descending=True, stable=True)[:most]]


def _each(name: str, given: Array | None, x: Tensor) -> Float[Tensor, " d"]:
    """The step or the spread of each coordinate, checked."""
    least, default = (">= 0", 0.0) if name == "step" else ("> 0 and finite", 1.0)
    values = torch.full_like(x[0], default) if given is None else torch.as_tensor(given).to(x)
    valid = values >= 0 if name == "step" else (values > 0) & values.isfinite()
    if values.shape != x.shape[1:] or not bool(valid.all()):
        raise InvalidInput(
            f"{name} must be numbers {least}, of the shape of an example, {tuple(x.shape[1:])}, got shape "
            f"{tuple(values.shape)}"
            + (f" and the value {float(values[~valid][0]):g}." if not bool(valid.all()) else ".")
        )
    return values.flatten()
