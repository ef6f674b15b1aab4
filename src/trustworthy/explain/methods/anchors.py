"""Anchors: the shortest rule that holds the prediction fixed, whatever the other features are.

The search is over sets of features; how often the prediction stays is estimated by drawing the others, and compared by
bounds on Bernoulli means, so that few draws decide where the candidates are far apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.free import Examples
from trustworthy.core.inputs import Array
from trustworthy.explain.attribution import Rule
from trustworthy.explain.explainer import Baseline, Explainer, Question, Scored, as_background, as_baseline
from trustworthy.metrics import proportion_interval

PULLS = 64  # draws of a candidate between two looks


@dataclass(frozen=True, kw_only=True)
class Anchors(Explainer):
    """The features that are enough for the prediction: with them, `precision` of what may come besides is read alike.

    With `background` what is not in the rule takes the values of one row of it, and of a table a column in the rule
    takes values of the same of `bins` equally full ranges: "37 < age <= 48". Without, each feature outside of the rule
    is missing, at `baseline`, with probability 1/2: words of a text. Features of the rule come first in the order, as
    they were found, then the others by how often they alone hold the prediction. Where the prediction holds as often
    without any rule, the rule is empty.

    Parameters
    ----------
    precision : in (0, 1), how often the prediction shall stay.
    confidence : of the bounds, in (0, 1).
    tolerance : difference in precision, > 0, that need not be resolved between candidates.
    beam : candidates kept at each length, >= 1.
    longest : features in a rule at most, >= 1.
    draws : fresh draws by which the precision of the found rule is told, >= 2; and at most so many of each candidate.
    background : (m, *shape) rows of the data, or None.
    baseline : what a missing feature looks like, in the units of the input.
    bins : ranges of a column, >= 2.

    Cost: some hundred to some thousand calls for each feature. Random: the draws. Reference: Ribeiro et al. 2018, with
    KL-LUCB of Kaufmann and Kalyanakrishnan 2013.
    """

    precision: float = 0.95
    confidence: float = 0.95
    tolerance: float = 0.1
    beam: int = 2
    longest: int = 5
    draws: int = 1000
    background: Array | None = field(default=None, repr=False)
    baseline: Baseline = 0.0
    bins: int = 4

    asks: ClassVar = "labels"
    of_prediction: ClassVar = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("precision", "confidence"):
            checks.fraction(name, getattr(self, name))
        checks.real("tolerance", self.tolerance, above=0.0)
        for name, least in (("beam", 1), ("longest", 1), ("draws", 2), ("bins", 2)):
            checks.integer(name, getattr(self, name), at_least=least)

    def explain(self, question: Question) -> Scored:
        found = [self._rule(Sampler(question, row, self)) for row in range(len(question.x))]
        rules, scores = zip(*found, strict=True)
        return Scored(torch.stack(scores).to(question.x), rules=rules)

    def _rule(self, sampler: Sampler) -> tuple[Rule, Float[Tensor, " groups"]]:
        """The rule of one example, and scores that put its features first."""
        singles = [Candidate((feature,)) for feature in sampler.features]
        beam = self._best(sampler, singles)
        scores = torch.zeros(sampler.count)
        for candidate in singles:
            scores[candidate.features[0]] = candidate.mean
        empty = Candidate(())
        chosen = empty if self._is_enough(sampler, empty) else self._grown(sampler, beam)
        for place, feature in enumerate(chosen.features):
            scores[feature] = 1.0 + len(chosen.features) - place
        return self._told(sampler, chosen.features), scores

    def _grown(self, sampler: Sampler, beam: list[Candidate]) -> Candidate:
        """The first candidate that is enough, of several as long the one that applies most often; else the best."""
        while True:
            enough = [candidate for candidate in beam if self._is_enough(sampler, candidate)]
            if enough:
                return max(enough, key=lambda c: sampler.coverage(c.features))
            longer = {frozenset((*c.features, f)): (*c.features, f) for c in beam for f in sampler.features}
            candidates = [Candidate(order) for chosen, order in longer.items() if len(chosen) == len(order)]
            if not candidates or len(candidates[0].features) > self.longest:
                return beam[0]
            beam = self._best(sampler, candidates)

    def _told(self, sampler: Sampler, features: tuple[int, ...]) -> Rule:
        """The rule with a precision from fresh draws: those of the search favoured what it chose."""
        held = sampler.holds(features, self.draws)
        low, high = proportion_interval(held, self.draws, self.confidence)
        ranges = tuple(sampler.range_of(feature) for feature in features)
        return Rule(features, held / self.draws, (low, high), sampler.coverage(features), ranges)

    def _best(self, sampler: Sampler, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The `beam` candidates of highest precision, the best first, up to `tolerance` (KL-LUCB)."""
        for candidate in candidates:
            candidate.pull(sampler, PULLS)
        kept = min(self.beam, len(candidates))
        for time in range(1, 1 + len(candidates) * self.draws // PULLS):
            ranked = sorted(candidates, key=lambda c: -c.mean)
            top, rest = ranked[:kept], ranked[kept:]
            if not rest:
                break
            level = _exploration(time, len(candidates), 1.0 - self.confidence)
            weakest = min(top, key=lambda c: c.bound(level, upper=False))
            rival = max(rest, key=lambda c: c.bound(level, upper=True))
            if rival.bound(level, upper=True) - weakest.bound(level, upper=False) <= self.tolerance:
                break
            open_ones = [c for c in (weakest, rival) if c.pulls < self.draws]
            if not open_ones:
                break
            for candidate in open_ones:
                candidate.pull(sampler, PULLS)
        return sorted(candidates, key=lambda c: -c.mean)[:kept]

    def _is_enough(self, sampler: Sampler, candidate: Candidate) -> bool:
        """Whether the precision of a candidate is above the wanted one, by a bound or after all the draws."""
        level = math.log(1.0 / (1.0 - self.confidence))
        while candidate.pulls < self.draws:
            candidate.pull(sampler, min(PULLS, self.draws - candidate.pulls))
            if candidate.bound(level, upper=True) < self.precision:
                return False
            if candidate.bound(level, upper=False) >= self.precision:
                return True
        return candidate.mean >= self.precision


class Candidate:
    """A set of features, and how often the prediction held with it so far."""

    def __init__(self, features: tuple[int, ...]) -> None:
        self.features, self.held, self.pulls = features, 0, 0

    def pull(self, sampler: Sampler, draws: int) -> None:
        """Draw some more."""
        self.held += sampler.holds(self.features, draws)
        self.pulls += draws

    @property
    def mean(self) -> float:
        """Share of the draws in which the prediction held."""
        return self.held / self.pulls if self.pulls else 0.0

    def bound(self, level: float, *, upper: bool) -> float:
        """The furthest mean q with pulls * KL(mean, q) <= level, above or below, by bisection."""
        inside, outside = self.mean, 1.0 if upper else 0.0
        for _ in range(30):
            middle = (inside + outside) / 2
            if self.pulls * _divergence(self.mean, middle) <= level:
                inside = middle
            else:
                outside = middle
        return inside


def _divergence(p: float, q: float) -> float:
    """Kullback-Leibler divergence of two Bernoulli means, in nats."""
    q = min(max(q, 1e-15), 1 - 1e-15)
    return sum(a * math.log(a / b) for a, b in ((p, q), (1 - p, 1 - q)) if a > 0)


def _exploration(time: int, arms: int, error: float) -> float:
    """Exploration rate of KL-LUCB at a step: 405.5 and 1.1 are the constants for which its guarantee is proved."""
    level = math.log(405.5 * arms * time**1.1 / error)
    return level + math.log(level)


class Sampler:
    """What else one example could be, given the features of a rule."""

    def __init__(self, question: Question, row: int, settings: Anchors) -> None:
        self.question, self.row, self.settings = question, row, settings
        self.x = question.x[row]
        self.groups = question.groups.rows(torch.tensor([row], device=self.x.device))
        self.count = self.groups.count
        present = self.groups.present[0]
        self.features: list[int] = present.nonzero().squeeze(1).tolist()
        self.y = question.goal.y[row]
        background = settings.background
        self.background = None if background is None else as_background(background, question.x)
        self.is_table = self.background is not None and self.x.ndim == 1
        if self.background is not None and self.is_table:
            self.edges, self.inside = _ranges(self.background, self.x, settings.bins)

    def holds(self, features: tuple[int, ...], draws: int) -> int:
        """In how many of some draws the prediction is that of the example."""
        points = self._points(features, draws)
        rows = torch.full((draws,), self.row, device=self.x.device)
        return int((self.question.probabilities(points, rows).argmax(1) == self.y).sum())

    def coverage(self, features: tuple[int, ...]) -> float:
        """To which share of what may come the rule applies: of the background, or of the ways to leave words out."""
        if not self.is_table:
            return 0.5 ** len(features)
        columns = self._mask(features)
        return float(self.inside[:, columns].all(1).double().mean())

    def range_of(self, feature: int) -> tuple[float, float] | None:
        """Of a column of a table, the range (above, at most) that the rule names; None of anything else."""
        columns = self._mask((feature,))
        if not self.is_table or int(columns.sum()) != 1:
            return None
        low, high = self.edges[:, columns].squeeze(1).tolist()
        return low, high

    def _mask(self, features: tuple[int, ...]) -> Bool[Tensor, " *shape"]:
        chosen = torch.zeros(1, self.count, dtype=torch.bool, device=self.x.device)
        chosen[0, list(features)] = True
        return self.groups.free(chosen)[0]

    def _points(self, features: tuple[int, ...], draws: int) -> Examples:
        generator, device = self.question.generator, self.x.device
        anchored = self._mask(features)
        if self.background is None:
            kept = torch.rand(draws, self.count, generator=generator, device=device) < 0.5
            kept[:, list(features)] = True
            free = self.groups.free(kept[None])[0]
            return torch.where(free, self.x, as_baseline(self.settings.baseline, self.x[None]))
        pool = self.background
        points = pool[torch.randint(len(pool), (draws,), generator=generator, device=device)]
        if not self.is_table:
            return torch.where(anchored, self.x, points)
        for column in anchored.nonzero().squeeze(1).tolist():
            alike = pool[self.inside[:, column], column]
            alike = alike if len(alike) else self.x[column][None]
            points[:, column] = alike[torch.randint(len(alike), (draws,), generator=generator, device=device)]
        return points


def _ranges(
    background: Float[Tensor, "m d"], x: Float[Tensor, " d"], bins: int
) -> tuple[Float[Tensor, "2 d"], Bool[Tensor, "m d"]]:
    """Of each column the range (above, at most) of `bins` equally full ones that holds x, and who lies in it."""
    cuts = torch.quantile(background.double(), torch.arange(1, bins, device=x.device).double() / bins, dim=0)
    value = x.double()
    low = cuts.masked_fill(cuts >= value, -torch.inf).amax(0)
    high = cuts.masked_fill(cuts < value, torch.inf).amin(0)
    inside = (background.double() > low) & (background.double() <= high)
    return torch.stack([low, high]), inside
