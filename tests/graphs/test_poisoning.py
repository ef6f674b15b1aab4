"""Attacks on training data through their public door: what they return, what bounds them, what they refuse."""

import dataclasses
import inspect
from itertools import combinations

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_diabetes, load_digits
from sklearn.preprocessing import StandardScaler

from trustworthy.core.errors import InvalidInput, UnknownName
from trustworthy.graphs import LabelPropagation, ManifoldRegularization, affinity, certify_flips
from trustworthy.graphs.poisoning import (
    METHODS,
    CentralityAttack,
    ClassificationLabelAttack,
    FeatureAttack,
    Greedy,
    LocalSearch,
    PoisoningProblem,
    RandomLabelAttack,
    RegressionLabelAttack,
    ReleasedProbabilistic,
    poisoning_curve,
)

GAMMA = 0.002  # of raw digits
WIDTH = 0.3  # of scaled diabetes rows
SPARSE = LabelPropagation(gamma=GAMMA, n_neighbors=10)
DIGITS, PATIENTS = LabelPropagation(gamma=GAMMA), LabelPropagation(gamma=WIDTH)


@pytest.fixture(scope="module")
def pair():
    """Digits 3 and 8, 40 of them labelled: rows, labels with -1, truth of the others."""
    X, y = load_digits(return_X_y=True)
    keep = np.flatnonzero((y == 3) | (y == 8))[:240]
    hidden = np.arange(len(keep)) >= 40
    return X[keep], np.where(hidden, -1, y[keep]), y[keep][hidden]


@pytest.fixture(scope="module")
def diabetes():
    """Disease progression in [0, 1], 60 of 300 patients known: rows, labels with NaN, truth of the others."""
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X[:300]), (y[:300] - y[:300].min()) / np.ptp(y[:300])
    return X, np.where(np.arange(300) < 60, y, np.nan), y[60:]


def learner_error(X, labels, truth, gamma):
    """Error of the learner itself on poisoned labels."""
    found = LabelPropagation(gamma=gamma).fit(X, labels).transduction_[-len(truth) :]
    return np.sqrt(np.mean((found - truth) ** 2)) if found.dtype.kind == "f" else np.mean(found != truth)


CLASS_ATTACKS = [
    *(ClassificationLabelAttack(budget=2, method=method) for method in METHODS if method != "released-probabilistic"),
    ClassificationLabelAttack(budget=2, method=ReleasedProbabilistic(steps=100)),
    RandomLabelAttack(budget=2),
    CentralityAttack(budget=2),
    CentralityAttack(budget=2, centrality="pagerank"),
]
VALUE_ATTACKS = [
    RegressionLabelAttack(budget=0.8),
    RegressionLabelAttack(budget=0.8, solver="algorithm-1"),
    RegressionLabelAttack(budget=0.8, nonzeros=5),
    RandomLabelAttack(budget=0.8),
    CentralityAttack(budget=0.8),
    CentralityAttack(budget=0.8, centrality="pagerank"),
]


@pytest.mark.parametrize("knowledge", ["true", pytest.param("estimated", marks=pytest.mark.slow)])
@pytest.mark.parametrize("attack", CLASS_ATTACKS, ids=repr)
def test_flips_are_few_do_what_they_say_and_stay_below_the_bound(pair, attack, knowledge):
    X, y, truth = pair
    attack = dataclasses.replace(attack, knowledge=knowledge)
    found = attack(DIGITS, X, y, truth=truth, random_state=0)
    assert len(found.flipped) <= 2
    assert (y[found.flipped] != -1).all()
    np.testing.assert_array_equal(np.flatnonzero(found.labels != y), found.flipped)
    assert found.labels.dtype == y.dtype
    assert found.features is not None
    np.testing.assert_allclose(found.error_before, learner_error(X, y, truth, GAMMA))
    np.testing.assert_allclose(found.error_after, learner_error(X, found.labels, truth, GAMMA))
    assert found.error_after <= found.bound <= 1.0
    np.testing.assert_allclose(found.gap, found.bound - found.error_after)
    again = attack(DIGITS, X, y, truth=truth, random_state=0)
    np.testing.assert_array_equal(again.labels, found.labels)


