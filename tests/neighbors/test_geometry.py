"""Distances, ties and half-spaces."""

import pickle

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from trustworthy.neighbors.geometry import Geometry


def random_geometry(seed, n=60, d=7, root=None, shift=0.0):
    rng = np.random.default_rng(seed)
    return Geometry(rng.normal(size=(n, d)) + shift, rng.integers(0, 3, n), root), rng


@pytest.mark.parametrize("rank", [None, 3, 7])
@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_the_error_of_coarse_distances_is_bounded(rank, shift):
    root = None if rank is None else np.random.default_rng(1).normal(size=(rank, 7))
    geometry, rng = random_geometry(0, root=root, shift=shift)
    queries = rng.normal(size=(20, 7)) + shift
    gaps = queries[:, None] - geometry.points
    true = ((gaps if root is None else gaps @ root.T) ** 2).sum(-1)
    coarse, error = geometry.coarse_distances(queries)
    assert (np.abs(coarse - true) <= error[:, None]).all()
    np.testing.assert_allclose(
        geometry.fine_distances(queries[0], np.arange(60)), true[0], atol=1e-6 if shift else 1e-11
    )


@pytest.mark.parametrize("n_neighbors", [1, 3, 11])
def test_it_votes_as_scikit_learn(n_neighbors):
    geometry, rng = random_geometry(3)
    queries = rng.normal(size=(200, 7))
    theirs = KNeighborsClassifier(n_neighbors, algorithm="brute").fit(geometry.points, geometry.labels).predict(queries)
    np.testing.assert_array_equal(geometry.predict(queries, n_neighbors), theirs)


def test_ties_go_to_the_lower_row_and_to_the_smaller_class():
    geometry = Geometry(np.array([[1.0], [-1.0], [3.0]]), np.array([2, 1, 0]))
    assert geometry.predict(np.zeros((1, 1)), 1) == [2]
    assert geometry.predict(np.zeros((1, 1)), 3) == [0]


def test_ties_far_from_the_origin_are_not_decided_by_rounding():
    points = np.array([[1e4 + 1.0, 0.0], [1e4 - 1.0, 0.0], [1e4, 1.0 + 1e-9]])
    assert Geometry(points, np.array([1, 2, 0])).predict(np.array([[1e4, 0.0]]), 1) == [1]


@pytest.mark.parametrize("rank", [None, 2])
def test_halfspaces_say_which_row_is_nearer(rank):
    root = None if rank is None else np.random.default_rng(1).normal(size=(rank, 7))
    geometry, rng = random_geometry(5, root=root)
    query, others = rng.normal(size=7), np.arange(1, 60)
    normals, offsets, _, _ = geometry.halfspaces(query, 0, others)
    for _ in range(50):
        delta = rng.normal(size=7)
        distances = geometry.fine_distances(query + delta, np.arange(60))
        np.testing.assert_allclose(normals @ delta + offsets, (distances[1:] - distances[0]) / 2, atol=1e-10)


def test_a_row_that_repeats_under_the_metric_is_dropped():
    points = np.array([[0.0, 0.0], [0.0, 5.0], [1.0, 0.0], [0.0, 0.0]])
    kept = Geometry(points, np.array([0, 1, 1, 1])).without_duplicates()
    np.testing.assert_array_equal(kept.points, points[:3])
    flat = Geometry(points, np.array([0, 1, 1, 1]), np.array([[1.0, 0.0]])).without_duplicates()
    np.testing.assert_array_equal(flat.points, points[[0, 2]])
    np.testing.assert_array_equal(flat.labels, [0, 1])


def test_zero_has_no_sign():
    kept = Geometry(np.array([[0.0, 1.0], [-0.0, 1.0], [0.0, -1.0]]), np.array([0, 1, 1])).without_duplicates()
    np.testing.assert_array_equal(kept.labels, [0, 1])


def test_what_queries_share_is_computed_once_and_travels_with_the_points():
    geometry, _ = random_geometry(0)
    sent = pickle.loads(pickle.dumps(geometry.prepared()))
    assert {"coarse", "coarse_norms", "centre", "embedded", "images", "stretch"} <= set(vars(sent))
