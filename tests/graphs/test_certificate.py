"""Flips that a node withstands and errors that a budget can cause, against every set of flips, exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.graphs_certificate import fewest_flips, most_errors, relaxed_cover
from seeds import first
from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.poisoning import collective, coverage
from trustworthy.graphs.poisoning.certificate import certified_errors, certify_flips, flips_needed


def walk(seed, n_u, n_labelled, *, concentration=0.3):
    """Rows of a random walk: non-negative, of sum 1, and labels."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(n_labelled, concentration), size=n_u), rng.choice([-1.0, 1.0], n_labelled)


def classification(seed, n_u=20, n_labelled=9, *, signed=False):
    """Margins and effects of an operator and random aims, or effects of any sign."""
    operator, labels = walk(seed, n_u, n_labelled)
    rng = np.random.default_rng(seed + 1000)
    aim = np.where(rng.random(n_u) < 0.9, np.where(operator @ labels < 0, -1.0, 1.0), rng.choice([-1.0, 1.0], n_u))
    effect = 2 * aim[:, None] * operator * labels
    if signed:
        effect *= rng.choice([-1.0, 1.0], effect.shape)
    return aim * (operator @ labels), effect


def test_equal_votes_take_half_of_the_majoritys_lead():
    # Of 7 labels at 1/7, 5 are +1: the lead is 3/7 and a flip takes 2/7, so 2 flips change the sign. 6 of 8: a tie
    # after 2 flips of 2/8 each is a change.
    assert certify_flips(np.full((1, 7), 1 / 7), np.r_[np.ones(5), -np.ones(2)]).tolist() == [2]
    assert certify_flips(np.full((1, 8), 1 / 8), np.r_[np.ones(6), -np.ones(2)]).tolist() == [2]
    for n in range(1, 60):
        uniform = np.full((1, n), 1 / n)
        assert certify_flips(uniform, np.ones(n)).tolist() == [(n + 1) // 2]
        assert certify_flips(-uniform, np.ones(n)).tolist() == [(n + 1) // 2]


def test_ties_zero_rows_and_one_label():
    operator = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0], [0.1, 0.2, 0.3], [-1.0, 0.0, 0.0], [1e308, 1e308, 0.0]])
    labels = np.array([1, -1, 1])
    # 0.1 - 0.2 + 0.3 is 0.2 up to rounding and a flip of the second label strengthens it.
    assert certify_flips(operator, labels).tolist() == [1, 4, 1, 1, 1]
    assert certify_flips(np.array([[0.1, 0.2, 0.3]]), np.array([1, 1, -1])).tolist() == [1]  # a tie but for rounding
    assert certify_flips([[2.0], [-1.0], [0.0]], [1]).tolist() == [1, 1, 2]


@pytest.mark.parametrize("seed", first(3, of=12))
@pytest.mark.parametrize("kind", ["walk", "uniform", "signed", "whole"])
def test_every_set_of_flips_agrees(seed, kind):
    rng = np.random.default_rng(seed)
    n_labelled = int(rng.integers(1, 9))
    operator, labels = walk(seed, 12, n_labelled)
    if kind == "uniform":
        operator = np.full((1, n_labelled), 1 / n_labelled)
    if kind == "signed":
        operator = rng.normal(size=(12, n_labelled))
    if kind == "whole":  # exact ties abound
        operator = rng.integers(-3, 4, (12, n_labelled)).astype(float)
    np.testing.assert_array_equal(certify_flips(operator, labels), fewest_flips(operator, labels))


@pytest.mark.parametrize("seed", first(4, of=20))
def test_ties_of_numbers_that_are_no_binary_fractions(seed):
    # Whole numbers tie exactly; a tenth or a seventh of them ties but for rounding, in whatever order sums are taken.
    rng = np.random.default_rng(seed)
    whole, labels = rng.integers(-4, 5, (12, 8)), rng.choice([-1.0, 1.0], 8)
    exact = fewest_flips(whole, labels)
    np.testing.assert_array_equal(certify_flips(whole / 10, labels), exact)
    np.testing.assert_array_equal(certify_flips(whole / 7, labels), exact)


