"""LMNN, ITML, LFDA and NCA against literal loops and closed forms."""

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.preprocessing import StandardScaler

from reference import metric_learning as reference
from trustworthy.metric_learning import ITML, LFDA, LMNN, NCA
from trustworthy.metric_learning.itml import random_pairs
from trustworthy.metric_learning.lfda import affinity, local_scatters
from trustworthy.metric_learning.lmnn import LMNNObjective
from trustworthy.metric_learning.mahalanobis import unit_of
from trustworthy.metric_learning.near import near_lists


def problem(seed, n=25, d=4, classes=3):
    """Rows of uneven classes: the last one has a single row."""
    rng = np.random.default_rng(seed)
    y = np.r_[rng.permutation(np.arange(n - 1) % (classes - 1)), classes - 1]
    X = rng.normal(size=(n, d)) + 0.7 * y[:, None]
    return X - X.mean(0), y


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])  # nearly all triplets active, some, few
@pytest.mark.parametrize("rank", [2, 4])
def test_lmnn_s_objective_is_the_triple_sum(scale, rank):
    X, y = problem(0)
    rng = np.random.default_rng(1)
    near = near_lists(X, y, np.arange(25), np.eye(4), 3)
    targets = [near.own[i, : near.own_count[i]] for i in range(25)]
    objective = LMNNObjective(X, y, near.own, near.own_count, 0.3)
    root = scale * rng.normal(size=(rank, 4))
    value, gradient = objective.value_and_gradient(root)

    def literal(r):
        return reference.lmnn_objective(X, y, targets, r, 0.3)

    np.testing.assert_allclose(value, literal(root), rtol=1e-10)
    for index in np.ndindex(root.shape):
        moved = [root.copy(), root.copy()]
        moved[0][index] += 1e-6
        moved[1][index] -= 1e-6
        slope = (literal(moved[0]) - literal(moved[1])) / 2e-6
        np.testing.assert_allclose(gradient[index], slope, rtol=1e-5, atol=1e-5)


def test_lmnn_s_blocks_add_up(monkeypatch):
    X, y = problem(2)
    near = near_lists(X, y, np.arange(25), np.eye(4), 3)
    objective = LMNNObjective(X, y, near.own, near.own_count, 0.5)
    whole = objective.value_and_gradient(np.eye(4))
    monkeypatch.setattr("trustworthy.metric_learning.lmnn._CELLS", 75)
    for sparse in (0.0, 1.0):  # never a sparse block, always
        monkeypatch.setattr("trustworthy.metric_learning.lmnn._SPARSE", sparse)
        value, gradient = objective.value_and_gradient(np.eye(4))
        np.testing.assert_allclose(value, whole[0])
        np.testing.assert_allclose(gradient, whole[1])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_lmnn_descends_to_where_the_gradient_is_small(wine):
    X, y = wine
    near = near_lists(X, y, np.arange(len(X)), np.eye(13), 3)
    objective = LMNNObjective(X, y, near.own, near.own_count, 0.5)
    first, slope = objective.value_and_gradient(np.eye(13))
    fitted = LMNN(max_iter=300, tol=1e-8).fit(X, y)
    last, end = objective.value_and_gradient(fitted.components_)
    np.testing.assert_allclose(fitted.objective_, last)
    assert last < 0.7 * first
    assert np.linalg.norm(end) < 0.02 * np.linalg.norm(slope)
    assert LMNN().fit(X, y).objective_ < 1.05 * last
    with pytest.warns(ConvergenceWarning, match="LMNN stopped after 2 iterations"):
        assert not LMNN(max_iter=2).fit(X, y).converged_
    assert LMNN(tol=0.01).fit(X, y).converged_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_without_push_lmnn_pulls_everything_together(wine):
    assert LMNN(regularization=0.0, tol=0.0).fit(*wine).objective_ < 1e-6


@pytest.mark.parametrize("seed", range(2))
def test_itml_projects_on_one_pair_after_the_other(seed):
    X, y = problem(seed, n=30, d=5)
    with pytest.warns(ConvergenceWarning, match="ITML stopped after 7 iterations"):
        fitted = ITML(random_state=seed, max_iter=7, tol=0.0, gamma=0.5, n_constraints=75).fit(X, y)
    gaps = X[fitted.pairs_[:, 0]] - X[fitted.pairs_[:, 1]]
    assert len(gaps) > 128  # three blocks
    matrix = reference.itml(gaps, fitted.similar_, *fitted.bounds_, 0.5, 7)
    np.testing.assert_allclose(fitted.get_mahalanobis_matrix(), matrix, rtol=1e-7, atol=1e-8)
    assert fitted.n_iter_ == 7
    assert not fitted.converged_


def test_itml_of_one_similar_pair_is_the_closed_form():
    # One active pair leaves A = I + beta v vᵀ with the distance p = vᵀAv = xi and, at the optimum over the slack,
    # lambda = 1 / p - 1 / |v|² = gamma (1 / bound - 1 / p): p = (1 + gamma) / (1 / |v|² + gamma / bound).
    X = np.array([[0.0, 0.0], [2.0, 0.0], [9.0, 0.0]])
    fitted = ITML(bounds=(1.0, 1.0), gamma=3.0, tol=1e-12).fit(X, [0, 0, 1])
    assert fitted.converged_
    v = X[1] - X[0]
    np.testing.assert_allclose(v @ fitted.get_mahalanobis_matrix() @ v, 4 / (1 / 4 + 3 / 1), rtol=1e-6)
    np.testing.assert_allclose(fitted.get_mahalanobis_matrix()[1, 1], 1.0)