@pytest.mark.parametrize("knowledge", ["true", "estimated"])
@pytest.mark.parametrize("attack", VALUE_ATTACKS, ids=repr)
def test_values_move_within_the_budget_and_the_error_below_the_bound(diabetes, attack, knowledge):
    X, y, truth = diabetes
    attack = dataclasses.replace(attack, knowledge=knowledge)
    found = attack(PATIENTS, X, y, truth=truth, random_state=0)
    change = found.labels[:60] - y[:60]
    assert np.linalg.norm(change) <= 0.8 * (1 + 1e-12)
    np.testing.assert_array_equal(np.flatnonzero(change), found.flipped)
    if getattr(attack, "nonzeros", None):
        assert len(found.flipped) <= 5
    assert np.isnan(found.labels[60:]).all()
    np.testing.assert_allclose(found.error_before, learner_error(X, y, truth, WIDTH))
    np.testing.assert_allclose(found.error_after, learner_error(X, found.labels, truth, WIDTH))
    assert found.error_after <= found.bound


def test_the_exact_regression_attack_reaches_its_bound_and_nothing_passes_it(diabetes):
    X, y, truth = diabetes
    exact, descent = (
        RegressionLabelAttack(budget=0.8, solver=solver)(PATIENTS, X, y, truth=truth)
        for solver in ("exact", "algorithm-1")
    )
    np.testing.assert_allclose(exact.error_after, exact.bound, rtol=1e-8)
    np.testing.assert_allclose(descent.error_after, exact.error_after, rtol=1e-6)
    np.testing.assert_allclose(exact.objective, -0.5 * len(truth) * exact.error_after**2)
    K = LabelPropagation(gamma=WIDTH).fit(X, y).operator_
    rng = np.random.default_rng(0)
    for _ in range(200):
        delta = rng.normal(size=60)
        delta *= 0.8 / np.linalg.norm(delta)
        assert np.sqrt(np.mean((K @ (y[:60] + delta) - truth) ** 2)) < exact.bound


def test_without_the_truth_it_is_the_top_singular_vector(diabetes):
    X, y, _ = diabetes
    found = RegressionLabelAttack(budget=0.5, knowledge="estimated")(PATIENTS, X, y)
    K = LabelPropagation(gamma=WIDTH).fit(X, y).operator_
    values, vectors = np.linalg.svd(K)[1:]
    change = found.labels[:60] - y[:60]
    np.testing.assert_allclose(np.abs(vectors[0] @ change), 0.5)
    assert change.sum() > 0
    assert found.error_before == 0.0  # measured against its own clean predictions
    np.testing.assert_allclose(found.error_after, 0.5 * values[0] / np.sqrt(240))
    np.testing.assert_allclose(found.error_after, found.bound, rtol=1e-8)


def test_exhaustive_flips_are_the_worst_of_all_that_the_learner_can_be_taught(pair):
    X, y, truth = pair
    known = np.arange(12)
    X, y = np.vstack([X[known], X[40:100]]), np.concatenate([y[known], y[40:100]])
    truth = truth[:60]
    worst = 0.0
    for size in range(3):
        for flips in combinations(known, size):
            labels = y.copy()
            labels[list(flips)] = 11 - labels[list(flips)]
            worst = max(worst, learner_error(X, labels, truth, GAMMA))
    found = ClassificationLabelAttack(budget=2, method="exhaustive")(DIGITS, X, y, truth=truth)
    np.testing.assert_allclose(found.error_after, worst)
    searched = ClassificationLabelAttack(budget=2)(DIGITS, X, y, truth=truth, random_state=0)
    np.testing.assert_allclose(searched.error_after, worst)
    assert worst <= found.bound


def test_local_search_is_no_worse_than_the_others_and_worse_than_chance_is_not_enough(pair):
    X, y, truth = pair
    problem = PoisoningProblem.of(DIGITS, X, y, truth=truth)

    def error(attack, seed=0):
        return attack.solve(problem, np.random.default_rng(seed)).error_after

    best, *others = (
        error(ClassificationLabelAttack(budget=4, method=method))
        for method in ("local-search", "greedy", "probabilistic", "relaxed")
    )
    assert max(others) <= best
    assert best > 2 * np.median([error(RandomLabelAttack(budget=4), seed) for seed in range(9)])


def test_certified_flips_bound_what_is_reported(pair):
    X, y, truth = pair
    operator = LabelPropagation(gamma=GAMMA).fit(X, y).operator_
    codes = np.where(y[:40] == 8, 1, -1)
    wrong = np.sign(operator @ codes) != np.where(truth == 8, 1, -1)
    needed = certify_flips(operator, codes)
    for budget in (0, 1, 3):
        found = ClassificationLabelAttack(budget=budget, method="greedy")(DIGITS, X, y, truth=truth)
        assert found.error_after <= found.bound <= np.mean(wrong | (needed <= budget)) + 1e-12


