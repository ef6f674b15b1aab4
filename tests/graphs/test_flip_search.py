"""Searches over sets of label flips against closed forms and brute force."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from reference import graphs_flips as reference
from reference.graphs_flips import digits, in_margins, random_problem
from seeds import first
from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.poisoning import Exhaustive, Greedy, LocalSearch, ReleasedGreedy, search
from trustworthy.graphs.poisoning import search_kernels as kernels


def run(searching):
    """The search as a function of margins, effects and a budget."""
    return lambda *problem: searching(*problem, np.random.default_rng(0))


@dataclass(frozen=True, kw_only=True)
class Given(search.FlipSearch):
    """A set of flips as the answer of a search."""

    labels: object

    def flips(self, nodes, budget, rng):
        return np.sort(np.array(self.labels, np.int64))


def local(*starts, restarts=16):
    """Local search from sets of flips, or from the greedy one."""
    return run(LocalSearch(starts=tuple(Given(labels=start) for start in starts) or (Greedy(),), restarts=restarts))


greedy, released, exhaustive = run(Greedy()), run(ReleasedGreedy()), run(Exhaustive())
SEARCHES = {"greedy": greedy, "released": released, "exhaustive": exhaustive, "local": local()}
every_search = pytest.mark.parametrize("solve_flips", SEARCHES.values(), ids=SEARCHES)
seeds = st.integers(0, 10_000)


def followers(groups):
    """Nodes that each follow one label: the numbers of them are given."""
    operator = np.repeat(np.eye(len(groups)), groups, axis=0)
    return in_margins(operator, np.ones(len(groups)), np.ones(sum(groups)))


@every_search
@pytest.mark.parametrize(("budget", "expected"), [(0, []), (1, [2]), (2, [0, 2]), (3, [0, 2, 3]), (4, [0, 2, 3])])
def test_nodes_that_follow_one_label_fall_with_it(solve_flips, budget, expected):
    problem = followers([3, 0, 5, 1])
    assert_array_equal(solve_flips(*problem, budget), expected)
    assert search.broken(*problem, expected) == sum([3, 0, 5, 1][j] for j in expected)


@every_search
def test_a_margin_of_exactly_zero_is_broken(solve_flips):
    margin, effect = np.array([1.0, 1.0]), np.array([[1.0, 0.0, 0.75], [0.0, 0.0, 0.0]])
    assert_array_equal(solve_flips(margin, effect, 1), [0])
    assert search.broken(margin, effect, [0]) == 1
    assert search.broken(np.zeros(2), effect, []) == 2


@pytest.mark.parametrize("name", ["greedy", "exhaustive", "local"])
def test_two_flips_that_only_help_together_are_found(name):
    # Four nodes hear labels 0, 1 and 2 to equal parts, and a fifth one hears label 3 and, less, label 4.
    operator = np.array([[1 / 3, 1 / 3, 1 / 3, 0.0, 0.0]] * 4 + [[0.0, 0.0, 0.25, 0.45, 0.3]])
    problem = in_margins(operator, np.ones(5), np.ones(5))
    assert search.broken(*problem, SEARCHES[name](*problem, 2)) == 4
    assert_array_equal(released(*problem, 2), [])


@every_search
def test_no_flip_is_made_that_breaks_nothing_more(solve_flips):
    # The second label's flip mends what the first one's broke.
    margin, effect = np.array([0.5, 0.5, -1.0]), np.array([[1.0, -2.0], [1.0, -2.0], [0.0, -3.0]])
    assert_array_equal(solve_flips(margin, effect, 2), [0])


def test_greedy_goes_back_to_the_best_part_of_its_path():
    # All aims missed but one, which a single flip breaks; whatever else is flipped mends something.
    margin, effect = np.array([1.0, -1.0, -1.0]), np.array([[2.0, 0.0, 0.0], [0.0, -2.0, 0.0], [0.0, 0.0, -2.0]])
    assert_array_equal(greedy(margin, effect, 3), [0])
    assert_array_equal(greedy(-np.ones(1), -3.0 * np.ones((1, 2)), 2), [])


@pytest.mark.parametrize("sharp", [1e-3, 1.0, 1e3])
def test_the_soft_margin_tells_any_two_margins_apart(sharp):
    assert kernels.softness(np.array([0.0])) == 0.0
    assert_allclose(kernels.softness(np.array([0.25, -0.75])), 0.5 * (1 / 2 - 3 / 4))
    assert -1.0 < kernels.softness(np.array([-sharp])) < kernels.softness(np.array([-0.99 * sharp])) < 0.0


@given(seeds)
@settings(max_examples=20)
def test_counts_are_those_of_the_signs(seed):
    operator, labels, aim = random_problem(seed)
    margin, effect = in_margins(operator, labels, aim)
    flips = np.flatnonzero(np.random.default_rng(seed).random(len(labels)) < 0.4)
    assert search.broken(margin, effect, flips) == reference.wrong(operator, labels, aim, flips)
    soft = kernels.softness(margin - effect[:, flips].sum(axis=1))
    assert_allclose(soft, reference.softness(operator, labels, aim, flips), atol=1e-14)


@given(seeds, st.integers(0, 4))
@settings(max_examples=20)
def test_exhaustive_finds_the_first_of_the_best_sets(seed, budget):
    problem = random_problem(seed)
    assert_array_equal(exhaustive(*in_margins(*problem), budget), reference.best_set(*problem, budget))


@pytest.mark.parametrize("n_labels", [1, 2, 5])
def test_exhaustive_may_flip_every_label(n_labels):
    for seed in range(10):
        problem = random_problem(seed, n_labels=n_labels, wrong=0.5)
        expected = reference.best_set(*problem, n_labels)
        assert_array_equal(exhaustive(*in_margins(*problem), n_labels), expected)


@given(seeds, st.integers(0, 8))
@settings(max_examples=20)
def test_greedy_walks_as_if_every_candidate_were_evaluated_afresh(seed, budget):
    problem = random_problem(seed, nodes=12)
    walk = reference.greedy_walk(*problem, budget)
    counts = [reference.wrong(*problem, walk[:k]) for k in range(budget + 1)]
    assert_array_equal(greedy(*in_margins(*problem), budget), sorted(walk[: int(np.argmax(counts))]))
    walk = reference.greedy_walk(*problem, budget, patient=False)
    assert_array_equal(released(*in_margins(*problem), budget), sorted(walk))


@given(seeds, st.integers(1, 4))
@settings(max_examples=20)
def test_no_neighbour_of_a_local_optimum_breaks_more(seed, budget):
    problem = random_problem(seed)
    found = local([], restarts=0)(*in_margins(*problem), budget)
    if len(found) == budget:  # else useless flips may have been dropped from the optimum
        counts = [reference.wrong(*problem, other) for other in reference.neighbours(8, found, budget)]
        assert max(counts) <= reference.wrong(*problem, found)


@given(seeds, st.integers(0, 5))
@settings(max_examples=15)
def test_local_search_lies_between_its_starts_and_the_best(seed, budget):
    margin, effect = in_margins(*random_problem(seed, nodes=40, n_labels=10))
    rng = np.random.default_rng(seed)
    starts = [rng.permutation(10)[: rng.integers(budget + 1)] for _ in range(3)]
    found = local(*starts)(margin, effect, budget)
    best = search.broken(margin, effect, exhaustive(margin, effect, budget))
    assert max(search.broken(margin, effect, start) for start in starts) <= search.broken(margin, effect, found) <= best


@pytest.mark.parametrize(
    ("flips", "budget", "move"),
    [
        ([], 3, (-1, 2)),
        ([2], 3, (-1, 0)),
        ([1], 1, (1, 2)),
        ([0, 2], 3, (-1, -1)),
        ([0, 2, 3], 3, (3, -1)),
    ],
)
def test_the_best_move_adds_swaps_or_takes_back(flips, budget, move):
    # Labels 0 and 2 break nodes, label 1 none, and label 3 mends one that is broken to begin with.
    margin, effect = followers([3, 0, 5, 0])
    nodes = search.Nodes.of(np.append(margin, -1.0), np.vstack([effect, [0.0, 0.0, 0.0, -2.0]]))
    flips = np.array(flips, np.int64)
    left = nodes.margin - nodes.effect[:, flips].sum(axis=1)
    assert kernels.best_move(left, *nodes[1:], flips, budget) == move


def test_local_search_climbs_from_nothing_and_drops_what_only_lowers_the_soft_margin():
    margin, effect = np.array([1.0, 1.0]), np.array([[2.0, 0.0], [0.0, 0.5]])
    found = local([], restarts=0)(margin, effect, 2)
    assert_array_equal(found, [0])


def test_restarts_help_and_never_harm():
    gained = 0
    for seed in range(8):
        problem = in_margins(*random_problem(seed, nodes=60, n_labels=30, wrong=0.0))
        once, often = (search.broken(*problem, local(restarts=restarts)(*problem, 5)) for restarts in (0, 10))
        assert often >= once
        gained += often > once
    assert gained > 0


def test_local_search_repeats_itself_and_leaves_the_global_stream_alone():
    problem = in_margins(*random_problem(3, nodes=60, n_labels=30))
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (local()(*problem, 6) for _ in range(2))
    assert_array_equal(first, second)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@every_search
@given(seed=seeds, budget=st.integers(0, 4))
@settings(max_examples=20)
def test_answers_keep_their_contract(solve_flips, seed, budget):
    rng = np.random.default_rng(seed)
    # Margins and effects on a grid: ties everywhere, and effects of any sign.
    margin, effect = rng.integers(-2, 5, 15) / 4, rng.integers(-3, 4, (15, 7)) / 4
    copies = margin.copy(), effect.copy()
    flips = solve_flips(margin, effect, budget)
    assert flips.dtype == np.int64
    assert len(flips) <= budget
    assert_array_equal(flips, np.unique(flips))
    assert search.broken(margin, effect, flips) >= search.broken(margin, effect, [])
    assert_array_equal(solve_flips(margin, np.asfortranarray(effect), budget), flips)
    assert_array_equal(margin, copies[0])
    assert_array_equal(effect, copies[1])


@pytest.mark.parametrize(("pair", "n_labels", "seed", "best"), [((1, 7), 50, 0, 0.077), ((3, 8), 50, 2, 0.202)])
def test_digits_two_flips(pair, n_labels, seed, best):
    problem = digits(pair, n_labels, seed)
    shares = {name: search.broken(*problem, run(*problem, 2)) / len(problem[0]) for name, run in SEARCHES.items()}
    for name in ("greedy", "exhaustive", "local"):
        assert round(shares[name], 3) == best


def test_greedy_gets_off_the_plateau_that_stops_the_released_one():
    problem = digits((1, 7), 50, 0)
    for budget in (2, 5, 10):
        assert_array_equal(released(*problem, budget), [])
    assert search.broken(*problem, greedy(*problem, 10)) > 0.4 * len(problem[0])


@pytest.mark.parametrize(
    ("pair", "n_labels", "budget"),
    [((1, 7), 50, 3), ((3, 8), 50, 2), ((3, 8), 50, 3), ((3, 9), 100, 2), ((3, 9), 100, 3)],
)
@pytest.mark.parametrize("seed", first(1, of=4))
def test_local_search_finds_the_optimum_on_digits(pair, n_labels, budget, seed):
    problem = digits(pair, n_labels, seed)
    found = local(restarts=200)(*problem, budget)
    assert search.broken(*problem, found) == search.broken(*problem, exhaustive(*problem, budget))


def test_a_part_of_a_ranking():
    problem = followers([3, 0, 5, 1])
    assert_array_equal(search.best_prefix(*problem, np.array([1, 2, 0, 1])[:3]), [0, 1, 2])
    assert_array_equal(search.best_prefix(*problem, np.array([1])), [])
    # 0.8 - 0.3 - 0.5 is 0 and 0.8 - 0.5 - 0.3 is not: the count that is promised is the one from the lowest label up.
    assert_array_equal(search.best_prefix(np.array([0.8]), np.array([[0.5, 0.3]]), np.array([1, 0])), [])


@every_search
@pytest.mark.parametrize("budget", [-1, 4])
def test_bad_budgets_are_refused(solve_flips, budget):
    with pytest.raises(InvalidInput, match="budget"):
        solve_flips(np.ones(2), np.ones((2, 3)), budget)


@every_search
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(solve_flips, bad):
    margin, effect = np.ones(3), np.ones((3, 2))
    with pytest.raises(InvalidInput, match="finite"):
        solve_flips(np.array([1.0, bad, 1.0]), effect, 1)
    effect[1, 0] = bad
    with pytest.raises(InvalidInput, match="finite"):
        solve_flips(margin, effect, 1)


def test_shapes_that_do_not_fit_are_refused():
    for margin, effect in [
        (np.ones(2), np.ones((3, 2))),
        (np.ones(2), np.ones((2, 0))),
        (np.ones((2, 1)), np.ones((2, 1))),
    ]:
        with pytest.raises(InvalidInput, match="shape"):
            search.Nodes.of(margin, effect)


def test_exhaustive_refuses_more_sets_than_it_can_look_at():
    with pytest.raises(InvalidInput, match=r"79,375,496.*local-search"):
        exhaustive(np.ones(1), np.ones((1, 100)), 5)


def test_bad_restarts_are_refused():
    with pytest.raises(InvalidInput, match="restarts"):
        local(restarts=-1)(np.ones(1), np.ones((1, 3)), 2)