def test_itml_keeps_its_bounds_when_slack_is_dear():
    X, y = problem(0, n=9, d=6, classes=3)
    fitted = ITML(bounds=(2.0, 4.0), gamma=1e5, n_constraints=4, tol=1e-9, max_iter=20_000, random_state=0).fit(X, y)
    gaps = X[fitted.pairs_[:, 0]] - X[fitted.pairs_[:, 1]]
    distances = np.einsum("ni,ij,nj->n", gaps, fitted.get_mahalanobis_matrix(), gaps)
    assert (distances[fitted.similar_ > 0] < 2.0 * 1.01).all()
    assert (distances[fitted.similar_ < 0] > 4.0 / 1.01).all()


@pytest.mark.parametrize(("n", "count"), [(40, 30), (40, 10_000), (3000, 50)])
@pytest.mark.parametrize("same", [True, False])
def test_pairs_are_different_and_of_the_right_kind(n, count, same):
    codes = np.arange(n) % 4
    pairs = random_pairs(codes, count, same=same, rng=np.random.RandomState(0))
    possible = 4 * (n // 4) * (n // 4 - 1) // 2 if same else 6 * (n // 4) ** 2
    assert len(pairs) == min(count, possible)
    assert ((codes[pairs[:, 0]] == codes[pairs[:, 1]]) == same).all()
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert len(np.unique(pairs, axis=0)) == len(pairs)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_itml_bears_repeated_rows():
    X = np.repeat(np.arange(4.0)[:, None], 5, axis=0)
    fitted = ITML(random_state=0, max_iter=50).fit(X, np.repeat([0, 0, 1, 1], 5))
    assert np.isfinite(fitted.components_).all()
    assert (X[fitted.pairs_[:, 0]] != X[fitted.pairs_[:, 1]]).all()


@pytest.mark.parametrize("n_neighbors", [1, 3, 100])
def test_lfda_s_scatters_are_the_double_sums(n_neighbors):
    X, y = problem(1)
    for ours, literal in zip(
        local_scatters(X, y, n_neighbors), reference.local_scatters(X, y, n_neighbors), strict=True
    ):
        np.testing.assert_allclose(ours, literal, rtol=1e-9, atol=1e-12)


def test_rows_that_coincide_have_affinity_one():
    np.testing.assert_array_equal(affinity(np.array([[0.0], [0.0], [1.0]]), 1), [[1, 1, 0], [1, 1, 0], [0, 0, 1]])


def test_lfda_solves_its_eigenproblem(wine):
    X, y = wine
    between, within = local_scatters(X, y, 7)
    plain = LFDA(embedding="plain", regularization=0.0).fit(X, y).components_
    np.testing.assert_allclose(plain @ within @ plain.T, np.eye(13), atol=1e-9)
    values = np.diag(plain @ between @ plain.T)
    np.testing.assert_allclose(plain @ between @ plain.T, np.diag(values), atol=1e-9 * values[0])
    assert (np.diff(values) <= 0).all()
    weighted = LFDA(regularization=0.0).fit(X, y).components_
    np.testing.assert_allclose(weighted**2, values[:, None].clip(0) * plain**2, rtol=1e-6, atol=1e-9)
    flat = LFDA(n_components=3, embedding="orthonormalized", regularization=0.0).fit(X, y).components_
    np.testing.assert_allclose(flat @ flat.T, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(flat.T @ flat @ plain[:3].T, plain[:3].T, atol=1e-9)  # the same subspace


def test_lfda_finds_fisher_s_direction_of_two_normal_classes():
    rng = np.random.default_rng(0)
    mix = np.array([[1.0, 0.8], [0.0, 0.5]])
    X = np.r_[rng.normal(size=(700, 2)) @ mix, rng.normal(size=(700, 2)) @ mix + [0.5, 2.0]]
    y = np.repeat([0, 1], 700)
    found = LFDA(n_components=1, n_neighbors=650).fit(X, y).components_[0]
    fisher = LinearDiscriminantAnalysis().fit(X, y).coef_[0]
    assert abs(found @ fisher) / (np.linalg.norm(found) * np.linalg.norm(fisher)) > 0.995


def test_lfda_is_real_where_features_repeat_each_other(wine):
    X, y = wine
    fitted = LFDA().fit(np.c_[X, X[:, :3], np.zeros(len(X))], y)
    assert np.isrealobj(fitted.components_)
    assert np.isfinite(fitted.components_).all()


def test_nca_is_scikit_learn_s(wine):
    X, y = wine
    ours = NCA(max_iter=5).fit(X, y)
    unit = unit_of(X)
    theirs = NeighborhoodComponentsAnalysis(max_iter=5).fit((X - X.mean(0)) / unit, y)
    np.testing.assert_allclose(ours.components_, theirs.components_ / unit)
    start = np.eye(13)[:2]
    assert NCA(init=start, max_iter=5).fit(X, y).components_.shape == (2, 13)
