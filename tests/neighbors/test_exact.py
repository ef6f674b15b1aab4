"""Exact radii against every subproblem with every constraint."""

import numpy as np
import pytest

from reference.exhaustive_neighbors import minimal
from reference.seeds import seeds
from trustworthy.neighbors.exact import exact_one
from trustworthy.neighbors.geometry import Geometry


def problem(seed, *, root=None):
    """A random problem; every third one on a coarse grid, full of ties and repeated points."""
    rng = np.random.default_rng(seed)
    n, d = rng.integers(4, 40), rng.integers(1, 9)
    x = rng.integers(0, 3, (n, d)) / 2 if seed % 3 == 0 else rng.random((n, d))
    labels = rng.integers(0, 1 + rng.integers(1, 4), n)
    labels[:2] = [0, 1]
    x[:2] = [np.zeros(d), np.ones(d)]
    g = None if root is None else rng.normal(size=(min(root, d), d))
    queries = rng.random((3, d))
    return Geometry(x, labels, g).without_duplicates(), queries


def check(geometry, queries, *, bounds=None, rtol=1e-6):
    codes = geometry.predict(queries, 1)
    assert len(np.unique(geometry.labels)) > 1  # or nothing could change
    found = exact_one(geometry, queries, codes, bounds=bounds)
    metric = None if geometry.root is None else geometry.root.T @ geometry.root
    points = geometry.points.astype(np.float64)
    for k, query in enumerate(queries):
        true = minimal(points, geometry.labels, query, codes[k], metric=metric, bounds=bounds)
        np.testing.assert_allclose(found.upper[k], true, rtol=rtol, atol=1e-9)
        assert found.lower[k] <= true * (1 + rtol) + 1e-9
    assert found.exact.all()
    moved = queries + found.perturbation
    assert (geometry.predict(moved, 1) != codes).all()
    np.testing.assert_allclose(np.linalg.norm(found.perturbation, axis=1), found.upper)
    if bounds is not None:
        assert moved.min() >= bounds[0]
        assert moved.max() <= bounds[1]


@pytest.mark.parametrize("seed", seeds(12, 120))
def test_euclidean_radii_are_the_reference_s(seed):
    check(*problem(seed))


@pytest.mark.parametrize("seed", seeds(5, 60))
@pytest.mark.parametrize("rank", [2, 9])
def test_radii_under_a_metric_are_the_reference_s(seed, rank):
    geometry, queries = problem(seed, root=rank)
    check(geometry, queries, rtol=1e-5)


@pytest.mark.parametrize("seed", seeds(6, 60))
def test_radii_in_a_box_are_the_reference_s(seed):
    check(*problem(seed), bounds=(0.0, 1.0), rtol=1e-5)


@pytest.mark.parametrize("seed", seeds(2, 40))
@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
def test_black_and_white_images_are_full_of_dependent_constraints(seed, bounds):
    rng = np.random.default_rng(seed)
    n, d = rng.integers(60, 160), rng.integers(8, 24)
    # Copies of a few patterns with a few pixels turned: distances are small whole numbers.
    points = (rng.random((4, d)) < 0.5)[rng.integers(0, 4, n)] ^ (rng.random((n, d)) < 0.2)
    labels = (points[:, :3].sum(1) + (rng.random(n) < 0.1)) % 3
    check(
        Geometry(points.astype(float), labels.astype(np.int64)).without_duplicates(),
        points[:3] * 0.9 + 0.03,
        bounds=bounds,
    )


def test_more_constraints_than_the_pool_holds():
    # Own rows on a circle about the query: the nearest 64 do not decide.
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    ring = np.c_[np.cos(angles), np.sin(angles)] * (1 + 0.001 * np.cos(7 * angles))[:, None]
    points = np.vstack([ring, [[0.3, 2.0], [-2.0, 0.4]]])
    geometry = Geometry(points, np.r_[np.zeros(400, int), 1, 2])
    check(geometry, np.array([[0.0, 0.0], [0.05, 0.1], [1.2, 1.2]]))


def test_many_dimensions_and_many_active_constraints():
    rng = np.random.default_rng(0)
    own = rng.normal(size=(300, 200))
    other = 0.02 * rng.normal(size=(4, 200)) + 0.3
    geometry = Geometry(np.vstack([own, other]), np.r_[np.zeros(300, int), np.ones(4, int)])
    queries = own[:3] * 0.98
    check(geometry, queries)


@pytest.mark.parametrize(("bounds", "delta"), [(None, (-0.25, 0.25)), ((0.0, 1.0), (0.0, 0.5))])
def test_a_box_bends_the_way_to_the_boundary(bounds, delta):
    # The plane y - x = 1/2 lies between the points; from the origin, the box forbids going left.
    points, query = np.array([[0.25, 0.25], [-0.25, 0.75]]), np.array([[0.0, 0.0]])
    found = exact_one(Geometry(points, np.array([0, 1])), query, np.array([0]), bounds=bounds)
    np.testing.assert_allclose(found.perturbation, [delta], atol=1e-6)


def test_points_far_from_the_origin_lose_no_digits():
    rng = np.random.default_rng(1)
    points, labels = rng.integers(0, 1000, (50, 4)) / 1024, rng.integers(0, 2, 50)
    queries = rng.integers(0, 1000, (5, 4)) / 1024
    near, far = Geometry(points, labels).without_duplicates(), Geometry(points + 8192, labels).without_duplicates()
    codes = near.predict(queries, 1)
    here, there = exact_one(near, queries, codes), exact_one(far, queries + 8192, codes)
    np.testing.assert_allclose(there.upper, here.upper, rtol=1e-6)


def test_wrong_and_unknown_rows_have_radius_zero():
    geometry = Geometry(np.array([[0.0], [1.0]]), np.array([0, 1]))
    found = exact_one(geometry, np.array([[0.2], [0.2], [0.2]]), np.array([1, -1, 0]))
    np.testing.assert_allclose(found.upper, [0, 0, 0.3], rtol=1e-6)
    np.testing.assert_array_equal(found.exact, True)
    np.testing.assert_array_equal(found.perturbation[:2], 0)


def test_a_query_on_the_boundary_needs_next_to_nothing():
    geometry = Geometry(np.array([[0.0], [1.0]]), np.array([0, 1]))
    found = exact_one(geometry, np.array([[0.5]]), np.array([0]))
    assert found.lower == [0]
    assert not np.signbit(found.lower[0])
    assert found.exact[0]
    assert 0 < found.upper < 1e-9
    assert geometry.predict(np.array([[0.5]]) + found.perturbation, 1) == [1]
