"""The estimator: agreement of its answers, ties, many processes, and bad input."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from trustworthy.core.errors import InvalidInput, TrustworthyWarning, UnknownName
from trustworthy.neighbors import ATTACKS, Mean, NearestNeighborVerifier, QPGreedy, QPTopM
from trustworthy.neighbors.exact import exact_one


@pytest.mark.usefixtures("_as_users_call_it")
@parametrize_with_checks([NearestNeighborVerifier()])
def test_scikit_learn_accepts_it(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X / 16, y, test_size=500, stratify=y, random_state=0)


@pytest.mark.parametrize("n_neighbors", [1, 3, 15])
def test_it_predicts_as_scikit_learn(digits, n_neighbors):
    X, X_test, y, _ = digits
    ours = NearestNeighborVerifier(n_neighbors=n_neighbors).fit(X, y).predict(X_test)
    theirs = KNeighborsClassifier(n_neighbors, algorithm="brute").fit(X, y).predict(X_test)
    # A row whose K-th neighbour is tied may differ: digits are whole numbers and distances repeat.
    assert (ours == theirs).mean() >= 0.995


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bound_exact_and_attacks_are_ordered_and_every_perturbation_changes_the_prediction(digits, dtype):
    X, X_test, y, y_test = digits
    X, X_test, y_test = X.astype(dtype), X_test[:15].astype(dtype), y_test[:15]
    verifier = NearestNeighborVerifier().fit(X, y)
    lower, exact = verifier.lower_bound(X_test, y_test), verifier.exact(X_test, y_test)
    right = verifier.predict(X_test) == y_test
    assert exact.exact.all()
    assert (exact.upper[~right] == 0).all()
    assert (lower[~right] == 0).all()
    assert (lower <= exact.lower + 1e-9).all()
    changed = verifier.predict(X_test.astype(np.float64) + exact.perturbation) != y_test
    assert changed.all()
    for name in ATTACKS:
        found, x = verifier.attack(X_test, y_test, name), X_test.astype(np.float64)
        assert (found.distance >= exact.lower - 1e-9).all(), name
        np.testing.assert_array_equal(verifier.predict(found.adversarial) != y_test, found.success)
        np.testing.assert_array_equal(found.adversarial[~found.success], x[~found.success])
        np.testing.assert_array_equal(np.isinf(found.distance), ~found.success)
        size = np.linalg.norm(found.adversarial - x, axis=1)
        np.testing.assert_allclose(size[found.success], found.distance[found.success], atol=1e-12)
        np.testing.assert_array_equal(found.distance[~right], 0.0)
        np.testing.assert_array_equal(found.queries, 0)


def test_where_an_attack_fails_the_row_itself_comes_back():
    # The means of both classes are 0, where the class that sorts first has the nearest row.
    verifier = NearestNeighborVerifier().fit([[-1.0], [1.0], [-2.0], [2.0]], [0, 0, 1, 1])
    found = verifier.attack([[0.5], [1.9]], [0, 1], Mean())
    np.testing.assert_array_equal(found.success, [False, True])
    np.testing.assert_array_equal(found.adversarial[0], [0.5])
    assert found.distance[0] == np.inf
    np.testing.assert_allclose(found.distance[1], 0.4)
    assert verifier.predict(found.adversarial[1:]) == [0]


@pytest.mark.parametrize("n_neighbors", [3, 5])
def test_more_neighbours_are_sandwiched(digits, n_neighbors):
    X, X_test, y, y_test = digits
    X_test, y_test = X_test[:6], y_test[:6]
    verifier = NearestNeighborVerifier(n_neighbors=n_neighbors).fit(X, y)
    lower = verifier.lower_bound(X_test, y_test)
    certificate = verifier.exact(X_test, y_test, time_limit=0.05)
    greedy = verifier.attack(X_test, y_test).distance
    assert (lower <= certificate.upper + 1e-9).all()
    assert (certificate.lower <= certificate.upper).all()
    assert (certificate.lower >= lower - 1e-9).all()
    assert (certificate.lower <= greedy + 1e-9).all()


@pytest.mark.parametrize(("norm", "dual"), [("l2", np.hypot(2, 3)), ("linf", 5.0), ("l1", 3.0)])
def test_two_points_are_parted_by_a_plane(norm, dual):
    X, y = np.array([[0.0, 0.0], [2.0, 3.0]]), ["near", "far"]
    # From the origin, the plane 2 a + 3 b = 6.5: the distance is 6.5 over the dual norm of (2, 3).
    certificate = NearestNeighborVerifier(norm=norm).fit(X, y).exact([[0.0, 0.0]], ["near"])
    np.testing.assert_allclose(certificate.lower, 6.5 / dual, rtol=1e-6)
    np.testing.assert_allclose(certificate.upper, 6.5 / dual, rtol=1e-6)


def test_a_repeated_point_keeps_the_class_of_its_first_row():
    verifier = NearestNeighborVerifier().fit([[0.0], [0.0], [1.0]], ["first", "second", "second"])
    assert verifier.predict([[0.1]]) == ["first"]
    np.testing.assert_allclose(verifier.exact([[0.1]], ["first"]).upper, [0.4], rtol=1e-6)
    assert verifier.exact([[0.1]], ["second"]).upper == [0.0]


def test_classes_that_never_win_leave_nothing_to_certify():
    with pytest.raises(InvalidInput, match="only those of 'first' once rows that repeat"):
        NearestNeighborVerifier().fit([[0.0], [0.0], [1.0]], ["first", "second", "first"])


def test_rows_that_the_solver_gives_up_are_named_by_their_place_in_X(digits, monkeypatch):
    X, X_test, y, y_test = digits
    verifier = NearestNeighborVerifier(norm="linf").fit(X[:300], y[:300])
    true = verifier.exact(X_test[:70], y_test[:70])
    asked = []

    def gives_up(geometry, queries, codes, **options):
        assert "coarse" in vars(geometry)  # computed once, not by every task
        found = exact_one(geometry, queries, codes, **options)
        asked.append(len(queries))
        if len(asked) == 2:
            found.lower[3], found.exact[3] = found.lower[3] / 2, False
        return found

    monkeypatch.setattr("trustworthy.neighbors.verifier.exact_one", gives_up)
    with pytest.warns(TrustworthyWarning, match="rows 67 of X"):
        found = verifier.exact(X_test[:70], y_test[:70])
    assert asked == [64, 6]
    assert found.exact.sum() == 69
    np.testing.assert_array_equal(found.upper, true.upper)


def test_a_class_that_training_lacks_has_radius_zero():
    verifier = NearestNeighborVerifier().fit([[0.0], [1.0]], [3, 7])
    for label in (2, 5, 9):
        assert verifier.exact([[0.2]], [label]).upper == [0.0]
        assert verifier.lower_bound([[0.2]], [label]) == [0.0]
        assert verifier.attack([[0.2]], [label]).distance == [0.0]


def test_a_constant_feature_is_left_alone():
    X = np.array([[0.0, 5.0], [1.0, 5.0]])
    perturbation = NearestNeighborVerifier().fit(X, [0, 1]).exact([[0.0, 5.0]], [0]).perturbation
    np.testing.assert_allclose(perturbation, [[0.5, 0.0]], atol=1e-6)


def test_errors_are_the_shares_of_the_radii(digits):
    X, X_test, y, y_test = digits
    X_test, y_test = X_test[:50], y_test[:50]
    verifier = NearestNeighborVerifier().fit(X, y)
    radii = [0.0, 0.3, 0.6, 9.0]
    certified = verifier.certified_error(X_test, y_test, radii)
    sizes = verifier.exact(X_test, y_test).upper
    np.testing.assert_array_equal(certified, [(sizes <= radius).mean() for radius in radii])
    assert certified[0] == (verifier.predict(X_test) != y_test).mean()
    assert (verifier.empirical_error(X_test, y_test, radii, QPTopM(m=5)) <= certified).all()
    voters = NearestNeighborVerifier(n_neighbors=5).fit(X, y)
    bound = voters.certified_error(X_test, y_test, radii)
    assert (voters.empirical_error(X_test, y_test, radii) <= bound).all()
    assert bound[0] == (voters.predict(X_test) != y_test).mean()


def test_a_perturbation_keeps_the_bounds(digits):
    X, X_test, y, y_test = digits
    X_test, y_test = X_test[:20], y_test[:20]
    free = NearestNeighborVerifier().fit(X, y).exact(X_test, y_test)
    verifier = NearestNeighborVerifier(bounds=(0, 1)).fit(X, y)
    boxed = verifier.exact(X_test, y_test)
    moved = X_test + boxed.perturbation
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert (boxed.lower >= free.lower - 1e-9).all()
    assert (boxed.lower > free.upper * 1.001).any()
    assert (verifier.predict(moved) != y_test).all()


@pytest.mark.slow
def test_processes_change_nothing(digits):
    X, X_test, y, y_test = digits
    X_test, y_test = X_test[:130], y_test[:130]
    alone = NearestNeighborVerifier().fit(X, y)
    many = NearestNeighborVerifier(n_jobs=2).fit(X, y)
    one, two = alone.exact(X_test, y_test), many.exact(X_test, y_test, progress=True)
    for column in ("lower", "upper", "exact", "perturbation"):
        np.testing.assert_array_equal(getattr(one, column), getattr(two, column))
    np.testing.assert_array_equal(
        alone.attack(X_test, y_test, "substitute").adversarial, many.attack(X_test, y_test, "substitute").adversarial
    )


_ON_A_CLUSTER = """
import joblib, numpy as np
from distributed import Client, LocalCluster
from sklearn.datasets import load_digits
from trustworthy.neighbors import NearestNeighborVerifier