def test_a_target_is_approached(pair, diabetes):
    X, y, truth = pair
    target = np.full(len(truth), 8)
    found = ClassificationLabelAttack(budget=4)(DIGITS, X, y, target=target, truth=truth, random_state=0)
    share = [
        np.mean(LabelPropagation(gamma=GAMMA).fit(X, labels).transduction_[40:] == 8) for labels in (y, found.labels)
    ]
    assert share[1] > share[0] + 0.2
    assert (y[found.flipped] == 3).all()
    np.testing.assert_allclose(found.objective, 2 * (1 - share[1]) * len(truth))
    X, y, truth = diabetes
    goal = np.full(len(truth), 0.9)
    found = RegressionLabelAttack(budget=2.0)(PATIENTS, X, y, target=goal, truth=truth)
    before, after = (LabelPropagation(gamma=WIDTH).fit(X, labels).transduction_[60:] for labels in (y, found.labels))
    np.testing.assert_allclose(found.objective, 0.5 * np.sum((after - goal) ** 2))
    assert np.sum((after - goal) ** 2) < 0.5 * np.sum((before - goal) ** 2)
    with pytest.raises(InvalidInput, match="nonzeros must be None where a target is given"):
        RegressionLabelAttack(budget=2.0, nonzeros=3)(PATIENTS, X, y, target=goal, truth=truth)


def test_a_wrong_idea_of_gamma_costs_the_attacker(diabetes):
    X, y, truth = diabetes
    right = RegressionLabelAttack(budget=0.8)(PATIENTS, X, y, truth=truth)
    for guess in (WIDTH / 8, WIDTH * 4):
        found = RegressionLabelAttack(budget=0.8, assumed_gamma=guess)(PATIENTS, X, y, truth=truth)
        assert found.error_after < right.error_after
        np.testing.assert_allclose(found.bound, right.bound)
        np.testing.assert_allclose(found.error_after, learner_error(X, found.labels, truth, WIDTH))


def test_a_curve_is_the_attacks_one_by_one(pair, diabetes):
    X, y, truth = pair
    attack = ClassificationLabelAttack(budget=0, method="greedy")
    curve = poisoning_curve(attack, DIGITS, X, y, [0, 2, 5], truth=truth, random_state=0)
    alone = [dataclasses.replace(attack, budget=c)(DIGITS, X, y, truth=truth) for c in (0, 2, 5)]
    np.testing.assert_array_equal(curve.error, [found.error_after for found in alone])
    assert (curve.error <= curve.bound).all()
    assert (np.diff(curve.bound) >= 0).all()
    X, y, truth = diabetes
    curve = poisoning_curve(RegressionLabelAttack(budget=0), PATIENTS, X, y, [0.0, 0.5, 1.0], truth=truth)
    np.testing.assert_allclose(curve.error, curve.bound, rtol=1e-8)
    assert curve.results[0].error_before == curve.error[0]
    with pytest.raises(InvalidInput, match="budgets must hold at least one"):
        poisoning_curve(attack, PATIENTS, X, y, [], truth=truth)


@pytest.mark.slow
def test_a_curve_is_the_same_in_processes(pair):
    X, y, truth = pair
    attack = ClassificationLabelAttack(budget=0, method="probabilistic")
    one, two = (
        poisoning_curve(attack, DIGITS, X, y, [1, 3], truth=truth, random_state=0, n_jobs=jobs) for jobs in (None, 2)
    )
    np.testing.assert_array_equal(one.error, two.error)
    np.testing.assert_array_equal(one.bound, two.bound)


def test_a_curve_of_central_labels_builds_their_graph_once(monkeypatch, pair):
    X, y, truth = pair
    built, build = [], affinity.gaussian_graph
    monkeypatch.setattr(affinity, "gaussian_graph", lambda *given: built.append(1) or build(*given))
    curve = poisoning_curve(CentralityAttack(budget=0), DIGITS, X, y, [1, 2, 3], truth=truth)
    assert [len(found.flipped) for found in curve.results] == [1, 2, 3]
    assert len(built) == 1