def test_a_sum_that_rounding_keeps_below_the_margin_reaches_it():
    assert np.cumsum(np.full(8, 0.1))[-1] < 0.8
    assert flips_needed(np.array([0.8]), np.full((1, 10), 0.1)).tolist() == [8]
    assert certified_errors([0.8], np.full((1, 10), 0.1), [7, 8]).tolist() == [0.0, 1.0]


def test_a_set_of_the_certified_size_changes_the_sign_and_no_smaller_one_can():
    operator, labels = walk(0, 400, 60, concentration=1.0)
    flips = certify_flips(operator, labels)
    contribution = np.sort(operator * labels * np.sign(operator @ labels)[:, None], axis=1)[:, ::-1]
    for size, change in ((flips, True), (flips - 1, False)):
        after = np.where(np.arange(60) < size[:, None], -contribution, contribution).sum(axis=1)
        assert np.all((after <= 0) == change)
    assert len(np.unique(flips)) > 3


def test_blocks_of_rows_do_not_show(monkeypatch):
    operator, labels = walk(3, 50, 11)
    whole = certify_flips(operator, labels)
    monkeypatch.setattr("trustworthy.graphs.poisoning.certificate._CELLS", 40)
    np.testing.assert_array_equal(certify_flips(operator, labels), whole)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("seed", first(1, of=8))
def test_no_set_of_flips_breaks_more_than_the_bound(seed, signed):
    margin, effect = classification(seed, signed=signed)
    budgets = np.arange(5)
    bound = certified_errors(margin, effect, budgets)
    truth = np.array([most_errors(margin, effect, int(c)) for c in budgets])
    alone = np.array([(flips_needed(margin, effect) <= c).mean() for c in budgets])
    assert np.all(truth <= bound)
    assert np.all(bound <= alone)
    assert bound[0] == truth[0]
    assert np.all(np.diff(bound) >= 0)
    whole = margin > 0  # flips may mend nodes that are broken to begin with; of the others, one flip is bounded exactly
    assert certified_errors(margin[whole], effect[whole], [1])[0] == most_errors(margin[whole], effect[whole], 1)


def test_exact_ties_count_as_broken():
    # 0.6 = 3 * 0.2 in real numbers; in floats the sum of three 0.2 is above 0.6 and 0.3 - 0.1 is below 0.2.
    margin = np.array([0.6, 0.3 - 0.1, 0.6, 0.0])
    effect = np.array([[0.2, 0.2, 0.2, 0.0], [0.2, 0.0, 0.0, 0.0], [0.2, 0.2, 0.1, 0.1], [0.0, 0.0, 0.0, 0.0]])
    assert certified_errors(margin, effect, [0, 1, 2, 3, 4]).tolist() == [0.25, 0.5, 0.5, 0.75, 1.0]


def test_classes_share_the_budget():
    # Two labels decide ten nodes each, whose aims differ: a budget of one breaks ten nodes, not twenty.
    operator = np.repeat(np.eye(2), 10, axis=0)
    labels, aim = np.array([1.0, -1.0]), np.repeat([1.0, -1.0], 10)
    bound = certified_errors(aim * (operator @ labels), 2 * aim[:, None] * operator * labels, [0, 1, 2])
    assert bound.tolist() == [0.0, 0.5, 1.0]


def test_shared_budgets_are_split_in_the_worst_way():
    first, second = np.array([0, 1, 5, 5]), np.array([0, 2, 3, 9])
    assert collective._shared(first, second).tolist() == [0, 2, 5, 9]


@pytest.mark.parametrize("seed", first(2, of=6))
def test_the_dual_comes_close_to_the_linear_programme(seed):
    margin, effect = classification(seed, n_u=150, n_labelled=40)
    weights = np.clip(effect[margin > 0] / margin[margin > 0, None], 0.0, 1.0)
    for budget in (2, 5, 12):
        relaxed = relaxed_cover(weights, budget)
        found = coverage.covered(weights, budget, steps=500)
        assert np.floor(relaxed + 1e-6) <= found <= np.floor(relaxed * 1.001 + 1e-6) + 1


