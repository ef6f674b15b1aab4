"""Poisoning of few real labels: the search against every support, and the bound above them."""

from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from reference.graphs_trust_region import best_support, minimum_by_duality
from seeds import first
from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.poisoning import sparse
from trustworthy.graphs.poisoning.sparse import maximize_sparse, sparse_bound
from trustworthy.graphs.poisoning.trust_region import minimize_in_ball


def reached(K, r, delta):
    return 0.5 * np.sum((K @ delta + r) ** 2)


def random_problem(seed, n=None):
    """An operator whose rows are distributions, or of any sign; every fifth residual is zero, as for eq. (1.3a)."""
    rng = np.random.default_rng(seed)
    n, rows = n or int(rng.integers(2, 9)), int(rng.integers(1, 12))
    K = rng.dirichlet(np.full(n, rng.choice([0.1, 1.0, 10.0])), rows) if seed % 2 else rng.normal(size=(rows, n))
    r = rng.normal(size=rows) * 10.0 ** rng.uniform(-2, 1) * (seed % 5 > 0)
    return K, r, 10.0 ** rng.uniform(-1, 1), int(rng.integers(1, n + 1))


@pytest.mark.parametrize("seed", first(5, of=60))
def test_the_search_meets_every_support_and_the_bound_lies_above(seed):
    K, r, radius, count = random_problem(seed)
    delta = maximize_sparse(K, r, radius, count)
    best = best_support(K, r, radius, count)
    assert np.count_nonzero(delta) <= count
    assert np.linalg.norm(delta) <= radius * (1 + 1e-14)
    assert_allclose(reached(K, r, delta), best, rtol=1e-7)
    bound = sparse_bound(K, r, radius, count)
    assert reached(K, r, delta) <= bound
    assert best <= bound * (1 + 1e-9)
    whole = 0.5 * r @ r - minimum_by_duality(-K.T @ K, -K.T @ r, radius)
    assert bound <= whole * (1 + 1e-9)


def test_the_bound_is_far_better_than_the_ball_s():
    ours, ball = [], []
    for seed in range(20):
        K, r, radius, count = random_problem(seed)
        if count < K.shape[1]:
            best = best_support(K, r, radius, count)
            ours.append(sparse_bound(K, r, radius, count) / best - 1)
            ball.append((0.5 * r @ r - minimum_by_duality(-K.T @ K, -K.T @ r, radius)) / best - 1)
    assert np.mean(ours) < 0.1 * np.mean(ball)


def test_with_an_identity_the_largest_residuals_are_pushed():
    r = np.array([0.5, -3.0, 1.0, 2.0])
    delta = maximize_sparse(np.eye(4), r, 0.7, 2)
    assert_allclose(delta, 0.7 * np.array([0.0, -3.0, 0.0, 2.0]) / np.sqrt(13.0), rtol=1e-14)


@pytest.mark.parametrize("seed", first(2, of=10))
def test_one_label_is_settled_in_closed_form(seed):
    K, r, radius, _ = random_problem(seed)
    gains = [radius * abs(K[:, j] @ r) + 0.5 * radius**2 * K[:, j] @ K[:, j] for j in range(K.shape[1])]
    best = 0.5 * r @ r + max(gains)
    assert_allclose(reached(K, r, maximize_sparse(K, r, radius, 1)), best, rtol=1e-12)
    assert_allclose(sparse_bound(K, r, radius, 1), best, rtol=1e-12)


@pytest.mark.parametrize("seed", first(2, of=10))
def test_all_labels_make_it_the_ball(seed):
    K, r, radius, _ = random_problem(seed)
    whole = 0.5 * r @ r - minimum_by_duality(-K.T @ K, -K.T @ r, radius)
    for count in (K.shape[1], K.shape[1] + 3):
        assert_allclose(reached(K, r, maximize_sparse(K, r, radius, count)), whole, rtol=1e-7)
        assert_allclose(sparse_bound(K, r, radius, count), whole, rtol=1e-7)


@pytest.mark.parametrize("seed", first(5, of=40))
def test_the_value_with_one_label_more_is_that_of_the_larger_support(seed):
    K, r, radius, _ = random_problem(seed)
    if seed % 4 == 0:
        K[:, -1] = K[:, 0]  # twins
    if seed % 7 == 0:
        K[:, 0] = 0.0
    problem, n = sparse._Supports.of(K, r, radius), K.shape[1]
    rng = np.random.default_rng(seed)
    support = np.sort(rng.permutation(n)[: rng.integers(0, n)])
    values = problem.values_with_one_more(support)
    for j in range(n):
        if j in support:
            assert values[j] == -np.inf
        else:
            assert_allclose(values[j], problem.value(np.sort(np.r_[support, j])), rtol=1e-11, atol=1e-300)


@pytest.mark.parametrize("seed", first(1, of=6))
def test_no_exchange_helps_and_no_start_is_better(seed):
    K, r, radius, _ = random_problem(seed, n=25)
    count, problem = 6, sparse._Supports.of(K, r, radius)
    delta = maximize_sparse(K, r, radius, count)
    support = np.flatnonzero(delta)
    gain = reached(K, r, delta) - 0.5 * r @ r
    starts = [sparse._greedy(problem, count), sparse._threshold(problem, problem.linear, count)]
    assert gain >= max(problem.value(start) for start in starts) * (1 - 1e-12)
    for i in support:
        for j in set(range(25)) - set(support):
            other = np.sort(np.r_[np.setdiff1d(support, i), j])
            assert problem.value(other) <= gain * (1 + 1e-10)