def test_graphs_of_nearest_neighbours_and_sparse_rows_are_attacked_too(pair):
    X, y, truth = pair
    dense, rows = (
        ClassificationLabelAttack(budget=3, method="greedy")(SPARSE, data, y, truth=truth)
        for data in (X, sparse.csr_array(X))
    )
    np.testing.assert_array_equal(dense.labels, rows.labels)
    found = LabelPropagation(gamma=GAMMA, n_neighbors=10).fit(X, dense.labels).transduction_[40:]
    np.testing.assert_allclose(np.mean(found != truth), dense.error_after)
    central = CentralityAttack(budget=3)(SPARSE, X, y, truth=truth)
    assert len(central.flipped) == 3


def test_features_that_move_a_little_mislead(pair, diabetes):
    X, y, truth = pair
    found = FeatureAttack(budget=30.0, steps=30)(DIGITS, X, y, truth=truth, random_state=0)
    moved = found.features - X
    assert np.linalg.norm(moved) <= 30.0 * (1 + 1e-9)
    assert (moved[40:] == 0).all()
    np.testing.assert_array_equal(np.flatnonzero(moved.any(axis=1)), found.flipped)
    np.testing.assert_array_equal(found.labels, y)
    assert found.error_after > found.error_before + 0.05
    np.testing.assert_allclose(found.error_after, learner_error(found.features, y, truth, GAMMA))
    few = FeatureAttack(budget=30.0, steps=30, rows=3)(DIGITS, X, y, truth=truth, random_state=0)
    assert len(few.flipped) <= 3
    assert few.error_before < few.error_after <= few.bound
    X, y, truth = diabetes
    found = FeatureAttack(budget=3.0, steps=20)(PATIENTS, X, y, truth=truth, random_state=0)
    assert found.error_before < found.error_after <= found.bound
    np.testing.assert_allclose(found.error_after, learner_error(found.features, y, truth, WIDTH))


def spoiled(y, **changes):
    y = y.copy()
    for place, value in changes.items():
        y[int(place[1:])] = value
    return y


@pytest.mark.parametrize(
    ("attack", "options", "message"),
    [
        (ClassificationLabelAttack(budget=-1), {}, "budget must be >= 0"),
        (ClassificationLabelAttack(budget=41), {}, "budget must be <= 40"),
        (ClassificationLabelAttack(budget=1.5), {}, "budget must be a whole number"),
        (ClassificationLabelAttack(budget=1, method="greed"), {}, "did you mean 'greedy'"),
        (ClassificationLabelAttack(budget=1), {"learner": LabelPropagation()}, "a number as gamma, or be fitted"),
        (
            ClassificationLabelAttack(budget=1),
            {"learner": LabelPropagation(gamma=GAMMA, task="regression")},
            "learner must have task='classification' or 'auto' for this attack, got 'regression'",
        ),
        (ClassificationLabelAttack(budget=9, method="exhaustive"), {}, "local-search"),
        (ClassificationLabelAttack(budget=1, knowledge="none"), {}, "unknown knowledge 'none'"),
        (ClassificationLabelAttack(budget=1, assumed_gamma=0.0), {}, "assumed_gamma must be > 0"),
        (CentralityAttack(budget=1, centrality="rank"), {}, "did you mean 'pagerank'"),
        (ClassificationLabelAttack(budget=1), {"truth": None}, "truth must hold the true values"),
        (ClassificationLabelAttack(budget=1), {"truth": [3, 8]}, r"truth must have shape \(200,\)"),
        (
            ClassificationLabelAttack(budget=1),
            {"truth": np.zeros(200, int)},
            "truth must hold the classes of y, 3 and 8",
        ),
        (ClassificationLabelAttack(budget=1), {"target": [8]}, r"target must have shape \(200,\)"),
        (ClassificationLabelAttack(budget=1), {"learner": LabelPropagation(gamma=0.0)}, "gamma must be > 0"),
        (
            ClassificationLabelAttack(budget=1),
            {"learner": LabelPropagation(gamma=50.0)},
            "gamma is so large that the graph falls apart",
        ),
        (ClassificationLabelAttack(budget=1), {"y": np.full(240, -1)}, "y must hold at least one label, got none"),
        (ClassificationLabelAttack(budget=1), {"y": np.arange(240) % 2}, "y must leave some rows unlabelled"),
        (
            ClassificationLabelAttack(budget=1),
            {"y": np.where(np.arange(240) < 9, 3, -1)},
            "y must hold at least two classes, got one class, 3",
        ),
        (ClassificationLabelAttack(budget=1), {"y": np.arange(240) % 4 - 1}, "y must hold two classes, got 3"),
        (ClassificationLabelAttack(budget=1), {"y": [3, 8]}, "inconsistent numbers of samples"),
        (ClassificationLabelAttack(budget=1), {"X": np.full((240, 2), np.nan)}, "contains NaN"),
        (FeatureAttack(budget=-1.0), {}, "budget must be >= 0"),
        (FeatureAttack(budget=1.0, rows=41), {}, "rows must be <= 40"),
        (FeatureAttack(budget=1.0), {"learner": SPARSE}, "n_neighbors must be None"),
        (FeatureAttack(budget=1.0), {"X": sparse.csr_array(np.eye(240))}, "X must be dense"),
    ],
)
def test_bad_input_is_named(pair, attack, options, message):
    X, y, truth = pair
    given = {"learner": DIGITS, "X": X, "y": y, "truth": truth, **options}
    with pytest.raises((InvalidInput, UnknownName, ValueError), match=message):
        attack(**given)


