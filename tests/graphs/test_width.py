"""The width that is chosen: fifths of the labels in large sparse graphs, one label a class, and what is shown."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris, load_wine, make_classification
from sklearn.exceptions import ConvergenceWarning

from trustworthy.core.errors import InvalidInput
from trustworthy.graphs import LabelPropagation, solvers, width


def drawn(rows, labelled, classes=2, seed=0):
    X, truth = make_classification(rows, 8, n_informative=6, n_classes=classes, random_state=seed)
    y = np.full(rows, -1)
    y[:labelled] = truth[:labelled]
    return X, y, truth


@pytest.mark.parametrize("regression", [False, True])
def test_errors_of_a_large_sparse_graph_are_those_of_fits_that_hide_a_fifth(monkeypatch, regression):
    monkeypatch.setattr(width, "SMALL", 100)
    X, y, _ = drawn(200, 43, classes=3)
    known = np.flatnonzero(y >= 0)
    y = np.where(y < 0, np.nan, y + 0.1 * X[:, 0]) if regression else y
    fitted = LabelPropagation(n_neighbors=6, gammas=width.default_gammas(X)[:7:2]).fit(X, y)
    assert np.isfinite(fitted.gamma_errors_).sum() >= 3
    order = known[np.argsort(y[known], kind="stable")]
    for gamma, error in zip(fitted.gammas_, fitted.gamma_errors_, strict=True):
        misses = []
        for part in range(5):
            told, hidden = y.copy(), order[part::5]
            told[hidden] = np.nan if regression else -1
            found = LabelPropagation(n_neighbors=6, gamma=gamma, solver="elimination").fit(X, told).transduction_
            misses.extend((found[hidden] - y[hidden]) ** 2 if regression else found[hidden] != y[hidden])
        expected = np.sqrt(np.mean(misses)) if regression else np.mean(misses)
        np.testing.assert_allclose(error, error if np.isnan(error) else expected, rtol=1e-3)


def test_the_width_of_a_large_sparse_graph_takes_few_columns_and_steps(monkeypatch):
    for module in (solvers, width):
        monkeypatch.setattr(module, "SMALL", 600)
    X, y, truth = drawn(1000, 300)
    columns, descend = [], solvers._descend

    def counted(weights, degree, pull, tolerance, steps, *folds):
        columns.append(pull.shape[1])
        assert not folds or steps == 500
        return descend(weights, degree, pull, tolerance, steps, *folds)

    monkeypatch.setattr(solvers, "_descend", counted)
    fitted = LabelPropagation(n_neighbors=10).fit(X, y)
    assert sum(columns) <= 10 * 5 * 2  # of two classes and five folds; one by one it would be 3,000
    assert np.mean(fitted.transduction_[y < 0] == truth[y < 0]) > 0.85


def test_a_label_that_is_joined_to_no_other_counts_as_wrong_and_does_not_stop_the_choice(monkeypatch):
    monkeypatch.setattr(width, "SMALL", 10)
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(40, 2)), rng.normal(size=(6, 2)) + 1e4])
    y = np.full(46, -1)
    y[:8], y[40] = X[:8, 0] > 0.0, 0
    fitted = LabelPropagation(n_neighbors=3).fit(X, y)
    assert np.nanmin(fitted.gamma_errors_) >= 1 / 9
    with pytest.raises(InvalidInput, match="some label is joined to no other"):
        LabelPropagation(n_neighbors=3).fit(X, np.where(np.arange(46) == 1, 0.5, np.nan))


def test_widths_for_which_few_steps_do_not_suffice_come_last(monkeypatch):
    monkeypatch.setattr(width, "SMALL", 10)
    X, y, _ = drawn(300, 60)
    narrow = LabelPropagation(n_neighbors=6, gammas=[0.05, 50.0, 200.0]).fit(X, y)
    assert narrow.gamma_ == 0.05
    assert np.isnan(narrow.gamma_errors_[1:]).all()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        lost = LabelPropagation(n_neighbors=6, gammas=[200.0, 50.0], solver="cg").fit(X, y)
    assert lost.gamma_ == 50.0
    assert np.isnan(lost.gamma_errors_).all()
    assert any(issubclass(warning.category, ConvergenceWarning | UserWarning) for warning in said)


@pytest.mark.parametrize(
    ("load", "least"),
    [
        pytest.param(load_digits, 0.6, marks=pytest.mark.slow, id="digits"),
        pytest.param(load_iris, 0.7, id="iris"),
        pytest.param(load_wine, 0.55, id="wine"),
    ],
)
def test_one_label_a_class_takes_a_narrow_graph(load, least):
    X, truth = (part[-400:] for part in load(return_X_y=True))
    right = []  # the widest graph, which the squared error would take, has at most 0.36 of them right
    for draw in range(3):
        rng = np.random.default_rng(draw)
        y = np.full(len(truth), -1)
        first = [rng.choice(np.flatnonzero(truth == label)) for label in np.unique(truth)]
        y[first] = truth[first]
        fitted = LabelPropagation().fit(X, y)
        np.testing.assert_array_equal(fitted.gamma_errors_, 1.0)
        right.append(np.mean(fitted.transduction_[y < 0] == truth[y < 0]))
    assert np.mean(right) > least


def test_with_one_label_a_class_no_row_may_be_lost():
    X, y = [[0.0], [1.0], [2.0], [30.0], [31.0], [60.0]], [0, -1, -1, 1, -1, -1]
    fitted = LabelPropagation(gammas=[0.1, 1e-3, 0.5, 2.0]).fit(X, y)
    assert fitted.gamma_ == 0.5  # exp(-2 * 29²) is 0


def test_progress_is_shown_where_it_is_asked_for(capsys):
    X, y, _ = drawn(60, 20)
    LabelPropagation().fit(X, y)
    assert capsys.readouterr() == ("", "")
    LabelPropagation(progress=True).fit(X, y)
    shown = capsys.readouterr()
    assert not shown.out
    assert "widths" in shown.err
    assert "10/10" in shown.err
