"""Algorithm 7 against a literal run of it, and what it learns."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import minmax_scale

from reference.metric_learning import arml_steps, near
from trustworthy.core.errors import InvalidInput, TrainingDiverged
from trustworthy.metric_learning import ARML
from trustworthy.metric_learning.mahalanobis import unit_of
from trustworthy.metric_learning.margin import LOSSES
from trustworthy.metric_learning.near import near_lists
from trustworthy.neighbors.exact import exact_one
from trustworthy.neighbors.geometry import Geometry


def blobs(seed=0, n=40, d=6, classes=3):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % classes)
    return rng.normal(size=(n, d)) + y[:, None], y


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X / 16, y, train_size=500, test_size=100, stratify=y, random_state=0)


@pytest.mark.parametrize("seed", range(3))
def test_lists_hold_the_nearest_rows_of_either_side(seed):
    rng = np.random.default_rng(seed)
    X, y = blobs(seed)
    y[:2] = 3  # a class with a single other row
    root = rng.normal(size=(4, 6))
    anchors = np.sort(rng.choice(40, 25, replace=False))
    found = near_lists(X, y, anchors, root, 5)
    for k, anchor in enumerate(anchors):
        own = near(X, y, anchor, root.T @ root, 5, same=True)
        assert found.own[k, : found.own_count[k]].tolist() == own
        other = near(X, y, anchor, root.T @ root, 5, same=False)
        assert found.other[k, : found.other_count[k]].tolist() == other


def test_ties_go_to_the_lower_row():
    X = np.array([[0.0], [1.0], [-1.0], [1.0], [-1.0], [1.0]])
    found = near_lists(X, np.array([0, 0, 0, 0, 1, 1]), np.array([0]), np.eye(1), 2)
    np.testing.assert_array_equal(found.own, [[1, 2]])
    np.testing.assert_array_equal(found.other, [[4, 5]])


def test_draws_are_uniform_over_what_the_lists_hold():
    X, y = blobs(1, n=12, classes=2)
    found = near_lists(X, y, np.zeros(20_000, np.int64), np.eye(6), 8)
    own, other = found.sample(np.arange(20_000), np.random.RandomState(0))
    assert found.own_count[0] == 5  # eight were asked for, five there are
    np.testing.assert_allclose(np.bincount(own, minlength=12)[found.own[0, :5]] / 20_000, 1 / 5, atol=0.015)
    assert found.other_count[0] == 6
    np.testing.assert_allclose(np.bincount(other, minlength=12)[found.other[0, :6]] / 20_000, 1 / 6, atol=0.015)


@pytest.mark.parametrize("loss", LOSSES)
def test_it_takes_the_steps_of_algorithm_7(loss):
    # One neighbour leaves nothing to chance, so each literal step knows its triplets: the nearest rows under its M.
    X, y = blobs(2)
    X = (X - X.mean(0)) / unit_of(X)
    X = X.astype(np.float32).astype(np.float64)
    learner = ARML(loss=loss, n_neighbors=1, epochs=5, refresh=1, learning_rate=0.03).fit(X, y)
    triplets, root = [], np.eye(6)
    for _ in range(5):
        own, other = (
            np.array([near(X, y, i, root.T @ root, 1, same=same)[0] for i in range(40)]) for same in (True, False)
        )
        triplets.append((np.arange(40), own, other))
        root, values = arml_steps(X, triplets, np.eye(6), loss=loss, learning_rate=0.03)
    np.testing.assert_allclose(learner.components_, root, atol=2e-4)
    np.testing.assert_allclose(learner.loss_curve_, values, rtol=1e-4, atol=1e-5)
    assert learner.n_iter_ == 5


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_of_the_triplets_falls(digits, loss):
    X, _, y, _ = digits
    curve = ARML(loss=loss, epochs=100, random_state=0).fit(X[:250], y[:250]).loss_curve_
    assert curve[-20:].mean() < curve[:20].mean() - 0.01


def test_digits_withstand_larger_perturbations_and_are_no_worse_and_mini_batches_learn_as_well(digits):
    X, X_test, y, y_test = digits
    whole, batches = (ARML(batch_size=b, epochs=300, random_state=0).fit(X, y).components_ for b in (None, 100))
    euclidean, learned, quickly = (
        exact_one(Geometry(X, y, root), X_test, y_test).upper for root in (None, whole, batches)
    )
    assert learned.mean() > 1.02 * euclidean.mean()
    assert (learned == 0).sum() <= (euclidean == 0).sum()
    assert quickly.mean() > 0.99 * learned.mean()


def test_it_forgets_what_tells_nothing():
    X, y = blobs(0, n=200, d=1, classes=2)
    X = np.c_[3 * X, 3 * np.random.default_rng(1).normal(size=(200, 9))]
    metric = ARML(epochs=300, learning_rate=0.01, random_state=0).fit(X, y).get_mahalanobis_matrix()
    assert metric[0, 0] / np.trace(metric) > 0.3  # a tenth at the start


def test_a_low_rank_starts_from_the_principal_directions_and_stays_low():
    X, y = blobs(3)
    start = ARML(n_components=2, epochs=0).fit(X, y)
    assert start.components_.shape == (2, 6)
    centred = X - X.mean(0)
    expected = np.linalg.svd(centred)[2][:2]
    np.testing.assert_allclose(start.get_mahalanobis_matrix(), expected.T @ expected, atol=1e-6)
    learner = ARML(n_components=2, epochs=50, random_state=0).fit(X, y)
    assert np.linalg.matrix_rank(learner.get_mahalanobis_matrix()) == 2
    assert learner.transform(X).shape == (40, 2)


def test_it_starts_from_a_given_map():
    X, y = blobs(3)
    given = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    np.testing.assert_array_equal(ARML(init=given, epochs=0).fit(X, y).components_, given)


@pytest.mark.parametrize("batch_size", [None, 16])
def test_a_seed_fixes_the_metric_and_leaves_the_global_stream_alone(batch_size):
    X, y = blobs(4)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    fits = [ARML(epochs=30, batch_size=batch_size, random_state=seed).fit(X, y).components_ for seed in (0, 0, 1)]
    np.testing.assert_array_equal(fits[0], fits[1])
    assert not np.array_equal(fits[0], fits[2])
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_moving_the_data_changes_nothing():
    X, y = blobs(5)
    X = np.round(X * 64) / 64
    near_by, far = (ARML(epochs=30, random_state=0).fit(X + shift, y).components_ for shift in (0.0, 1024.0))
    np.testing.assert_allclose(far, near_by, atol=1e-5)


def test_rows_that_repeat_do_no_harm():
    X, y = (part[::4] for part in load_wine(return_X_y=True))
    X = np.repeat(minmax_scale(X), 12, axis=0)
    assert np.isfinite(ARML(epochs=20, random_state=0).fit(X, np.repeat(y, 12)).components_).all()


def test_seven_points_are_enough():
    X = np.array([[-1.2, 0.9], [-0.4, 0.6], [0.5, 0.8], [1.3, 0.5], [-0.9, -0.5], [0.1, -0.4], [1.0, -0.7]])
    y = np.array([1, 1, 1, 1, 0, 0, 0])
    root = ARML(random_state=42).fit(X, y).components_
    euclidean, learned = (exact_one(Geometry(X, y, r), X, y).upper.mean() for r in (None, root))
    assert learned >= euclidean


def test_a_class_of_one_row_is_named():
    X, y = blobs(0)
    labels = np.array(["ant", "bee", "gnat"])[y]
    labels[0] = "dodo"
    with pytest.raises(InvalidInput, match="got 1 of 'dodo'"):
        ARML().fit(X, labels)


def test_a_metric_that_overflows_is_not_returned():
    X, y = blobs(0)
    with np.errstate(all="ignore"), pytest.raises(TrainingDiverged, match="Lower learning_rate"):
        ARML(learning_rate=1e30, epochs=5, random_state=0).fit(X, y)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("loss", "negativee", "did you mean 'negative'"),
        ("n_neighbors", 0, "n_neighbors must be >= 1"),
        ("epochs", -1, "epochs must be >= 0"),
        ("learning_rate", 0.0, "learning_rate must be > 0"),
        ("batch_size", 0, "batch_size must be >= 1"),
        ("refresh", 0, "refresh must be >= 1"),
        ("n_components", 7, "n_components must be <= 6"),
        ("init", "identityy", "did you mean 'identity'"),
        ("init", np.eye(5), r"init must .* shape \(rank, 6\).*got \(5, 5\)"),
        ("init", np.ones(6), r"got \(6,\)"),
        ("init", np.zeros((6, 6)), "not zero"),
        ("init", [["a"]], "matrix of numbers"),
    ],
)
def test_a_bad_argument_is_named(argument, value, message):
    with pytest.raises(InvalidInput, match=message):
        ARML(**{argument: value}).fit(*blobs())
