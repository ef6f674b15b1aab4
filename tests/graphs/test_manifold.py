"""LapRLS against its printed formulas, its conditions of optimality, ridge regression and scikit-learn's contract."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.datasets import load_iris, make_moons
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.affinity import GaussianGraphs, gaussian_graph
from trustworthy.graphs.laplacian_least_squares import kernel_weights, linear_weights
from trustworthy.graphs.manifold import ManifoldRegularization

KERNELS = ["linear", "rbf"]


def marks_missing(estimator):
    """What the mark -1 of missing labels costs: two classes called -1 and 1 are one class to it."""
    return {} if estimator.task == "regression" else {"check_classifiers_classes": "-1 marks a missing label"}


@pytest.mark.usefixtures("_as_users_call_it")
@parametrize_with_checks(
    [
        ManifoldRegularization(kernel="linear", task="classification"),
        ManifoldRegularization(kernel="rbf", task="regression"),
    ],
    expected_failed_checks=marks_missing,
)
def test_scikit_learn_accepts_it(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.usefixtures("_as_users_call_it")
@parametrize_with_checks(
    [
        ManifoldRegularization(kernel="linear", task="regression"),
        ManifoldRegularization(kernel="rbf", task="classification"),
    ],
    expected_failed_checks=marks_missing,
)
def test_scikit_learn_accepts_the_other_pairs(estimator, check):
    check(estimator)


def problem(seed=0, n=30, d=3, known=12):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) + 2.0
    mask = rng.permutation(n) < known
    y = np.where(mask, np.sin(2 * X[:, 0]) + X[:, 1] + 0.25, np.nan)
    return X, y, mask


def laplacian(X, gamma, n_neighbors=None):
    S = GaussianGraphs(X, np.ones(len(X), bool), n_neighbors).labelled(gamma)
    return np.diag(S.sum(axis=1)) - S


def full_kernel(X, gamma):
    return gaussian_graph(X, gamma) + np.eye(len(X))


@pytest.mark.parametrize("n_neighbors", [None, 4])
def test_linear_weights_are_the_printed_formula(n_neighbors):
    X, y, mask = problem()
    fitted = ManifoldRegularization(
        gamma=0.3, ridge=0.7, smoothness=2.0, fit_intercept=False, n_neighbors=n_neighbors
    ).fit(X, y)
    system = X[mask].T @ X[mask] + 0.7 * np.eye(3) + 2.0 * X.T @ laplacian(X, 0.3, n_neighbors) @ X
    np.testing.assert_allclose(fitted.coef_[0], np.linalg.inv(system) @ X[mask].T @ y[mask], rtol=1e-10)
    np.testing.assert_allclose(fitted.predict(X), X @ fitted.coef_[0])


@pytest.mark.parametrize("n_neighbors", [None, 4])
def test_kernel_weights_are_the_printed_formula(n_neighbors):
    X, y, mask = problem()
    fitted = ManifoldRegularization(
        kernel="rbf", gamma=0.3, ridge=0.7, smoothness=2.0, fit_intercept=False, n_neighbors=n_neighbors
    ).fit(X, y)
    K, J = full_kernel(X, 0.3), np.diag(mask.astype(float))
    system = J @ K + 0.7 * np.eye(30) + 2.0 * laplacian(X, 0.3, n_neighbors) @ K
    expected = np.linalg.solve(system, np.where(mask, y, 0.0))
    np.testing.assert_allclose(fitted.dual_coef_[:, 0], expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fitted.predict(X), K @ expected, rtol=1e-9)


def objective(values, size, y, mask, L, ridge, smoothness):
    """What is minimised, literally: fit, norm, and half the sum over all pairs."""
    pairs = -np.sum(L * (values[:, None] - values[None]) ** 2) / 2  # off the diagonal L is -S
    return np.sum((values[mask] - y[mask]) ** 2) + ridge * size + smoothness * pairs


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("kernel", KERNELS)
def test_no_other_function_of_the_family_does_better(kernel, intercept):
    X, y, mask = problem(1, n=12, known=6)
    L, basis = laplacian(X, 0.3), X if kernel == "linear" else full_kernel(X, 0.3)
    fitted = ManifoldRegularization(kernel=kernel, gamma=0.3, ridge=0.5, smoothness=1.5, fit_intercept=intercept)
    fitted.fit(X, y)
    weights = (fitted.coef_ if kernel == "linear" else fitted.dual_coef_.T)[0]
    gram = np.eye(3) if kernel == "linear" else basis

    def total(free):
        constant = free[-1] if intercept else 0.0
        return objective(basis @ free[:-1] + constant, free[:-1] @ gram @ free[:-1], y, mask, L, 0.5, 1.5)

    best = np.r_[weights, fitted.intercept_]
    np.testing.assert_allclose(fitted.predict(X), basis @ weights + fitted.intercept_, rtol=1e-10)
    slopes = [(total(best + step) - total(best - step)) / 2e-4 for step in 1e-4 * np.eye(len(best))]
    np.testing.assert_allclose(slopes[: None if intercept else -1], 0.0, atol=1e-7)
    assert total(best) <= minimize(total, np.zeros(len(best)), options={"maxiter": 40}).fun + 1e-9


def test_without_smoothness_it_is_ridge_regression():
    X, y, mask = problem(2)
    ours = ManifoldRegularization(ridge=0.8, smoothness=0.0).fit(X, y)
    theirs = Ridge(alpha=0.8).fit(X[mask], y[mask])
    np.testing.assert_allclose(ours.coef_[0], theirs.coef_, rtol=1e-10)
    np.testing.assert_allclose(ours.intercept_[0], theirs.intercept_, rtol=1e-10)
    ours = ManifoldRegularization(kernel="rbf", gamma=0.4, ridge=0.8, smoothness=0.0, fit_intercept=False).fit(X, y)
    theirs = KernelRidge(kernel="rbf", gamma=0.4, alpha=0.8).fit(X[mask], y[mask])
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
    np.testing.assert_allclose(ours.dual_coef_[~mask], 0.0, atol=1e-10)


@pytest.mark.parametrize("ridge", [1e-6, 1.0])
def test_equal_and_nearly_equal_rows_leave_the_slope_at_zero(ridge):
    X, y, mask = problem(3, n=60, known=20)
    X[10:20], X[20:30] = X[:10], X[:10] + 1e-9
    K, L = full_kernel(X, 0.3), laplacian(X, 0.3)
    targets = y[mask][:, None]
    a = kernel_weights(K, mask, targets, gaussian_graph(X, 0.3), ridge, 2.0, centred=False)
    f = K @ a
    slope = mask[:, None] * (f - np.where(mask, y, 0.0)[:, None]) + ridge * a + 2.0 * L @ f
    rounding = np.finfo(float).eps * (mask[:, None] + 2.0 * np.abs(L)) @ (K @ np.abs(a))  # of the terms that cancel
    assert np.all(np.abs(slope) <= 4 * rounding + 1e-13)


def test_much_smoothness_leaves_a_constant():
    X, y, mask = problem(4)
    for kernel in KERNELS:
        fitted = ManifoldRegularization(kernel=kernel, gamma=0.3, smoothness=1e8).fit(X, y)
        np.testing.assert_allclose(fitted.predict(X), y[mask].mean(), atol=1e-5)


def test_an_offset_of_the_features_does_not_matter():
    X, y, _ = problem(5)
    for kernel in KERNELS:
        near, far = (ManifoldRegularization(kernel=kernel, gamma=0.3).fit(rows, y) for rows in (X, X + 1e5))
        np.testing.assert_allclose(far.predict(X + 1e5), near.predict(X), atol=1e-5)


def test_an_offset_costs_the_penalty_no_digits():
    # Of rows far from the origin, X'LX is that of the rows about their mean.
    X, y, mask = problem(5)
    graph, far, big = gaussian_graph(X, 0.3), X + 1e7, 1e14
    ours = linear_weights(far, mask, y[mask][:, None], graph, 1e-3, big)
    system = far[mask].T @ far[mask] + 1e-3 * np.eye(3) + big * X.T @ laplacian(X, 0.3) @ X
    np.testing.assert_allclose(ours, np.linalg.solve(system, far[mask].T @ y[mask][:, None]), rtol=1e-6)


def test_unlabelled_rows_help_where_the_classes_are_two_moons():
    X, truth = make_moons(400, noise=0.06, random_state=0)
    y = np.full(400, -1)
    for label in (0, 1):
        y[np.flatnonzero(truth == label)[:3]] = label
    free = y == -1
    accuracy = {
        smoothness: ManifoldRegularization(kernel="rbf", gamma=20.0, ridge=1e-3, smoothness=smoothness)
        .fit(X, y)
        .score(X[free], truth[free])
        for smoothness in (0.0, 0.1)
    }
    assert accuracy[0.0] < 0.93
    assert accuracy[0.1] > accuracy[0.0] + 0.05


@pytest.mark.parametrize("kernel", KERNELS)
def test_classes_are_codes_and_the_largest_function_wins(kernel):
    X, truth = load_iris(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    y = np.where(np.arange(150) % 3 == 0, truth, -1)
    fitted = ManifoldRegularization(kernel=kernel, smoothness=0.01).fit(X, y)
    for code in range(3):
        alone = ManifoldRegularization(kernel=kernel, smoothness=0.01, task="regression")
        alone.fit(X, np.where(y == -1, np.nan, np.where(y == code, 1.0, -1.0)))
        np.testing.assert_allclose(fitted.decision_function(X)[:, code], alone.predict(X), rtol=1e-8, atol=1e-10)
    np.testing.assert_array_equal(fitted.predict(X), fitted.decision_function(X).argmax(axis=1))
    assert fitted.score(X[y == -1], truth[y == -1]) > 0.8
    words = np.array(["a", "b", "c"])[truth].astype(object)
    words[y == -1] = -1
    assert set(ManifoldRegularization(kernel=kernel).fit(X, words).predict(X)) <= {"a", "b", "c"}


def test_two_classes_share_one_function():
    X, truth = load_iris(return_X_y=True)
    X, truth = X[:100], truth[:100]
    fitted = ManifoldRegularization().fit(X, np.where(np.arange(100) % 2 == 0, truth, -1))
    assert fitted.decision_function(X).shape == (100,)
    assert fitted.coef_.shape == (1, 4)
    np.testing.assert_array_equal(fitted.predict(X), (fitted.decision_function(X) > 0).astype(int))
    assert fitted.score(X, truth) == 1.0


def test_regression_has_no_decisions_and_many_rows_are_done_in_parts(monkeypatch):
    X, y, _ = problem(6)
    fitted = ManifoldRegularization(kernel="rbf").fit(X, y)
    assert not hasattr(fitted, "decision_function")
    whole = fitted.predict(X)
    monkeypatch.setattr("trustworthy.graphs.manifold.NUMBERS", 70)
    np.testing.assert_allclose(fitted.predict(X), whole, rtol=1e-12)


def test_a_second_fit_forgets_the_first():
    X, y, _ = problem(7)
    learner = ManifoldRegularization(kernel="rbf").fit(X, (np.nan_to_num(y) > 1).astype(int))
    again = learner.set_params(kernel="linear").fit(X, y)
    np.testing.assert_array_equal(again.predict(X), ManifoldRegularization().fit(X, y).predict(X))
    assert not hasattr(again, "decision_function")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": "poly"}, "unknown kernel 'poly'"),
        ({"gamma": 0.0}, "gamma must be > 0"),
        ({"gamma": "auto"}, "unknown gamma 'auto'"),
        ({"ridge": 0.0}, "ridge must be > 0"),
        ({"smoothness": -1.0}, "smoothness must be >= 0"),
        ({"n_neighbors": 30}, "n_neighbors must be <= 29"),
        ({"task": "ranking"}, "unknown task"),
    ],
)
def test_bad_options_are_refused(options, message):
    X, y, _ = problem()
    with pytest.raises(InvalidInput, match=message):
        ManifoldRegularization(**options).fit(X, y)


def test_bad_labels_are_refused():
    X, _, _ = problem()
    with pytest.raises(InvalidInput, match="at least one label"):
        ManifoldRegularization().fit(X, np.full(30, -1))
    with pytest.raises(InvalidInput, match="at least two classes, got one class, 4"):
        ManifoldRegularization().fit(X, np.r_[4, 4, np.full(28, -1)])
