"""Label propagation: closed forms, solvers that agree, graphs that fall apart, scikit-learn's contract."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.semi_supervised import LabelPropagation as Peer
from sklearn.utils.estimator_checks import parametrize_with_checks

from reference import graphs_harmonic as reference
from seeds import first
from trustworthy.core.errors import InvalidInput, TrustworthyWarning, UnknownName
from trustworthy.graphs import LabelPropagation, affinity, solvers
from trustworthy.graphs.width import default_gammas

ITERATIVE = ["cg", "iteration"]


def problem(seed, n=40, d=3, labelled=8):
    rng = np.random.default_rng(seed)
    X, known = rng.normal(size=(n, d)), np.arange(n) < labelled
    order = rng.permutation(n)
    return X, known[order], rng.normal(size=labelled)


def floating(known, values):
    y = np.full(len(known), np.nan)
    y[known] = values
    return y


@pytest.fixture(scope="module")
def digits():
    X, truth = load_digits(return_X_y=True)
    hidden = np.random.default_rng(0).random(len(truth)) > 0.1
    return X, np.where(hidden, -1, truth), truth, hidden


@pytest.mark.usefixtures("_as_users_call_it")
@parametrize_with_checks(
    [
        LabelPropagation(task="regression", gammas=[0.01, 1.0]),
        LabelPropagation(gamma=0.5, task="classification", n_neighbors=5),
    ]
)
def test_scikit_learn_accepts_it(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.usefixtures("_as_users_call_it")
@parametrize_with_checks([LabelPropagation(task="classification")])
def test_scikit_learn_accepts_dense_classes(estimator, check):
    check(estimator)


def test_a_node_between_two_labels_is_their_mean_by_affinity():
    near, far = np.exp(-2.0 * 1.0), np.exp(-2.0 * 4.0)
    fitted = LabelPropagation(gamma=2.0).fit([[0.0], [1.0], [3.0]], [5.0, np.nan, -1.0])
    np.testing.assert_allclose(fitted.transduction_, [5.0, (5 * near - far) / (near + far), -1.0])
    np.testing.assert_allclose(fitted.operator_, [[near / (near + far), far / (near + far)]])


@pytest.mark.parametrize("seed", first(2, of=5))
def test_operator_is_the_printed_inverse(seed):
    X, known, values = problem(seed)
    fitted = LabelPropagation(gamma=0.7).fit(X, floating(known, values))
    np.testing.assert_allclose(fitted.operator_, reference.operator(X, known, 0.7), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(fitted.transduction_[~known], fitted.operator_ @ values)
    np.testing.assert_array_equal(fitted.transduction_[known], values)
    np.testing.assert_allclose(fitted.operator_.sum(axis=1), 1.0)
    assert (fitted.operator_ >= 0).all()


@pytest.mark.parametrize("n_neighbors", [None, 6])
@pytest.mark.parametrize("solver", ["cholesky", "cg", "iteration", "elimination"])
def test_solvers_agree(digits, solver, n_neighbors):
    X, y, _, _ = digits
    keep = slice(0, 400)
    one, other = (
        LabelPropagation(gamma=0.001, solver=name, n_neighbors=n_neighbors).fit(X[keep], y[keep])
        for name in (solver, "auto")
    )
    np.testing.assert_allclose(one.label_distributions_, other.label_distributions_, atol=3e-8)


def test_it_is_what_scikit_learn_s_iteration_converges_to(digits):
    X, y, _, _ = digits
    keep = slice(0, 500)
    peer = Peer(gamma=0.002, tol=1e-13, max_iter=10_000).fit(X[keep], y[keep])
    ours = LabelPropagation(gamma=0.002).fit(X[keep], y[keep])
    np.testing.assert_allclose(ours.label_distributions_, peer.label_distributions_, atol=1e-9)
    np.testing.assert_array_equal(ours.transduction_, peer.transduction_)


def test_digits_are_told_apart_from_a_tenth_of_the_labels(digits):
    X, y, truth, hidden = digits
    fitted = LabelPropagation(gammas=default_gammas(X)[4:6]).fit(X, y)
    assert np.mean(fitted.transduction_[hidden] == truth[hidden]) > 0.97
    assert fitted.gamma_errors_.min() < 0.03
    np.testing.assert_array_equal(fitted.transduction_[~hidden], y[~hidden])


@pytest.mark.parametrize("block", [1, 3, 128])
@pytest.mark.parametrize("seed", first(1, of=4))
def test_elimination_is_exact_however_far_apart_affinities_are(monkeypatch, seed, block):
    monkeypatch.setattr(solvers, "_BLOCK", block)
    rng = np.random.default_rng(seed)
    within = 10.0 ** -rng.uniform(0, 200, (9, 9))
    within = np.triu(within, 1) + np.triu(within, 1).T
    across = 10.0 ** -rng.uniform(0, 200, (9, 4))
    values = rng.uniform(0.5, 2.0, 4)
    found = solvers.harmonic(affinity.Graph(within, across), values[:, None], "elimination")[:, 0]
    np.testing.assert_allclose(found, reference.exact(within, across, values), rtol=1e-13)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_cholesky_hands_over_what_it_cannot_bear():
    # Two pairs, each a thousand times nearer to itself than to any label: 1 - P is singular to rounding.
    X = np.array([[0.0], [7.0], [7.1], [13.0], [13.1], [20.0]])
    y = [0.0, np.nan, np.nan, np.nan, np.nan, 1.0]
    graph = affinity.GaussianGraphs(X, ~np.isnan(y)).split(2.0)
    expected = reference.exact(graph.within, graph.across, [0.0, 1.0])
    for solver in ("auto", "cholesky", "elimination"):
        found = LabelPropagation(gamma=2.0, solver=solver).fit(X, y).transduction_[1:5]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.abs(reference.operator(X, ~np.isnan(y), 2.0) @ [0.0, 1.0] - expected).max() > 0.01
    with pytest.warns(TrustworthyWarning, match="all but falls apart: the values of 4 unlabelled rows"):
        LabelPropagation(gamma=2.0, solver="cg").fit(X, y)


def test_iteration_says_when_it_is_not_done(monkeypatch, digits):
    X, y, _, _ = digits
    monkeypatch.setattr(solvers, "_STEPS", 1)
    for solver in ITERATIVE:
        with (
            pytest.warns(ConvergenceWarning, match=f"solver='{solver}' stopped after 1 steps"),
            pytest.warns(TrustworthyWarning, match="not to be relied on"),
        ):
            LabelPropagation(gamma=0.004, solver=solver).fit(X[:200], y[:200])


def test_nodes_that_no_label_reaches_are_named_and_left():
    X = np.array([[0.0], [1.0], [100.0], [101.0], [2.0]])
    with pytest.warns(TrustworthyWarning, match=r"2 unlabelled rows .* \(rows 2, 3\): their values are NaN"):
        fitted = LabelPropagation(gamma=1.0).fit(X, [1.0, np.nan, np.nan, np.nan, 3.5])
    assert np.isnan(fitted.transduction_[2:4]).all()
    assert np.isnan(fitted.operator_[1:]).all()
    assert not np.isnan(fitted.transduction_[[0, 1, 4]]).any()
    np.testing.assert_allclose(fitted.predict([[100.0]]), [3.5])
    with pytest.warns(TrustworthyWarning, match="falls apart"):
        whole = LabelPropagation(gamma=1.0).fit(X, [0, -1, -1, -1, 1])
    np.testing.assert_array_equal(whole.transduction_[2:4], [-1, -1])
    assert np.isnan(whole.label_distributions_[2:4]).all()
    with pytest.warns(TrustworthyWarning, match="falls apart"):
        real = LabelPropagation(gamma=1.0, task="classification").fit(X, [-1.0, np.nan, np.nan, np.nan, 1.0])
    assert np.isnan(real.transduction_[2])
    np.testing.assert_array_equal(real.classes_, [-1.0, 1.0])


def test_a_label_reaches_through_others():
    X = np.linspace(0, 200, 21)[:, None]
    y = np.full(21, np.nan)
    y[0], y[-1] = 0.0, 1.0
    np.testing.assert_allclose(LabelPropagation(gamma=1.0, n_neighbors=2).fit(X, y).transduction_[1:-1].mean(), 0.5)


@pytest.mark.parametrize("n_neighbors", [None, 8])
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_gamma_is_the_one_that_predicts_left_out_labels_best(task, n_neighbors):
    X, known, values = problem(3, n=30, labelled=12)
    gammas = [0.01, 0.1, 1.0]
    y = floating(known, values) if task == "regression" else np.where(known, 0, -1)
    if task == "classification":
        y[known] = values > 0
    fitted = LabelPropagation(gamma="cv", gammas=gammas, n_neighbors=n_neighbors).fit(X, y)
    assert fitted.gamma_ == gammas[int(np.argmin(fitted.gamma_errors_))]
    if n_neighbors is None:
        codes = values if task == "regression" else np.where(values > 0, 1.0, -1.0)
        found = [reference.left_out(X, known, codes, gamma) for gamma in gammas]
        errors = [
            np.sqrt(np.mean((f - codes) ** 2)) if task == "regression" else np.mean(np.sign(f) != codes) for f in found
        ]
        np.testing.assert_allclose(fitted.gamma_errors_, errors, rtol=1e-9)


def test_candidates_where_labels_stand_alone_are_not_taken():
    X = np.array([[0.0], [1.0], [50.0], [51.0]])
    fitted = LabelPropagation(gammas=[10.0, 0.001]).fit(X, [0.0, np.nan, 1.0, np.nan])
    assert fitted.gamma_ == 0.001
    assert np.isinf(fitted.gamma_errors_[0])
    with pytest.raises(InvalidInput, match="gamma could not be chosen"):
        LabelPropagation(gammas=[10.0]).fit(X, [0.0, np.nan, 1.0, np.nan])


def test_a_width_that_loses_rows_is_not_chosen_though_it_predicts_labels_best():
    # Labels a step apart alternate by pairs, so that narrow is right; the row at 60 needs a wide graph.
    X = np.array([[0.0], [0.1], [5.0], [5.1], [60.0]])
    y = [0.0, 0.0, 1.0, 1.0, np.nan]
    errors = LabelPropagation(gammas=[0.001, 10.0]).fit(X, y).gamma_errors_
    assert errors[1] < errors[0]
    assert LabelPropagation(gammas=[0.001, 10.0]).fit(X, y).gamma_ == 0.001
    with pytest.warns(TrustworthyWarning, match="1 unlabelled rows"):
        assert LabelPropagation(gammas=[10.0]).fit(X, y).gamma_ == 10.0


def test_neighbours_are_searched_once_for_all_widths(monkeypatch, digits):
    X, y, _, _ = digits
    searched, search = [], affinity.near_distances
    monkeypatch.setattr(affinity, "near_distances", lambda *given: searched.append(1) or search(*given))
    fitted = LabelPropagation(n_neighbors=8).fit(X[:300], y[:300])
    assert fitted.operator_.shape == ((y[:300] == -1).sum(), (y[:300] != -1).sum())
    assert len(searched) == 1


def test_new_rows_are_means_over_the_graph_and_far_ones_the_nearest():
    X, known, values = problem(1)
    fitted = LabelPropagation(gamma=0.7).fit(X, floating(known, values))
    new = np.random.default_rng(5).normal(size=(6, 3))
    weights = np.exp(-0.7 * ((new[:, None] - X[None]) ** 2).sum(-1))
    np.testing.assert_allclose(fitted.predict(new), weights @ fitted.transduction_ / weights.sum(axis=1))
    nearest = fitted.transduction_[((X - X.max(axis=0) * 1e3) ** 2).sum(axis=1).argmin()]
    np.testing.assert_allclose(fitted.predict([X.max(axis=0) * 1e3]), [nearest])


def test_sparse_rows_are_the_dense_ones(digits):
    X, y, _, _ = digits
    dense = LabelPropagation(gamma=0.01).fit(X[:200], y[:200])
    rows = LabelPropagation(gamma=0.01).fit(sparse.csr_array(X[:200]), y[:200])
    np.testing.assert_allclose(rows.label_distributions_, dense.label_distributions_, atol=1e-10)
    np.testing.assert_allclose(rows.predict_proba(sparse.csr_array(X[200:250])), dense.predict_proba(X[200:250]))


def test_labels_may_be_words_booleans_or_absent():
    X = [[0.0], [1.0], [5.0], [6.0]]
    words = np.array(["left", None, "right", -1], dtype=object)
    np.testing.assert_array_equal(
        LabelPropagation(gamma=1.0).fit(X, words).transduction_, ["left", "left", "right", "right"]
    )
    known = LabelPropagation(gamma=1.0).fit(X, [True, True, False, False])
    np.testing.assert_array_equal(known.transduction_, [True, True, False, False])
    np.testing.assert_array_equal(known.predict([[0.4], [5.4]]), [True, False])
    assert known.operator_.shape == (0, 4)


def test_a_graph_larger_than_memory_is_refused(monkeypatch):
    monkeypatch.setattr(affinity, "_free_memory", lambda: 10_000)
    with pytest.raises(InvalidInput, match=r"X has 100 rows, .* Pass n_neighbors"):
        LabelPropagation(gamma=1.0).fit(np.zeros((100, 1)) + np.arange(100)[:, None], [0, 1] + 98 * [-1])
    fitted = LabelPropagation(gamma=1.0, n_neighbors=3, solver="cg").fit(np.arange(100.0)[:, None], [0, 1] + 98 * [-1])
    np.testing.assert_array_equal(fitted.transduction_[2:], 1)


@pytest.mark.parametrize(
    ("options", "y", "message"),
    [
        ({"gamma": 0.0}, [0, 1, -1], "gamma must be > 0"),
        ({"gamma": -1}, [0, 1, -1], "gamma must be > 0"),
        ({"gamma": np.nan}, [0, 1, -1], "gamma must be finite"),
        ({"gamma": "auto"}, [0, 1, -1], "unknown gamma 'auto'"),
        ({"gamma": "cv", "gammas": [-1.0]}, [0, 1, -1], "gammas must be > 0"),
        ({"gamma": 1, "solver": "lu"}, [0, 1, -1], "unknown solver 'lu'"),
        ({"gamma": 1, "task": "ranking"}, [0, 1, -1], "unknown task 'ranking'"),
        ({"gamma": 1, "n_neighbors": 3}, [0, 1, -1], "n_neighbors must be <= 2"),
        ({"gamma": 1}, [-1, -1, -1], "y must hold at least one label, got none"),
        ({"gamma": 1}, [1, 1, -1], "at least two classes, got one class, 1"),
        ({"gamma": 1}, [0.5, np.inf, np.nan], "y must be finite"),
        ({"gamma": 1, "task": "regression"}, ["a", "b", "c"], "y must hold real numbers for regression"),
        ({"gamma": 1}, [0, 1], "inconsistent numbers of samples"),
    ],
)
def test_bad_input_is_named(options, y, message):
    with pytest.raises((InvalidInput, UnknownName, ValueError), match=message):
        LabelPropagation(**options).fit([[0.0], [1.0], [2.0]], y)


def test_rows_that_are_all_the_same_have_no_width_to_choose():
    with pytest.raises(InvalidInput, match="rows that differ"):
        LabelPropagation().fit(np.ones((4, 2)), [0, 1, -1, -1])
    shares = LabelPropagation(gamma=1.0).fit(np.ones((4, 2)), [0, 1, -1, -1]).label_distributions_
    np.testing.assert_allclose(shares[2:], 0.5)