def test_stopping_at_once_leaves_a_valid_bound():
    margin, effect = classification(1, n_u=150, n_labelled=40)
    weights = np.clip(effect[margin > 0] / margin[margin > 0, None], 0.0, 1.0)
    relaxed = relaxed_cover(weights, 3)
    found = [coverage.covered(weights, 3, steps=steps) for steps in (0, 10, 400)]
    assert found[0] > found[2]
    assert min(found) >= np.floor(relaxed)


@given(st.integers(0, 10_000), st.integers(2, 12))
def test_projection_on_the_budget_is_the_nearest_point(seed, n):
    rng = np.random.default_rng(seed)
    v, lengths, budget = rng.normal(0.5, 1.0, n).round(1), rng.uniform(0.1, 3.0, n).round(1), int(rng.integers(1, n))
    f = coverage.project_capped(v, lengths, budget)
    assert f.min() >= 0
    assert f.max() <= 1
    assert f.sum() <= budget + 1e-9
    slope = (v - f) / lengths  # of half the squared distance, with the sign turned: normal to the set at f
    corners = np.sort(slope)[::-1][:budget].clip(min=0.0).sum()  # the farthest that any point of the set goes along it
    assert slope @ f >= corners - 1e-9


@pytest.mark.parametrize("seed", first(4, of=20))
def test_projection_bears_lengths_that_are_far_apart(seed):
    rng = np.random.default_rng(seed)
    v, lengths = rng.uniform(0.2, 3.0, 12), 10.0 ** rng.uniform(-9, 9, 12)
    f = coverage.project_capped(v * np.maximum(lengths, 1.0), lengths, 2)
    assert ((f >= 0) & (f <= 1)).all()
    assert f.sum() <= 2 + 1e-6


def test_budgets_between_levels_and_loose_bounds_take_the_next_larger_ones(monkeypatch):
    monkeypatch.setattr(collective, "covered", lambda weights, flips: flips if flips != 3 else 90)
    bounds = collective._group_bounds(np.ones(200), np.ones((200, 150)), np.ones(200, np.int64), 150)
    levels = np.array(collective._levels(150))
    assert bounds[:7].tolist() == [0, 1, 2, 4, 4, 5, 6]
    np.testing.assert_array_equal(bounds[4:], [levels[levels >= flips][0] for flips in range(4, 151)])


def test_levels_of_a_large_budget_are_rounded_up():
    levels = collective._levels(200)
    assert levels[:33] == list(range(33))
    assert levels[-1] == 200
    assert len(levels) < 80
    margin, effect = classification(2, n_u=15, n_labelled=60)
    every = certified_errors(margin, effect, np.arange(61))
    assert np.all(np.diff(every) >= 0)
    assert certified_errors(margin, effect, [45, 3, 45]).tolist() == [every[45], every[3], every[45]]


@pytest.mark.parametrize(
    ("operator", "labels", "message"),
    [
        (np.ones(3), np.ones(3), "operator must be a non-empty array"),
        (np.ones((2, 0)), np.ones(0), "operator must be a non-empty array"),
        ([[1.0, np.nan]], [1, 1], "operator must be finite"),
        ([["a"]], [1], "operator must be an array of numbers"),
        (np.ones((2, 3)), np.ones(2), "one label for each of the 3 columns"),
        (np.ones((2, 3)), [0, 1, 1], "y_labelled must hold -1 and \\+1 alone, got 0"),
        (np.ones((2, 3)), np.ones((3, 1)), "y_labelled must be a non-empty array"),
    ],
)
def test_bad_input_is_refused(operator, labels, message):
    with pytest.raises(InvalidInput, match=message):
        certify_flips(operator, labels)


def test_bad_budgets_are_refused():
    margin, effect = classification(0)
    for budgets, message in (
        ([-1], "budgets must be >= 0"),
        ([10], "budgets must be <= 9"),
        ([0.5], "whole"),
        (3, "list"),
    ):
        with pytest.raises(InvalidInput, match=message):
            certified_errors(margin, effect, budgets)
    with pytest.raises(InvalidInput, match="margin must have one entry"):
        certified_errors(margin[1:], effect, [1])
    assert certified_errors(margin, effect, []).shape == (0,)
