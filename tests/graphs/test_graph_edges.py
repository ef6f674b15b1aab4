"""Offsets, magnitudes, marks, ties and graphs that fall apart: the edges of the learners and of the attacks."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import DataConversionWarning, NotFittedError

from seeds import first
from trustworthy.core.errors import InvalidInput, TrustworthyWarning
from trustworthy.graphs import LabelPropagation, ManifoldRegularization
from trustworthy.graphs.poisoning import (
    CentralityAttack,
    ClassificationLabelAttack,
    FeatureAttack,
    RandomLabelAttack,
    RegressionLabelAttack,
    algorithm_1,
    poisoning_curve,
)
from trustworthy.graphs.poisoning.search import broken

WIDE = LabelPropagation(gamma=1.0)


def rows(seed, n=40, labelled=12, d=3):
    """Rows, values of them all, and both kinds of labels with the others hidden."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    values, hidden = X[:, 0] + 0.3 * rng.normal(size=n), np.arange(n) >= labelled
    return X, values, np.where(hidden, np.nan, values), np.where(hidden, -1, values > 0)


@pytest.mark.parametrize("offset", [1e6, 1.6e9])
@pytest.mark.parametrize("make", [LabelPropagation, lambda: ManifoldRegularization(kernel="rbf")])
def test_an_offset_of_all_rows_changes_nothing(make, offset):
    X, _, y, _ = rows(0)
    X = np.round(X * 2**10) / 2**10  # exact beside the offset
    plain, moved = make().fit(X, y), make().fit(X + offset, y)
    np.testing.assert_allclose(moved.gamma_, plain.gamma_, rtol=1e-6)
    np.testing.assert_allclose(moved.predict(X + offset), plain.predict(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [LabelPropagation, ManifoldRegularization])
def test_magnitudes_that_overflow_are_refused(make):
    X, _, y, _ = rows(0)
    with pytest.raises(InvalidInput, match="X must lie within 1e"):
        make().fit(X * 1e200, y)
    with pytest.raises(InvalidInput, match="X must lie within 1e"):
        make().fit(X, y).predict(X * 1e200)
    with pytest.raises(InvalidInput, match="y must be finite and within 1e"):
        make().fit(X, y * 1e200)
    found = make().fit(X * 1e149, y).predict(X * 1e149)
    assert np.isfinite(found).all()


def test_widths_that_overflow_and_rows_too_near_are_said():
    X, _, y, _ = rows(0)
    with pytest.warns(TrustworthyWarning, match="falls apart"):
        assert np.isnan(LabelPropagation(gamma=1e308).fit(X, y).transduction_[12:]).all()
    with pytest.raises(InvalidInput, match="too near"):
        LabelPropagation().fit(X * 1e-160, y)
    with pytest.raises(InvalidInput, match="gammas must hold at least one"):
        LabelPropagation(gammas=[]).fit(X, y)


def test_candidates_that_are_not_taken_do_not_warn():
    X, _, _, y = rows(0)
    with warnings.catch_warnings(record=True) as chosen:
        warnings.simplefilter("always")
        fitted = LabelPropagation(solver="cg", gammas=[0.5, 20.0, 40.0]).fit(X, y)
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        LabelPropagation(solver="cg", gamma=fitted.gamma_).fit(X, y)
    assert [str(warning.message) for warning in chosen] == [str(warning.message) for warning in given]


def test_a_second_fit_forgets_the_first_and_none_has_no_score():
    X, _, real, classes = rows(0)
    fitted = LabelPropagation().fit(X, classes)
    first = fitted.operator_
    fitted.set_params(gamma=1.0).fit(X, real)
    assert np.abs(fitted.operator_ - first).max() > 0.01
    for name in ("classes_", "label_distributions_", "gammas_", "gamma_errors_", "predict_proba"):
        assert not hasattr(fitted, name)
    with pytest.raises(NotFittedError):
        LabelPropagation().score(X, classes)


class Absent:
    """What pandas' NA does: comparisons of it have no truth value."""

    def __ne__(self, other):
        return self

    def __bool__(self):
        raise TypeError

    __hash__ = None


@pytest.mark.parametrize("mark", [-1, np.nan, None, Absent()])
def test_words_next_to_a_mark_stay_words(mark):
    X, _, _, y = rows(0)
    words = [mark if label == -1 else ["no", "yes"][label] for label in y]
    fitted = LabelPropagation(gamma=1.0).fit(X, words)
    np.testing.assert_array_equal(fitted.classes_, ["no", "yes"])
    expected = LabelPropagation(gamma=1.0).fit(X, y).transduction_
    np.testing.assert_array_equal(fitted.transduction_, np.array(["no", "yes"])[expected])
    truth = np.array(["no", "yes"])[expected[12:]]
    found = ClassificationLabelAttack(budget=1, method="greedy")(WIDE, X, words, truth=truth)
    assert found.labels[found.flipped[0]] in ("no", "yes")


def test_objects_are_read_by_what_they_hold():
    X, _, real, classes = rows(0)
    absent = [None if np.isnan(label) else float(label) for label in real]
    np.testing.assert_array_equal(
        LabelPropagation(gamma=1.0).fit(X, absent).transduction_, LabelPropagation(gamma=1.0).fit(X, real).transduction_
    )
    truths = [None if label == -1 else bool(label) for label in classes]
    assert LabelPropagation(gamma=1.0).fit(X, truths).classes_.dtype == bool
    for labels, message in [
        ([1, "b"], "labels of one kind"),
        ([10**30, 1], "64 bits"),
        ([np.inf, 1.0], "y must be finite"),
    ]:
        with pytest.raises(InvalidInput, match=message):
            LabelPropagation(gamma=1.0).fit(X, np.array([*labels, *[None] * 38], dtype=object))


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_a_ridge_that_drowns_is_refused(kernel):
    X, _, y, _ = rows(0)
    for options in ({"ridge": 1e-300}, {"smoothness": 1e300}):
        with pytest.raises(InvalidInput, match="ridge must not drown"):
            ManifoldRegularization(kernel=kernel, **options).fit(np.hstack([X, X]), y)


@pytest.mark.parametrize("knowledge", ["true", "estimated"])
@pytest.mark.parametrize("seed", first(1, of=4))
def test_few_real_labels_stay_below_their_bound(seed, knowledge):
    X, values, y, _ = rows(seed, n=30, labelled=8, d=2)
    for truth in (values[8:], None):
        if truth is None and knowledge == "true":
            continue
        for nonzeros in (0, 3, 8):
            attack = RegressionLabelAttack(budget=0.0, nonzeros=nonzeros, knowledge=knowledge)
            found = poisoning_curve(attack, WIDE, X, y, [1e-3, 3.0], truth=truth)
            assert (found.error <= found.bound).all()
            if nonzeros == 0:
                np.testing.assert_allclose(found.bound, found.results[0].error_before, atol=1e-7)


def test_one_label_is_moved_by_all_of_the_budget():
    for options in ({}, {"nonzeros": 1}, {"solver": "algorithm-1"}):
        found = RegressionLabelAttack(budget=1.0, **options)(WIDE, [[0.0], [1.0]], [3.0, np.nan], truth=[3.0])
        np.testing.assert_allclose([found.error_before, found.error_after, found.bound], [0.0, 1.0, 1.0], atol=1e-8)


def test_algorithm_1_leaves_a_saddle_by_the_shortest_slope():
    found = algorithm_1(np.diag([-1.0, 0.5]), np.array([1e-17, 0.0]), 2.0)
    np.testing.assert_allclose(found.point, [-2.0, 0.0], atol=1e-9)
    assert found.converged


@pytest.mark.parametrize("seed", first(2, of=6))
def test_ties_are_counted_as_the_search_counts_them(seed):
    # All rows alike: every score is the same mean of labels, a tie for half of them flipped, whatever rounding says.
    order = np.random.default_rng(seed).permutation(40)
    y = np.where(np.arange(40) < 12, order % 3 == 0, -1)
    if (y[:12] == 1).sum() in (0, 6, 12):
        y[:4] = [0, 1, 1, 1]
    truth = (order[12:] % 2).astype(int)
    for method in ("greedy", "local-search", "probabilistic", "exhaustive"):
        attack = ClassificationLabelAttack(budget=4, method=method)
        problem = attack.problem(WIDE, np.ones((40, 3)), y, truth=truth)
        found = attack.solve(problem, np.random.default_rng(seed))
        assert found.error_after == broken(*problem.margins(problem.operator, problem.truth), found.flipped) / 28
        assert found.error_after == -found.objective / 2 / 28 or found.labels[:12].sum() == 6  # where all are wrong
        assert found.error_after <= attack.bounds(problem, [4])[0]


def test_baselines_read_labels_as_they_are_told():
    X, values, _, _ = rows(0)
    y = np.where(np.arange(40) < 12, np.sign(values), np.nan)
    learner = LabelPropagation(gamma=1.0, task="classification")
    for attack in (RandomLabelAttack(budget=2), CentralityAttack(budget=2)):
        found = attack(learner, X, y, truth=np.sign(values[12:]), random_state=0)
        np.testing.assert_array_equal(found.labels[found.flipped], -y[found.flipped])
        assert len(found.flipped) == 2
    moved = FeatureAttack(budget=1.0, steps=3)(learner, X, y, truth=np.sign(values[12:]))
    assert moved.bound == 1.0


def test_a_curve_of_feature_attacks():
    X, values, _, y = rows(0)
    truth = (values[12:] > 0).astype(int)
    curve = poisoning_curve(FeatureAttack(budget=0, steps=9), WIDE, X, y, [0, 1.0], truth=truth, random_state=0)
    assert curve.error[0] == curve.results[0].error_before < curve.error[1]
    np.testing.assert_array_equal(curve.bound, 1.0)


def test_features_that_break_the_learner_s_graph_behind_the_attacker_s_back():
    X, values, real, classes = rows(0)
    learner = LabelPropagation(gamma=0.05)
    attack = FeatureAttack(budget=3000.0, assumed_gamma=1e-4)
    with pytest.warns(TrustworthyWarning, match="falls apart where the features have moved"):
        found = attack(learner, 30 * X, real, truth=values[12:], random_state=0)
    assert np.isnan(found.error_after)
    assert not np.isnan(found.error_before)
    attack = FeatureAttack(budget=30_000.0, assumed_gamma=1e-6)
    with pytest.warns(TrustworthyWarning, match="falls apart where the features have moved"):
        found = attack(learner, 30 * X, classes, truth=(values[12:] > 0).astype(int), random_state=0)
    assert found.error_after > found.error_before


@pytest.mark.parametrize(
    ("attack", "options", "message"),
    [
        (
            ClassificationLabelAttack(budget=1, assumed_gamma=1e6),
            {},
            "assumed_gamma is so large .* Lower assumed_gamma",
        ),
        (
            ClassificationLabelAttack(budget=1),
            {"learner": LabelPropagation(gamma=1.0, n_neighbors=True)},
            "n_neighbors must be a whole number, got True",
        ),
        (
            CentralityAttack(budget=1),
            {"learner": LabelPropagation(gamma=1.0, n_neighbors=40)},
            "n_neighbors must be <= 39",
        ),
        (ClassificationLabelAttack(budget=1), {"truth": [[1], [1, 0]]}, r"truth must have shape \(28,\), got a ragged"),
        (ClassificationLabelAttack(budget=1), {"X": np.full((40, 2), 1e200)}, "X must lie within"),
        (RegressionLabelAttack(budget=1), {}, "NaN, as -1 is a value in regression"),
    ],
)
def test_bad_input_is_named(attack, options, message):
    X, values, _, y = rows(0)
    given = {"learner": WIDE, "X": X, "y": y, "truth": (values[12:] > 0).astype(int), **options}
    with pytest.raises(InvalidInput, match=message):
        attack(**given)


@pytest.mark.parametrize(
    ("budget", "truth", "message"),
    [
        (1e200, 1.0, "budget must be <= 1e"),
        (1e-200, 1.0, "budget must be 0 or >= 1e-150"),
        (1.0, 1e200, "truth must lie within 1e"),
        (1.0, 1j, "truth must hold real numbers"),
    ],
)
def test_real_labels_and_budgets_that_overflow_are_refused(budget, truth, message):
    X, values, y, _ = rows(0)
    with pytest.raises(InvalidInput, match=message):
        RegressionLabelAttack(budget=budget)(WIDE, X, y, truth=values[12:] * truth)


def narrow(seed, gamma):
    """Irises on a graph that all but falls apart, and which of them are labelled."""
    X, y = load_iris(return_X_y=True)
    known = np.isin(np.arange(150), np.random.default_rng(seed).permutation(150)[:30])
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    return [
        LabelPropagation(gamma=gamma, solver=solver).fit(X, np.where(known, y, -1)) for solver in ("elimination", "cg")
    ]


@pytest.mark.filterwarnings("ignore:.*stopped after")
@pytest.mark.parametrize("gamma", [5.0, 12.0, 24.8, 37.25])
@pytest.mark.parametrize("seed", first(2, of=4))
def test_conjugate_gradients_are_right_or_say_so(seed, gamma):
    with warnings.catch_warnings(record=True) as fitting:
        warnings.simplefilter("always")
        exact, found = narrow(seed, gamma)
    if not any("all but falls apart" in str(warning.message) for warning in fitting):
        np.testing.assert_allclose(found.label_distributions_, exact.label_distributions_, atol=2e-5)
    with warnings.catch_warnings(record=True) as solving:
        warnings.simplefilter("always")
        operator = found.operator_
    if not any("all but falls apart" in str(warning.message) for warning in solving):
        np.testing.assert_allclose(operator, exact.operator_, atol=2e-5)
    else:
        assert np.abs(operator - exact.operator_).max() > 1e-9


def test_a_width_that_the_solver_is_not_sure_of_has_no_error_and_is_not_taken():
    X, y = load_diabetes(return_X_y=True)
    X, y = X[:150], np.where(np.arange(150) < 25, y[:150], np.nan)
    exact, found = (LabelPropagation(solver=s, n_neighbors=10).fit(X, y) for s in ("elimination", "cg"))
    sure = np.isfinite(found.gamma_errors_)
    assert 0 < sure.sum() < 10
    np.testing.assert_allclose(found.gamma_errors_[sure], exact.gamma_errors_[sure], rtol=1e-4)
    assert found.gamma_ == exact.gamma_


def test_a_cut_that_no_width_mends_is_told_with_its_remedy():
    X, _, _, classes = rows(0)
    X[:6] += 1e3
    classes[:6] = [1, -1, -1, -1, -1, -1]
    with pytest.raises(InvalidInput, match="raise n_neighbors"):
        LabelPropagation(n_neighbors=2).fit(X, classes)


@pytest.mark.parametrize("mark", [pd.NA, None])
@pytest.mark.parametrize(
    ("kind", "labels", "found"),
    [
        ("Int64", [1, 7, 3], [1, 1, 7, 3]),
        ("boolean", [True, False, False], [True, True, False, False]),
        ("string", ["a", "b", "b"], ["a", "a", "b", "b"]),
        ("category", [1, 7, 3], [1, 1, 7, 3]),
        ("Float64", [1.5, 7.5, 3.5], None),
    ],
)
def test_nullable_columns_keep_their_kind(kind, labels, found, mark):
    X, y = [[0.0], [1.0], [10.0], [11.0]], pd.Series([labels[0], mark, *labels[1:]], dtype="object").astype(kind)
    fitted = LabelPropagation(gamma=0.1).fit(X, y)
    if found is None:
        assert 1.5 < fitted.transduction_[1] < 7.5
    else:
        np.testing.assert_array_equal(fitted.transduction_, np.array(found, dtype=object))
    for column in (y.array, y.to_frame()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataConversionWarning)
            again = LabelPropagation(gamma=0.1).fit(X, column)
            np.testing.assert_array_equal(again.transduction_, fitted.transduction_)


def test_masked_labels_are_missing():
    y = np.ma.array([1, 0, 7, 3], mask=[False, True, False, False])
    np.testing.assert_array_equal(LabelPropagation().fit([[0.0], [1.0], [10.0], [11.0]], y).transduction_, [1, 1, 7, 3])


@pytest.mark.parametrize("n_neighbors", [None, 5])
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_affinities_that_underflow_are_no_error(scale, n_neighbors):
    X, truth = load_iris(return_X_y=True)
    X, y = scale * X[::3], np.where(np.arange(50) % 2 == 0, truth[::3], -1)
    two = y < 2
    with np.errstate(all="raise"):
        for solver in ("cholesky", "cg", "iteration", "elimination"):
            fitted = LabelPropagation(solver=solver, n_neighbors=n_neighbors, gamma=2.0).fit(X, y)
            assert np.isfinite(fitted.operator_).all()
            fitted.predict_proba(100 * X)
        LabelPropagation(n_neighbors=n_neighbors).fit(X, y)
        for kernel in ("linear", "rbf"):
            ManifoldRegularization(kernel=kernel, gamma=30.0, n_neighbors=n_neighbors).fit(X, y).predict(100 * X)
        hidden = truth[::3][two][y[two] < 0].clip(max=1)
        for attack in (FeatureAttack(budget=1.0, steps=2), CentralityAttack(budget=1, centrality="pagerank")):
            if n_neighbors is None:
                attack(LabelPropagation(gamma=10.0), X[two], y[two], truth=hidden)
