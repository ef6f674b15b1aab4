"""Methods judged side by side on the same examples: every value, what chance would reach, and whether a lead is sure.

found = compare({"gradient": Gradient(), "greedy-as": GreedyAS()}, model, x)
found.best("robustness-complement")
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from trustworthy.attacks.evaluate import Advance, silent
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.inputs import Array
from trustworthy.core.protocols import AnyClassifier
from trustworthy.core.seeds import numpy_generator, torch_generator
from trustworthy.explain.attribution import Attribution
from trustworthy.explain.criteria import as_criterion
from trustworthy.explain.criteria.criterion import Criterion, Judged
from trustworthy.explain.explainer import Explainer, asked
from trustworthy.explain.groups import Groups
from trustworthy.explain.methods.random_order import RandomOrder
from trustworthy.metrics import bootstrap_interval

TABLE = ("robustness-complement", "robustness", "insertion", "deletion")
QUANTILE = 1.96  # of the normal distribution, for bands that hold 95 in 100
Interval = tuple[float, float]


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """One method by one criterion.

    attribution : the explanations, with the ranking made for this criterion where the method makes one.
    seconds : that explaining all examples took.
    """

    attribution: Attribution
    judged: Judged
    seconds: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Chance:
    """What random orders reach by one criterion.

    value : (orders, n). curve : (orders, n, points), of a criterion with curves.
    """

    value: Float[Tensor, "orders n"]
    curve: Float[Tensor, "orders n points"] | None = None

    @property
    def band(self) -> Interval:
        """Where the mean over these examples of one more random order lies, in about 95 of 100 cases."""
        low, high = _band(self.value)
        return float(low), float(high)

    @property
    def curve_band(self) -> Float[Tensor, "2 points"] | None:
        """The same at each point of the curve."""
        return None if self.curve is None else torch.stack(_band(self.curve))


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method by one criterion, over the examples.

    mean, error, interval : mean, its standard error, and its bootstrap interval (95 %).
    behind : how much better the best method is on the same examples, >= 0, with its interval; 0 of the best itself.
    over_chance : how much better it is than a random order of the same examples, with its interval.
    unbroken : share of the points of the curves where the prediction could not be changed.
    calls, judge_calls, seconds : mean of an example; rows shown to the model to explain it, and to judge it.

    An interval is NaN where one example is all there is, or where there were no random orders.
    """

    method: str
    criterion: str
    mean: float
    error: float
    interval: Interval
    behind: float
    behind_interval: Interval
    over_chance: float
    over_chance_interval: Interval
    unbroken: float
    calls: float
    judge_calls: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best method by one criterion.

    second : the next best, None where there is no other. lead : mean over the examples of how much better the best is,
        with its interval (95 %, of one comparison, not corrected for having picked the best of several).
    sure : whether the interval leaves out 0.
    """

    method: str
    second: str | None
    lead: float
    interval: Interval

    @property
    def sure(self) -> bool:
        return self.interval[0] > 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """Several methods by several criteria on the same examples.

    criteria : by the names of the columns. results : by method, then by criterion. chance : by criterion; empty where
    no random orders were judged. seed : of all that was drawn, the resampling of intervals included.
    """

    criteria: Mapping[str, Criterion]
    results: Mapping[str, Mapping[str, Result]]
    chance: Mapping[str, Chance]
    seed: int

    def values(self, method: str, criterion: str) -> Float[np.ndarray, " n"]:
        """The value of every example, float64."""
        return _array(self.results[method][criterion].judged.value)

    def table(self) -> list[Row]:
        """A row for each method and criterion, by criterion from the best method to the worst."""
        return [self._row(method, criterion) for criterion in self.criteria for method in self._ranked(criterion)]

    def best(self, criterion: str) -> Best:
        """Which method is best by one criterion, and whether its lead over the second is beyond chance."""
        first, *others = self._ranked(criterion)
        if not others:
            return Best(method=first, second=None, lead=np.nan, interval=(np.nan, np.nan))
        lead = self._gain(criterion, self.values(first, criterion), self.values(others[0], criterion))
        return Best(method=first, second=others[0], lead=float(lead.mean()), interval=self._interval(lead))

    @classmethod
    def joined(cls, parts: Sequence[Comparison]) -> Comparison:
        """One comparison of the methods of all parts, which judged the same examples under the same seed."""
        first = parts[0]
        if any(part.seed != first.seed or list(part.criteria) != list(first.criteria) for part in parts):
            raise InvalidInput(
                "parts must be of one seed and judged by the same criteria; give each the same state of `generator`."
            )
        results = {method: found for part in parts for method, found in part.results.items()}
        chance = next((part.chance for part in parts if part.chance), {})
        return cls(criteria=first.criteria, results=results, chance=chance, seed=first.seed)

    def _row(self, method: str, criterion: str) -> Row:
        result, value = self.results[method][criterion], self.values(method, criterion)
        curve = result.judged.curve
        best = self.values(self._ranked(criterion)[0], criterion)
        behind = self._gain(criterion, best, value)
        chance = self.chance.get(criterion)
        over = np.full(len(value), np.nan)
        if chance is not None:
            over = self._gain(criterion, value, _array(chance.value).mean(0))
        unbroken = None if curve is None else curve.unbroken
        return Row(
            method=method, criterion=criterion, mean=float(value.mean()),
            error=float(value.std(ddof=1) / len(value) ** 0.5) if len(value) > 1 else np.nan,
            interval=self._interval(value),
            behind=float(behind.mean()), behind_interval=self._interval(behind),
            over_chance=float(over.mean()), over_chance_interval=self._interval(over),
            unbroken=0.0 if unbroken is None else float(unbroken.double().mean()),
            calls=float(result.attribution.calls.double().mean()),
            judge_calls=float(result.judged.calls.double().mean()),
            seconds=result.seconds / len(value),
        )  # fmt: skip

    def _ranked(self, criterion: str) -> list[str]:
        sign = -1 if self.criteria[criterion].higher_is_better else 1
        return sorted(self.results, key=lambda method: sign * self.values(method, criterion).mean())

    def _gain(self, criterion: str, better: np.ndarray, worse: np.ndarray) -> Float[np.ndarray, " n"]:
        return better - worse if self.criteria[criterion].higher_is_better else worse - better

    def _interval(self, values: Float[np.ndarray, " n"]) -> Interval:
        return mean_interval(values, self.seed)


def mean_interval(values: Float[np.ndarray, " n"], seed: int) -> Interval:
    """Bootstrap interval of the mean over examples, the same ones drawn under one seed; NaN of a single one."""
    if len(values) == 1 or np.isnan(values).any():
        return np.nan, np.nan
    return bootstrap_interval(np.mean, values, random_state=numpy_generator(seed, "resampling"))


def compare(
    methods: Mapping[str, Explainer],
    model: AnyClassifier,
    x: Array,
    y: Array | None = None,
    *,
    criteria: Sequence[str] | Mapping[str, Criterion] = TABLE,
    groups: Any = None,
    target: Array | int | None = None,
    generator: torch.Generator | None = None,
    random_orders: int = 3,
    advance: Advance = silent,
) -> Comparison:
    """Explain the batch `x` by each of `methods`, and judge the explanations by each of `criteria`.

    Parameters
    ----------
    methods : by the names under which they are shown. A method that makes a ranking for a criterion is judged by that,
        as in Table 7.1, see `Explainer.for_criterion`.
    model, x, y, target, groups : see `Explainer.__call__`.
    criteria : names of `CRITERIA`, or criteria by the names under which they are shown. A method that optimised the
        attack of its judge should be judged by another attack too:
        {"robustness-complement@apgd": SubsetRobustness(relevant=False, robustness=Robustness(attack=Bisection(...)))}.
    generator : source of one seed, from which everything that is drawn has a stream of its own: whatever other methods
        there are, and the same for all of them where they are judged. None draws from torch's global stream.
    random_orders : random orders of each example that are judged, at least 2; 0 for none.
    advance : told the share of the work that is done.

    Cost: the methods', and for each of them, and for each random order, the criteria's.
    """
    if not methods:
        raise InvalidInput("methods must hold at least one, got none.")
    checks.integer("random_orders", random_orders, at_least=0)
    if random_orders == 1:
        raise InvalidInput("random_orders must be at least 2, to tell how far they spread, or 0, got 1.")
    judges = criteria if isinstance(criteria, Mapping) else {name: as_criterion(name) for name in criteria}
    seed = int(torch.randint(2**62, (), generator=generator, device=None if generator is None else generator.device))
    with asked(model, x, y, target=target, groups=groups, generator=generator) as question:
        goal, features = question.goal, question.groups
    door = _Door(model, x, goal.y, goal.target, features, judges, seed)
    steps = _told(advance, (len(methods) + random_orders) * len(judges))
    results = {name: dict(door.judged(name, method, steps)) for name, method in methods.items()}
    orders = [dict(door.judged(f"random order {k}", RandomOrder(), steps)) for k in range(random_orders)]
    chance = {name: _chance([order[name].judged for order in orders]) for name in judges if orders}
    return Comparison(criteria=judges, results=results, chance=chance, seed=seed)


@dataclass(frozen=True, eq=False)
class _Door:
    """What all methods are asked."""

    model: AnyClassifier
    x: Array
    y: Tensor
    target: Tensor | None
    groups: Groups
    criteria: Mapping[str, Criterion]
    seed: int

    def judged(self, name: str, method: Explainer, steps: Iterator[None]) -> Iterator[tuple[str, Result]]:
        """By each criterion; an explanation that serves for several is made once."""
        made: dict[str, tuple[Attribution, float]] = {}
        for column, criterion in self.criteria.items():
            explainer = method.for_criterion(criterion.name)
            key = "" if explainer is method else criterion.name
            if key not in made:
                made[key] = self._explained(name, explainer)
            attribution, seconds = made[key]
            given = {"explainer": explainer, "generator": self._stream("judge", column)}
            judged = criterion(self.model, self.x, attribution, **given)
            yield column, Result(attribution=attribution, judged=judged, seconds=seconds)
            next(steps)

    def _explained(self, name: str, explainer: Explainer) -> tuple[Attribution, float]:
        began = time.perf_counter()
        given = {"target": self.target, "groups": self.groups, "generator": self._stream("explain", name)}
        try:
            found = explainer(self.model, self.x, self.y, **given)
        except Exception as error:
            error.add_note(f"raised by the method {name!r}.")
            raise
        return found, time.perf_counter() - began

    def _stream(self, *names: str) -> torch.Generator:
        return torch_generator(self.seed, *names, device=self.y.device)


def _told(advance: Advance, count: int) -> Iterator[None]:
    for done in range(1, count + 1):
        advance(done / count)
        yield


def _chance(orders: Sequence[Judged]) -> Chance:
    curves = [order.curve.value for order in orders if order.curve is not None]
    return Chance(
        value=torch.stack([order.value for order in orders]), curve=torch.stack(curves) if len(curves) else None
    )


def _band(values: Float[Tensor, "orders n *points"]) -> tuple[Tensor, Tensor]:
    """Limits of the mean over examples of one more random order.

    Its variance follows from that of the orders of each example; the middle of the band has its own.
    """
    orders, n = values.shape[:2]
    middle = values.mean((0, 1))
    spread = QUANTILE * (values.var(0).mean(0) / n * (1 + 1 / orders)).sqrt()
    return middle - spread, middle + spread


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().double().numpy()
