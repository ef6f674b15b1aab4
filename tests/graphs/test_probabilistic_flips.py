"""Learned flip probabilities, eqs. (1.7) to (1.10), and flips relaxed to a ball, against formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, logit
from scipy.stats import kstest

from reference import graphs_flips as reference
from reference.graphs_flips import digits, in_margins, random_problem
from seeds import first
from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.poisoning import Exhaustive, Probabilistic, Relaxed, ReleasedProbabilistic, search
from trustworthy.graphs.poisoning.probabilistic import expected_loss, flip_probability
from trustworthy.graphs.poisoning.search import relaxed_flips

SOLVERS = {
    "probabilistic": Probabilistic(steps=30),
    "released": ReleasedProbabilistic(steps=30),
    "relaxed": Relaxed(),
}
every_solver = pytest.mark.parametrize("solve_flips", SOLVERS.values(), ids=SOLVERS)
seeds = st.integers(0, 10_000)


def frozen(seed, restarts=2, samples=3, n_labels=8):
    """First logits and noise."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((restarts, n_labels)), rng.logistic(size=(restarts, samples, n_labels))


@pytest.mark.parametrize("tau", [0.1, 2.0])
def test_the_printed_relaxation_flips_with_probability_alpha(tau):
    rng, alpha = np.random.default_rng(0), np.array([0.02, 0.3, 0.5, 0.9])
    first, second = rng.gumbel(size=(2, 50_000, 4))
    z = reference.z(alpha, first, second, tau)
    assert_allclose((z < 0.0).mean(axis=0), alpha, atol=0.008)  # P[delta = -1] = alpha; 3.6 standard errors
    assert_allclose(flip_probability(logit(alpha), first - second, tau), (1.0 - z) / 2.0, atol=1e-14)
    assert kstest(first[:, 0] - second[:, 0], "logistic").pvalue > 0.01


@given(seeds)
@settings(max_examples=20)
def test_the_loss_is_the_one_written_out(seed):
    operator, labels, aim = random_problem(seed)
    logits, noise = frozen(seed)
    penalty = np.array([0.2, 3.0])
    found, _ = expected_loss(logits, noise, *in_margins(operator, labels, aim), penalty, 0.4, 10.0)
    for restart in range(2):
        alpha = expit(logits[restart])
        losses = [
            reference.loss(
                operator, labels, aim, alpha, reference.z(alpha, draw, 0.0, 0.4), 10.0, 23 * penalty[restart]
            )
            for draw in noise[restart]
        ]
        assert_allclose(23 * found[restart], np.mean(losses), rtol=1e-10)


def test_sharp_and_cold_it_is_the_number_of_broken_nodes():
    problem = in_margins(*random_problem(0))
    logits, noise = frozen(0, restarts=3, samples=1)
    found, _ = expected_loss(logits, noise, *problem, np.zeros(3), 1e-4, 1e8)
    for restart in range(3):
        flips = np.flatnonzero(logits[restart] + noise[restart, 0] > 0.0)
        assert_allclose(found[restart], -2.0 * search.broken(*problem, flips) / 23, atol=1e-12)


@given(seeds, st.sampled_from([0.2, 0.5, 2.0]), st.sampled_from([1.0, 10.0]))
@settings(max_examples=20)
def test_the_gradient_is_that_of_finite_differences(seed, temperature, sharpness):
    problem = in_margins(*random_problem(seed))
    logits, noise = frozen(seed)

    def loss(logits):
        return expected_loss(logits, noise, *problem, np.array([0.1, 2.0]), temperature, sharpness)

    _, gradient = loss(logits)
    for label in range(logits.shape[1]):
        step = 1e-5 * np.eye(logits.shape[1])[label]
        slope = (loss(logits + step)[0] - loss(logits - step)[0]) / 2e-5
        assert_allclose(gradient[:, label], slope, rtol=1e-5, atol=1e-8)


def test_the_number_of_nodes_changes_neither_loss_nor_gradient():
    margin, effect = in_margins(*random_problem(1))
    logits, noise = frozen(1)
    once = expected_loss(logits, noise, margin, effect, np.ones(2), 0.5, 10.0)
    often = expected_loss(logits, noise, np.tile(margin, 7), np.tile(effect, (7, 1)), np.ones(2), 0.5, 10.0)
    for one, seven in zip(once, often, strict=True):
        assert_allclose(one, seven, rtol=1e-12)


@pytest.mark.parametrize("groups", [[3, 0, 5, 1], [300, 0, 500, 100]])
@pytest.mark.parametrize("penalty", [None, 0.5])
def test_the_labels_that_most_nodes_follow_are_learned(groups, penalty):
    problem = in_margins(np.repeat(np.eye(4), groups, axis=0), np.ones(4), np.ones(sum(groups)))
    for budget, expected in [(0, []), (1, [2]), (2, [0, 2]), (4, [0, 2, 3])]:
        found = Probabilistic(penalty=penalty)(*problem, budget, np.random.default_rng(0))
        assert_array_equal(found, expected)


@pytest.mark.parametrize("seed", first(1, of=3))
@pytest.mark.parametrize(("pair", "n_labels", "budget"), [((1, 7), 50, 2), ((3, 8), 50, 2), ((3, 9), 100, 3)])
def test_most_of_the_optimum_on_digits(pair, n_labels, budget, seed):
    problem = digits(pair, n_labels, seed)
    best = search.broken(*problem, Exhaustive()(*problem, budget, np.random.default_rng(0)))
    found = search.broken(*problem, Probabilistic()(*problem, budget, np.random.default_rng(0)))
    assert 0.8 * best <= found <= best