if __name__ == "__main__":
    X, y = load_digits(return_X_y=True)
    X = X / 16
    verifier = NearestNeighborVerifier(n_jobs=-1).fit(X[:1200], y[:1200])
    bound = NearestNeighborVerifier(n_neighbors=3, n_jobs=-1).fit(X[:1200], y[:1200])
    alone = verifier.exact(X[1200:1400], y[1200:1400]), bound.lower_bound(X[1200:1400], y[1200:1400])
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        with joblib.parallel_config(backend="dask"):
            spread = verifier.exact(X[1200:1400], y[1200:1400]), bound.lower_bound(X[1200:1400], y[1200:1400])
    for column in ("lower", "upper", "exact", "perturbation"):
        assert np.array_equal(getattr(alone[0], column), getattr(spread[0], column)), column
    assert np.array_equal(alone[1], spread[1])
    print("identical")
"""


@pytest.mark.slow
def test_a_dask_cluster_changes_nothing(tmp_path):
    pytest.importorskip("distributed", reason="pip install distributed")
    script = tmp_path / "cluster.py"
    script.write_text(_ON_A_CLUSTER)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=240, check=False)
    assert done.stdout.strip() == "identical", done.stderr


@pytest.mark.usefixtures("_as_users_call_it")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_neighbors": 2}, "odd, got 2"),
        ({"n_neighbors": 0}, "n_neighbors must be >= 1"),
        ({"n_neighbors": 5}, "smallest class, 3 of 'b', got 5"),
        ({"metric": np.diag([1.0, -1.0])}, "positive semi-definite"),
        ({"metric": np.eye(3)}, "shape"),
        ({"bounds": (0.0, 0.5)}, "bounds"),
        ({"bounds": (1.0, 0.0)}, "lowest < highest"),
        ({"bounds": 3}, "pair"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    X = np.linspace(0, 1, 16).reshape(8, 2)
    with pytest.raises(InvalidInput, match=message):
        NearestNeighborVerifier(**settings).fit(X, list("aaaaabbb"))


@pytest.mark.usefixtures("_as_users_call_it")
def test_an_unknown_norm_or_attack_is_answered_with_the_nearest():
    X, y = [[0.0], [1.0]], [0, 1]
    with pytest.raises(UnknownName, match="did you mean 'linf'"):
        NearestNeighborVerifier(norm="l_inf").fit(X, y)
    verifier = NearestNeighborVerifier().fit(X, y)
    with pytest.raises(UnknownName, match="qp-greedy"):
        verifier.attack(X, y, "qp-gredy")
    with pytest.raises(InvalidInput, match="attack must be a name in ATTACKS or a NeighborAttack"):
        verifier.attack(X, y, QPGreedy)


def test_one_class_cannot_be_certified():
    with pytest.raises(InvalidInput, match="two classes, got one class"):
        NearestNeighborVerifier().fit([[0.0], [1.0]], [1, 1])


def test_rows_that_do_not_fit_the_training_data_are_refused():
    verifier = NearestNeighborVerifier(bounds=(0, 1)).fit([[0.0, 0.0], [1.0, 1.0]], [0, 1])
    with pytest.raises(ValueError, match="3 features"):
        verifier.exact([[0.0, 0.0, 0.0]], [0])
    with pytest.raises(ValueError, match="NaN"):
        verifier.exact([[0.0, np.nan]], [0])
    with pytest.raises(InvalidInput, match="bounds"):
        verifier.exact([[0.0, 2.0]], [0])
    with pytest.raises(InvalidInput, match="one label per row"):
        verifier.exact([[0.0, 1.0]], [0, 1])
    with pytest.raises(InvalidInput, match="labels of the kind"):
        verifier.exact([[0.0, 1.0]], ["0"])
    with pytest.raises(InvalidInput, match="radii"):
        verifier.certified_error([[0.0, 1.0]], [0], [-1.0])
    with pytest.raises(InvalidInput, match="time_limit"):
        NearestNeighborVerifier(n_neighbors=3).fit(np.eye(6), [0, 0, 0, 1, 1, 1]).exact(
            np.eye(6), [0] * 6, time_limit=0
        )


def test_what_only_l2_can_do_says_so():
    X, y = np.eye(6), [0, 0, 0, 1, 1, 1]
    with pytest.raises(InvalidInput, match="lower_bound needs norm='l2'"):
        NearestNeighborVerifier(norm="l1").fit(X, y).lower_bound(X, y)
    with pytest.raises(InvalidInput, match="more than one neighbour needs norm='l2'"):
        NearestNeighborVerifier(norm="l1", n_neighbors=3).fit(X, y).exact(X, y)


def test_a_mahalanobis_metric_agrees_with_mapped_data_and_is_measured_in_the_input(digits):
    X, X_test, y, y_test = digits
    X_test, y_test = X_test[:20], y_test[:20]
    scale = 3.0
    plain = NearestNeighborVerifier().fit(X, y).exact(X_test, y_test)
    scaled = NearestNeighborVerifier(metric=scale * np.eye(64)).fit(X, y).exact(X_test, y_test)
    np.testing.assert_allclose(plain.upper, scaled.upper, rtol=1e-6)
    root = np.random.default_rng(0).normal(size=(20, 64))
    verifier = NearestNeighborVerifier(metric=root.T @ root).fit(X, y)
    certificate = verifier.exact(X_test, y_test)
    assert certificate.exact.all()
    np.testing.assert_allclose(np.linalg.norm(certificate.perturbation, axis=1), certificate.upper, rtol=1e-12)
    assert (verifier.lower_bound(X_test, y_test) <= certificate.upper + 1e-9).all()
    assert (verifier.predict(X_test + certificate.perturbation) != y_test).all()
