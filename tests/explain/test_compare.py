"""Methods side by side: pairing, chance, and what may be said of the best."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from trustworthy.core.errors import InvalidInput
from trustworthy.explain import (
    CRITERIA,
    Chance,
    Comparison,
    Explainer,
    Gradient,
    LeaveOneOut,
    RandomOrder,
    Scored,
    compare,
)

WEIGHT = torch.tensor([4.0, -3.0, 2.0, 1.0, 0.5, -0.2], dtype=torch.float64)
X = torch.rand(12, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
CRITERION = ["insertion", "deletion"]
calls = []


def two_classes(rows):
    calls.append(len(rows))
    score = rows.to(torch.float64) @ WEIGHT
    return torch.stack([-score, score], dim=1)


@dataclass(frozen=True, kw_only=True)
class Foresighted(Explainer):
    """Knows the best order for insertion and, asked for the ranking of deletion, gives the worst one for it."""

    sign: float = 1.0

    def explain(self, question):
        _, value = question.gradients(question.x)
        towards = torch.where(question.goal.y == 1, 1.0, -1.0)[:, None]
        return Scored(self.sign * towards * WEIGHT * question.x + 0 * value[:, None])

    def for_criterion(self, name):
        return replace(self, sign=-1.0) if name == "deletion" else self


def compared(methods, seed=0, **given):
    given = {"criteria": CRITERION, "generator": torch.Generator().manual_seed(seed), **given}
    return compare(methods, two_classes, X, **given)


def test_the_best_is_found_and_its_lead_is_sure():
    told = []
    found = compared({"loo": LeaveOneOut(), "best": Foresighted(), "random": RandomOrder()}, advance=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    best = found.best("insertion")
    assert (best.method, best.sure) == ("best", True)
    assert best.interval[0] <= best.lead <= best.interval[1]
    values = {name: found.values(name, "insertion") for name in found.results}
    assert best.lead == pytest.approx((values["best"] - values[best.second]).mean())
    rows = {(row.method, row.criterion): row for row in found.table()}
    assert found.table()[0].method == "best"
    first, random = rows["best", "insertion"], rows["random", "insertion"]
    assert (first.behind, first.behind_interval) == (0.0, (0.0, 0.0))
    assert random.behind == pytest.approx((values["best"] - values["random"]).mean())
    assert random.behind_interval[0] > 0
    assert first.over_chance_interval[0] > 0
    low, high = random.over_chance_interval
    assert low < 0 < high  # a random order cannot be told from random orders
    assert first.error == pytest.approx(values["best"].std(ddof=1) / 12**0.5)
    assert first.interval[0] < first.mean < first.interval[1]


def test_a_ranking_made_for_a_criterion_is_judged_by_it_alone():
    found = compared({"best": Foresighted()}, criteria=["insertion", "deletion", "infidelity"], random_orders=0)
    result = found.results["best"]
    assert result["insertion"].attribution is result["infidelity"].attribution
    torch.testing.assert_close(result["deletion"].attribution.scores, -result["insertion"].attribution.scores)
    assert found.best("deletion").second is None
    assert not found.best("deletion").sure


def test_a_random_order_lies_in_the_band_of_chance():
    found = compared({"random": RandomOrder(), "best": Foresighted()}, random_orders=5)
    for criterion in CRITERION:
        low, high = found.chance[criterion].band
        assert low < found.values("random", criterion).mean() < high
        ends = found.chance[criterion].curve_band[:, -1]
        torch.testing.assert_close(ends[0], ends[1])  # all features in or out: no order
    assert found.values("best", "insertion").mean() > found.chance["insertion"].band[1]


def test_the_band_of_chance_holds_what_it_says():
    draw, trials, within = torch.Generator().manual_seed(0), 500, 0
    for _ in range(trials):
        typical, spread = torch.randn(50, generator=draw), torch.rand(50, generator=draw)
        values = typical + spread * torch.randn(3, 50, generator=draw)
        low, high = Chance(value=values[:2]).band
        within += low < values[2].mean() < high
    assert abs(within / trials - 0.94) < 0.03


def test_what_is_drawn_does_not_depend_on_the_company():
    methods = {"loo": LeaveOneOut(), "random": RandomOrder()}
    given = {"criteria": ["insertion", "infidelity"]}
    together = compared(methods, **given)
    parts = [compared({name: method}, random_orders=2 * k, **given) for k, (name, method) in enumerate(methods.items())]
    joined = Comparison.joined(parts)
    for name in methods:
        for criterion in given["criteria"]:
            np.testing.assert_array_equal(together.values(name, criterion), joined.values(name, criterion))
    assert joined.chance.keys() == set(given["criteria"])
    with pytest.raises(InvalidInput, match="one seed"):
        Comparison.joined([parts[0], compared(methods, 1, **given)])


def test_all_methods_meet_the_same_judge():
    found = compared({"a": LeaveOneOut(), "b": LeaveOneOut()}, criteria=["infidelity"], random_orders=0)
    np.testing.assert_array_equal(found.values("a", "infidelity"), found.values("b", "infidelity"))


def test_calls_are_all_counted():
    calls.clear()
    found = compared({"loo": LeaveOneOut()}, criteria=["insertion", "deletion"], random_orders=0)
    (first, second) = found.table()
    made = first.calls + first.judge_calls + second.judge_calls
    assert sum(calls) == len(X) * (made + 1)  # and the prediction that is explained, once for all methods


def test_one_example_has_no_interval():
    found = compare({"g": Gradient(), "r": RandomOrder()}, two_classes, X[:1], criteria={"in": CRITERIA["insertion"]})
    row = found.table()[0]
    assert np.isnan([row.error, *row.interval, *row.behind_interval, *row.over_chance_interval]).all()
    assert row.criterion == "in"
    assert not found.best("in").sure


def test_wrong_arguments():
    with pytest.raises(InvalidInput, match="methods must hold"):
        compared({})
    with pytest.raises(InvalidInput, match="at least 2"):
        compared({"g": Gradient()}, random_orders=1)
    with pytest.raises(InvalidInput, match="'deletion'"):
        compared({"g": Gradient()}, criteria=["deletoin"])