def test_ten_flips_on_digits_against_the_released_settings():
    problem = digits((1, 7), 50, 0)
    released = ReleasedProbabilistic()(*problem, 10, np.random.default_rng(0))
    found = Probabilistic()(*problem, 10, np.random.default_rng(0))
    assert round(search.broken(*problem, released) / 311, 3) == 0.273
    assert search.broken(*problem, found) > 0.45 * 311


def test_on_a_plateau_the_penalty_does_not_keep_the_budget_from_being_spent():
    # Two flips of three break all; one alone breaks nothing.
    problem = in_margins(np.full((4, 3), 1 / 3), np.ones(3), np.ones(4))
    assert len(Probabilistic()(*problem, 2, np.random.default_rng(0))) == 2
    assert len(Probabilistic()(*problem, 1, np.random.default_rng(0))) == 0


def test_the_released_settings_flip_only_what_has_become_likely():
    problem = in_margins(*random_problem(0))
    assert_array_equal(ReleasedProbabilistic(steps=0)(*problem, 8, np.random.default_rng(0)), [])
    # Labels that only repair: their alpha falls below a half.
    assert_array_equal(ReleasedProbabilistic()(np.zeros(5), -np.ones((5, 3)), 3, np.random.default_rng(0)), [])


def test_the_released_settings_take_plain_steps():
    problem = operator, labels, aim = random_problem(2, nodes=200)
    alpha, rng = np.full(8, 0.5), np.random.default_rng(1)
    for noise in rng.logistic(size=(20, 8)):
        gradient = np.empty(8)
        for label, step in enumerate(1e-5 * np.eye(8)):
            high, low = (
                reference.loss(operator, labels, aim, moved, reference.z(moved, noise, 0.0, 0.2), 10.0, 0.01)
                for moved in (alpha + step, alpha - step)
            )
            gradient[label] = (high - low) / 2e-5
        alpha -= 1e-6 * gradient
    likely = [label for label in np.argsort(-alpha)[:3] if alpha[label] > 0.5]
    found = ReleasedProbabilistic(steps=20)(*in_margins(*problem), 3, np.random.default_rng(1))
    assert_array_equal(found, np.sort(likely))


def test_the_ball_around_one_node_is_left_along_its_effects():
    effect = np.array([[0.8, 0.0, -0.6]])
    assert_allclose(relaxed_flips(np.array([0.5]), effect, 4), 2.0 * effect[0], atol=1e-12)
    assert_array_equal(Relaxed()(np.array([0.5]), effect, 2, np.random.default_rng(0)), [0])


@given(seeds, st.integers(1, 8))
@settings(max_examples=20)
def test_no_point_of_the_ball_is_further_from_the_aims(seed, budget):
    operator, labels, aim = random_problem(seed)
    p = relaxed_flips(*in_margins(operator, labels, aim), budget)
    assert np.linalg.norm(p) <= np.sqrt(budget) * (1.0 + 1e-9)

    def apart(p):
        return np.linalg.norm(operator @ (labels * (1.0 - 2.0 * p)) - aim)

    directions = np.random.default_rng(seed).standard_normal((200, 8))
    near = p + 0.1 * directions
    for other in [*directions, *near]:
        assert apart(np.sqrt(budget) * other / np.linalg.norm(other)) <= apart(p) + 1e-9


@pytest.mark.parametrize("seed", first(5, of=40))
def test_labels_that_rise_in_the_ball_stay(seed):
    rng = np.random.default_rng(seed)
    margin, effect = rng.uniform(0.0, 1.0, 30), rng.normal(0.1, 0.3, (30, 4))
    p, found = relaxed_flips(margin, effect, 4), Relaxed()(margin, effect, 4, np.random.default_rng(0))
    assert (p[found] > 0.0).all()


def test_relaxed_flips_the_labels_that_fall_the_most():
    problem = digits((3, 8), 50, 2)
    p = relaxed_flips(*problem, 3)
    assert_array_equal(Relaxed()(*problem, 3, np.random.default_rng(0)), np.sort(np.argsort(-p)[:3]))


@every_solver
@given(seed=seeds, budget=st.integers(0, 7))
@settings(max_examples=15)
def test_answers_keep_their_contract(solve_flips, seed, budget):
    rng = np.random.default_rng(seed)
    margin, effect = rng.integers(-2, 5, 15) / 4, rng.integers(-3, 4, (15, 7)) / 4
    copies = margin.copy(), effect.copy()
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    flips, again = (solve_flips(margin, effect, budget, np.random.default_rng(0)) for _ in range(2))
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert_array_equal(flips, again)
    assert flips.dtype == np.int64
    assert len(flips) <= budget
    assert_array_equal(flips, np.unique(flips))
    if solve_flips is not SOLVERS["released"]:
        assert search.broken(margin, effect, flips) >= search.broken(margin, effect, [])
    assert_array_equal(margin, copies[0])
    assert_array_equal(effect, copies[1])


@every_solver
def test_bad_budgets_and_numbers_are_refused(solve_flips):
    rng = np.random.default_rng(0)
    for budget in (-1, 4):
        with pytest.raises(InvalidInput, match="budget"):
            solve_flips(np.ones(2), np.ones((2, 3)), budget, rng)
    with pytest.raises(InvalidInput, match="finite"):
        solve_flips(np.array([1.0, np.nan]), np.ones((2, 3)), 1, rng)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0.0),
        ("sharpness", -1.0),
        ("penalty", -0.1),
        ("penalty", np.nan),
        ("learning_rate", 0.0),
        ("samples", 0),
        ("steps", 0),
        ("restarts", 0),
    ],
)
def test_bad_settings_are_refused(name, value):
    with pytest.raises(InvalidInput, match=name):
        Probabilistic(**{name: value})(np.ones(2), np.ones((2, 3)), 1, np.random.default_rng(0))
