"""Shapley values: what each feature adds to the explained number, on average over the orders in which all come in.

The game of an example: v(S) is the explained number with the features of S kept and the rest at the baseline. Scores
always sum to v(all) - v(none). The examples of a batch that have equally many features are asked about the same
coalitions.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.explain.explainer import Baseline, Explainer, Question, Scored

LARGEST = 16
"""Features whose coalitions are all asked about at most."""


@dataclass(frozen=True, eq=False)
class Game:
    """The games of some examples with as many features each.

    places : (n, players), the groups that are the players.
    """

    question: Question
    places: Int[Tensor, "n players"]
    baseline: Baseline

    @property
    def players(self) -> int:
        """How many they are."""
        return self.places.shape[1]

    def values(self, coalitions: Bool[Tensor, "k players"]) -> Float[Tensor, "n k"]:
        """v of each coalition, in double precision."""
        n, groups = len(self.places), self.question.groups.count
        parts = []
        for some in self.question.in_turn(len(coalitions)):
            shape = (n, len(some), self.players)
            chosen = torch.zeros(n, len(some), groups, dtype=torch.bool, device=coalitions.device)
            chosen.scatter_(2, self.places[:, None].expand(shape), coalitions[some].expand(shape))
            parts.append(self.question.values(chosen, self.baseline))
        return torch.cat(parts, dim=1).double()

    def uniform(self, rows: int) -> Float[Tensor, "rows players"]:
        """Random numbers, one for each player."""
        shape, device = (rows, self.players), self.places.device
        return torch.rand(shape, generator=self.question.generator, device=device, dtype=torch.float64)


@dataclass(frozen=True, kw_only=True)
class ShapleyExplainer(Explainer):
    """A way to compute or to estimate Shapley values.

    Parameters
    ----------
    baseline : what a missing feature looks like, in the units of the input.
    """

    baseline: Baseline = 0.0

    ranks: ClassVar = "size"

    def explain(self, question: Question) -> Scored:
        present = question.groups.present.expand(len(question.x), -1)
        scores, error = (torch.full(present.shape, torch.nan).to(question.x) for _ in range(2))
        sizes = present.sum(1)
        for size in sizes.unique().tolist():
            rows = (sizes == size).nonzero().squeeze(1)
            places = present[rows].nonzero()[:, 1].reshape(len(rows), size)
            found, spread = self.divide(Game(question.part(rows), places, self.baseline))
            scores[rows[:, None], places], error[rows[:, None], places] = found.to(scores), spread.to(error)
        return Scored(scores, error)

    @abstractmethod
    def divide(self, game: Game) -> tuple[Float[Tensor, "n players"], Float[Tensor, "n players"]]:
        """Shapley values and their standard errors."""


@dataclass(frozen=True, kw_only=True)
class ExactSHAP(ShapleyExplainer):
    """Shapley values by their definition, from all coalitions.

    Cost: 2^features forward passes, of at most 16 features. Reference: Shapley 1953; Lundberg and Lee 2017.
    """

    def divide(self, game: Game) -> tuple[Tensor, Tensor]:
        p = game.players
        if p > LARGEST:
            raise InvalidInput(
                f"groups must be at most {LARGEST} for ExactSHAP, which asks about all 2^groups coalitions, got {p}; "
                "pass coarser groups, or use KernelSHAP or PermutationSHAP."
            )
        member = torch.arange(2**p, device=game.places.device)[:, None] >> torch.arange(p, device=game.places.device)
        member = (member & 1).bool()
        size = member.sum(1, keepdim=True)
        # v(S) is a gain of its members in (|S| - 1)! (p - |S|)! of the p! orders, and a loss of any other in
        # |S|! (p - |S| - 1)!.
        kept = torch.tensor([1 / (p * math.comb(p - 1, k)) for k in range(p)], device=size.device, dtype=torch.float64)
        gain, loss = kept[(size - 1).clamp_min(0)], kept[size.clamp_max(p - 1)]
        found = game.values(member) @ torch.where(member, gain, -loss)
        return found, torch.zeros_like(found)


@dataclass(frozen=True, kw_only=True)
class PermutationSHAP(ShapleyExplainer):
    """Mean gain of each feature over random orders, each order also taken backwards. Unbiased.

    Parameters
    ----------
    permutations : pairs of orders, >= 2.

    Cost: 2 * permutations * (features - 1) + 2 forward passes. Random: the orders. Reference: Castro et al. 2009;
    Mitchell et al. 2022.
    """

    permutations: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.integer("permutations", self.permutations, at_least=2)

    def divide(self, game: Game) -> tuple[Tensor, Tensor]:
        p, device = game.players, game.places.device
        ends = game.values(torch.arange(2, device=device).bool()[:, None].expand(2, p))
        steps, found = torch.arange(1, p, device=device)[:, None], []
        for place in game.uniform(self.permutations).argsort(1):  # when each player comes in
            inside = torch.cat([place < steps, place >= p - steps])
            values = game.values(inside).reshape(len(ends), 2, -1) if p > 1 else ends.new_zeros(len(ends), 2, 0)
            none, every = (ends[:, [side, side], None] for side in (0, 1))
            gains = torch.cat([none, values, every], dim=2).diff(dim=2)  # (n, 2, p), by place
            found.append((gains[:, 0, place] + gains[:, 1, p - 1 - place]) / 2)
        samples = torch.stack(found)
        return samples.mean(0), samples.std(0) / math.sqrt(self.permutations)


@dataclass(frozen=True, kw_only=True)
class KernelSHAP(ShapleyExplainer):
    """Least squares on coalitions, weighted so that all of them give the Shapley values, which sum as they must.

    Coalitions come with their complements. Single features, and further sizes of which the samples allow all
    coalitions, are enumerated; the rest is sampled. Samples for all 2^features - 2 coalitions give the exact values.

    Parameters
    ----------
    samples : coalitions, besides that of all features and that of none, >= 2 * features; None for 2048 + 2 * features.

    Cost: at most samples + 2 forward passes. Random: the coalitions that are sampled. The standard error is that of
    least squares under unequal variances (HC2). Reference: Lundberg and Lee 2017; Covert and Lee 2021.
    """

    samples: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples is not None:
            checks.integer("samples", self.samples, at_least=2)

    def divide(self, game: Game) -> tuple[Tensor, Tensor]:
        p = game.players
        ends = game.values(torch.arange(2, device=game.places.device).bool()[:, None].expand(2, p))
        total = (ends[:, 1] - ends[:, 0])[:, None]
        if p == 1:
            return total, torch.zeros_like(total)
        samples = 2048 + 2 * p if self.samples is None else self.samples
        kept, weight, drawn = coalitions(game, samples)
        # With s the sum of phi, v(S) - v(not S) is that of S less that of the rest: 2 h phi with h = 1/2 inside S and
        # -1/2 outside. A coalition and its complement are one equation.
        halves = (game.values(kept) - game.values(~kept)) / 2
        signs = kept.double() - 0.5
        return solved(signs, weight, halves, total, drawn)


def coalitions(game: Game, samples: int) -> tuple[Bool[Tensor, "m players"], Float[Tensor, " m"], int]:
    """Coalitions, each for a pair with its complement; their weights; and how many of them, the last, are random."""
    p, left, size = game.players, samples, 1
    if samples < min(2 * p, 2**p - 2):
        raise InvalidInput(
            f"samples must be >= {2 * p}, one for each of {p} features and for all others, got {samples}; leave out "
            f"samples for {2048 + 2 * p}, or pass coarser groups."
        )
    mass = np.array([1 / (s * (p - s)) for s in range(1, p)])
    kept, weight = [], []
    while 2 * size <= p:
        sides = 1 if 2 * size == p else 2
        count = sides * math.comb(p, size)
        share = sides * mass[size - 1] / mass[size - 1 : p - size].sum()
        if size > 1 and count > left * share * (1 + 1e-9):
            break
        members = np.array(list(combinations(range(p), size)))[: count // 2]  # of the middle size, half are complements
        kept.append(np.zeros((len(members), p), dtype=bool))
        np.put_along_axis(kept[-1], members, values=True, axis=1)
        weight.append(np.full(len(members), sides * mass[size - 1] / len(members)))
        left, size = left - count, size + 1
    given = [torch.from_numpy(np.concatenate(part)).to(game.places.device) for part in (kept, weight) if part]
    drawn = left // 2 if 2 * size <= p else 0
    if not drawn:
        return given[0], given[1], 0
    rest = torch.from_numpy(mass[size - 1 : p - size]).to(game.places.device)
    sizes = size + torch.multinomial(rest, drawn, replacement=True, generator=game.question.generator)
    random = game.uniform(drawn).argsort(1) < sizes[:, None]
    each = torch.full_like(sizes, 1, dtype=torch.float64) * rest.sum() / drawn
    return torch.cat([*given[:1], random]), torch.cat([*given[1:], each]), drawn


def solved(
    signs: Float[Tensor, "m p"],
    weight: Float[Tensor, " m"],
    halves: Float[Tensor, "n m"],
    total: Float[Tensor, "n one"],
    drawn: int,
) -> tuple[Float[Tensor, "n p"], Float[Tensor, "n p"]]:
    """Phi of least weight (halves - signs phi)^2 whose sum is the total; the standard error from the `drawn` last."""
    weighted = signs * weight[:, None]
    # The square of the sum, which is fixed, may be added: without it two features have a singular matrix.
    factor = torch.linalg.cholesky(weighted.T @ signs + 1)
    ones = torch.cholesky_solve(torch.ones_like(signs[:1].T), factor)  # (p, 1)
    reach = torch.cholesky_solve(weighted[len(signs) - drawn :].T, factor)  # (p, drawn)
    reach = (reach - ones * (reach.sum(0) / ones.sum())).T  # what an error in an equation does to each value
    leverage = (reach * signs[len(signs) - drawn :]).sum(1)
    free = torch.cholesky_solve((halves @ weighted).T + total.T, factor)  # (p, n)
    found = (free - ones * ((free.sum(0) - total.T) / ones.sum())).T
    left = (halves - found @ signs.T)[:, len(signs) - drawn :] / (1 - leverage).sqrt()
    return found, (left.square() @ reach.square()).sqrt()
