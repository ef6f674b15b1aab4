"""Lower bounds of K nearest neighbours against the formula written out, and against the exact radius."""

import numpy as np
import pytest

from reference.exhaustive_neighbors import bisectors
from reference.seeds import seeds
from trustworthy.neighbors.bounds import lower_bounds
from trustworthy.neighbors.exact import exact_one
from trustworthy.neighbors.geometry import Geometry


def problem(seed, *, rank=None):
    rng = np.random.default_rng(seed)
    n, d, classes = rng.integers(40, 250), rng.integers(1, 12), rng.integers(2, 5)
    x = rng.integers(0, 4, (n, d)) / 2 if seed % 3 == 0 else rng.random((n, d))
    labels = np.r_[np.repeat(np.arange(classes), 8), rng.integers(0, classes, n - 8 * classes)]
    x = x + 0.4 * labels[:, None] * (rng.random() < 0.5)
    root = None if rank is None else rng.normal(size=(min(rank, d), d))
    return Geometry(x, labels, root), x[rng.integers(0, n, 5)] + 0.02 * rng.random((5, d))


def literal(geometry, query, code, s, n_same=None):
    """Eq. (3.46): all pairs."""
    metric = None if geometry.root is None else geometry.root.T @ geometry.root
    values = bisectors(geometry.points.astype(float), query, metric)
    own, others = np.flatnonzero(geometry.labels == code), np.flatnonzero(geometry.labels != code)
    if n_same is not None:
        gaps = (geometry.points[own].astype(float) - query) @ (
            np.eye(len(query)) if metric is None else geometry.root.T
        )
        own = own[np.argsort((gaps**2).sum(1), kind="stable")[:n_same]]
    each = np.sort(values[np.ix_(own, others)], axis=0)[-s]
    return np.sort(each)[s - 1]


def check(geometry, queries, n_neighbors, n_same=None):
    codes = geometry.predict(queries, n_neighbors)
    found = lower_bounds(geometry, queries, codes, n_neighbors=n_neighbors, n_same=n_same)
    s = (n_neighbors + 1) // 2
    true = [literal(geometry, query, code, s, n_same) for query, code in zip(queries, codes, strict=True)]
    np.testing.assert_allclose(found, true, rtol=1e-9, atol=1e-9)
    return found


@pytest.mark.parametrize("seed", seeds(6, 60))
@pytest.mark.parametrize("n_neighbors", [1, 3, 7])
def test_it_is_the_formula(seed, n_neighbors):
    check(*problem(seed), n_neighbors)


@pytest.mark.parametrize("seed", seeds(3, 30))
@pytest.mark.parametrize("rank", [2, 20])
def test_it_is_theorem_3_under_a_metric(seed, rank):
    check(*problem(seed, rank=rank), 5)


@pytest.mark.parametrize("seed", seeds(3, 15))
def test_fewer_own_rows_are_the_formula_on_those_and_never_better(seed):
    geometry, queries = problem(seed + 1 if seed % 3 == 0 else seed)
    few, whole = check(geometry, queries, 3, n_same=3), check(geometry, queries, 3)
    assert (few <= whole + 1e-12).all()


@pytest.mark.parametrize("seed", seeds(4, 40))
@pytest.mark.parametrize("rank", [None, 20])
def test_it_never_exceeds_the_exact_radius(seed, rank):
    geometry, queries = problem(seed, rank=rank)
    geometry = geometry.without_duplicates()
    codes = geometry.predict(queries, 1)
    lower = lower_bounds(geometry, queries, codes, n_neighbors=1)
    exact = exact_one(geometry, queries, codes)
    assert (lower <= exact.upper).all()


def test_points_far_from_the_origin_lose_no_digits():
    rng = np.random.default_rng(0)
    x, labels = rng.integers(0, 1000, (80, 5)) / 1024, np.arange(80) % 3
    queries = rng.integers(0, 1000, (6, 5)) / 1024
    codes = Geometry(x, labels).predict(queries, 3)
    here = lower_bounds(Geometry(x, labels), queries, codes, n_neighbors=3)
    there = lower_bounds(Geometry(x + 4096, labels), queries + 4096, codes, n_neighbors=3)
    np.testing.assert_allclose(there, here, rtol=1e-9)


def test_wrong_and_unknown_rows_have_bound_zero():
    geometry = Geometry(np.array([[0.0], [1.0]]), np.array([0, 1]))
    found = lower_bounds(geometry, np.array([[0.2], [0.2], [0.2]]), np.array([1, -1, 0]), n_neighbors=1)
    np.testing.assert_allclose(found, [0, 0, 0.3])