@pytest.mark.parametrize(
    ("attack", "options", "message"),
    [
        (RegressionLabelAttack(budget=-0.1), {}, "budget must be >= 0"),
        (RegressionLabelAttack(budget=np.inf), {}, "budget must be finite"),
        (RegressionLabelAttack(budget=1.0, solver="newton"), {}, "unknown solver 'newton'"),
        (RegressionLabelAttack(budget=1.0, nonzeros=61), {}, "nonzeros must be <= 60"),
        (RegressionLabelAttack(budget=1.0), {"truth": np.full(240, np.nan)}, "truth must be finite"),
        (RegressionLabelAttack(budget=1.0), {"truth": ["a"] * 240}, "truth must hold real numbers"),
        (RegressionLabelAttack(budget=1.0), {"y": np.arange(300)}, "y must leave some rows unlabelled"),
    ],
)
def test_bad_input_of_regressions_is_named(diabetes, attack, options, message):
    X, y, truth = diabetes
    given = {"learner": PATIENTS, "X": X, "y": y, "truth": truth, **options}
    with pytest.raises((InvalidInput, UnknownName), match=message):
        attack(**given)


def test_duplicated_points_and_numbered_classes_of_floats_are_no_trouble(pair):
    X, y, truth = pair
    X, y, truth = np.vstack([X, X[40:60]]), np.concatenate([y, y[40:60]]), np.concatenate([truth, truth[:20]])
    words = ClassificationLabelAttack(budget=2, method="greedy")(DIGITS, X, y, truth=truth)
    real = np.where(y == -1, np.nan, np.where(y == 8, 1.0, -1.0))
    numbers = ClassificationLabelAttack(budget=2, method="greedy")(DIGITS, X, real, truth=np.where(truth == 8, 1, -1))
    np.testing.assert_array_equal(numbers.flipped, words.flipped)
    np.testing.assert_array_equal(numbers.labels[numbers.flipped], -real[numbers.flipped])


@pytest.mark.usefixtures("_as_users_call_it")
def test_only_label_propagation_is_attacked(pair):
    X, y, truth = pair
    unchecked = inspect.unwrap(PoisoningProblem.of.__func__)  # the shape checks of the tests would refuse it first
    with pytest.raises(InvalidInput, match="learner must be a LabelPropagation, got ManifoldRegularization"):
        unchecked(PoisoningProblem, ManifoldRegularization(), X, y, truth=truth)


def test_a_fitted_learner_is_attacked_with_the_width_that_it_has_chosen(pair):
    X, y, truth = pair
    learner = LabelPropagation(gammas=[GAMMA / 10, GAMMA]).fit(X, y)
    found = ClassificationLabelAttack(budget=2, method=Greedy())(learner, X, y, truth=truth)
    same = ClassificationLabelAttack(budget=2, method="greedy")(
        LabelPropagation(gamma=learner.gamma_), X, y, truth=truth
    )
    np.testing.assert_array_equal(found.flipped, same.flipped)
    assert found.bound == same.bound


def test_a_search_is_called_with_its_own_settings(pair):
    X, y, truth = pair
    with pytest.raises(InvalidInput, match="restarts must be >= 0, got -7"):
        ClassificationLabelAttack(budget=2, method=LocalSearch(restarts=-7))(DIGITS, X, y, truth=truth)