def start_far_off(seed):
    K, r, radius, _ = random_problem(seed, n=25)
    problem = sparse._Supports.of(K, r, radius)
    return problem, np.sort(np.argsort(np.abs(problem.linear))[:5])


def test_exchanges_repair_a_bad_start(monkeypatch):
    problem, worst = start_far_off(18)
    repaired = sparse._exchange(problem, worst)
    monkeypatch.setattr(sparse, "REMOVALS", 1)
    one = sparse._exchange(problem, worst)
    assert problem.value(worst) < problem.value(one) < 0.9 * problem.value(repaired)


@pytest.mark.parametrize("seed", [6, 20])
def test_exchanges_go_beyond_every_start(seed):
    K, r, radius, _ = random_problem(seed, n=25)
    problem = sparse._Supports.of(K, r, radius)
    whole = minimize_in_ball(-problem.gram, -problem.linear, radius).point
    starts = [sparse._greedy(problem, 6), *(sparse._threshold(problem, v, 6) for v in (whole, problem.linear))]
    gain = reached(K, r, maximize_sparse(K, r, radius, 6)) - 0.5 * r @ r
    assert gain > max(problem.value(start) for start in starts) * (1 + 1e-3)


def test_thresholding_never_falls():
    for seed in range(20):
        K, r, radius, _ = random_problem(seed, n=25)
        problem = sparse._Supports.of(K, r, radius)
        first = sparse._largest(problem.linear, 4)
        assert problem.value(sparse._threshold(problem, problem.linear, 4)) >= problem.value(first)


def test_many_labels_are_added_several_at_a_time(monkeypatch):
    K, r, radius, _ = random_problem(3, n=25)
    problem, sizes = sparse._Supports.of(K, r, radius), []
    original = sparse._Supports.values_with_one_more

    def counted(self, support):
        sizes.append(len(support))
        return original(self, support)

    monkeypatch.setattr(sparse._Supports, "values_with_one_more", counted)
    monkeypatch.setattr(sparse, "STEPS", 3)
    support = sparse._greedy(problem, 8)
    assert sizes == [0, 3, 6]
    assert len(set(support)) == 8
    assert_array_equal(support, np.sort(support))


def test_the_parts_of_the_bound_are_tight_where_they_should_be():
    K = random_problem(3, n=9)[0]
    gram = K.T @ K
    largest = np.linalg.eigvalsh(gram)[-1]
    assert_allclose(sparse._diagonals(gram, 9, largest)[2], largest, rtol=1e-5)  # Perron's vector, no entry negative
    linear = np.array([3.0, -4.0, 1.0])
    assert_allclose(sparse._separable(np.full(3, 2.0), linear, 0.5, 2), 0.25 + 2.5, rtol=1e-9)  # at the largest l
    assert_allclose(sparse._separable(np.full(3, 2.0), np.zeros(3), 0.5, 2), 0.25, rtol=1e-15)


@pytest.mark.parametrize("seed", first(4, of=20))
def test_the_diagonals_dominate_every_support(seed):
    K, _, _, count = random_problem(seed)
    gram = K.T @ K
    for D in sparse._diagonals(gram, count, np.linalg.eigvalsh(gram)[-1]):
        for support in combinations(range(len(gram)), count):
            part = np.ix_(support, support)
            assert np.linalg.eigvalsh(np.diag(D)[part] - gram[part])[0] >= -1e-12 * D.max()


def test_more_labels_never_lower_the_bound_or_the_value():
    K, r, radius, _ = random_problem(7, n=8)
    bounds = [sparse_bound(K, r, radius, count) for count in range(9)]
    values = [reached(K, r, maximize_sparse(K, r, radius, count)) for count in range(9)]
    assert (np.diff(bounds) >= -1e-9 * bounds[-1]).all()
    assert (np.diff(values) >= -1e-12 * values[-1]).all()
    assert_allclose(bounds[0], 0.5 * r @ r, rtol=1e-12)
    assert values[0] == 0.5 * np.sum(r**2)


def test_the_order_of_the_labels_does_not_matter():
    K, r, radius, _ = random_problem(9, n=15)
    order = np.random.default_rng(0).permutation(15)
    delta = maximize_sparse(K, r, radius, 4)
    assert_allclose(maximize_sparse(K[:, order], r, radius, 4), delta[order], atol=1e-10)
    assert_array_equal(maximize_sparse(K, r, radius, 4), delta)


def test_no_budget_changes_nothing():
    K, r, _, _ = random_problem(1)
    assert not maximize_sparse(K, r, 0.0, 2).any()
    assert not maximize_sparse(K, r, 1.0, 0).any()
    assert_allclose(sparse_bound(K, r, 0.0, 2), 0.5 * r @ r, rtol=1e-12)


@pytest.mark.parametrize("solve", [maximize_sparse, sparse_bound])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.eye(2), np.ones(2), -1.0, 1), "radius"),
        ((np.eye(2), np.ones(2), 1.0, -1), "nonzeros"),
        ((np.full((2, 2), np.nan), np.ones(2), 1.0, 1), "finite"),
    ],
)
def test_bad_input_is_refused(solve, arguments, message):
    with pytest.raises(InvalidInput, match=message):
        solve(*arguments)
