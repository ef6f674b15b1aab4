"""Queries within rounding of a tie: what is proved is never above the truth, which is computed in whole numbers."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

from reference.rational_neighbors import radius, winner
from trustworthy.neighbors import NearestNeighborVerifier
from trustworthy.neighbors.bounds import lower_bounds
from trustworthy.neighbors.branch import exact_knn
from trustworthy.neighbors.exact import exact_one
from trustworthy.neighbors.geometry import Geometry

CLEAR = 1e-7  # a radius, relative to the farthest row, beyond which rounding excuses nothing


def problem(seed, d, n, n_neighbors):
    """Rows of two or three classes and a query, most often next to a tie: at 1e-17 to 1e-6 of the scale, or none.

    Half have two rows that nearly coincide, some a metric (maybe of low rank), some a box with the query on it.
    """
    rng = np.random.default_rng(seed)
    least = (n_neighbors + 1) // 2
    scale = 10.0 ** rng.integers(-3, 4)
    offset = rng.choice([0.0, 0.0, 1.0, 1e4]) * rng.choice([1.0, scale])
    labels = np.r_[np.arange(2 * least) % 2, rng.integers(0, rng.integers(2, 4), n - 2 * least)]
    labels[labels == 2] = 2 if (labels == 2).sum() >= least else 1
    points = (rng.integers(0, 4, (n, d)) / 2 if rng.random() < 0.4 else rng.random((n, d))) * scale + offset

    def near():
        return 0.0 if rng.random() < 0.15 else scale * 10.0 ** rng.uniform(-17, -6)

    if rng.random() < 0.5:
        a, b = rng.permutation(n)[:2]
        points[b] = points[a] + near() * rng.normal(size=d)
    a = rng.integers(n)
    b = rng.choice(np.flatnonzero(labels != labels[a]))
    kind = rng.random()
    if kind < 0.15:
        query = points[a] + near() * rng.normal(size=d)
    elif kind < 0.25:
        query = rng.random(d) * scale + offset
    else:
        apart = (points[a] - points[b]) / scale if rng.random() < 0.5 else rng.normal(size=d)
        query = (points[a] + points[b]) / 2 + near() * apart
    if rng.random() < 0.2:
        points = points.astype(np.float32)
    root, bounds, kind = None, None, rng.random()
    if kind < 0.3:
        rank = rng.integers(1, d + 1)
        root = (
            rng.normal(size=(rank, d)) if rng.random() < 0.6 else rng.integers(-2, 3, (rank, d)) + np.eye(rank, d) / 4
        )
        root = root * (10.0 ** rng.integers(-3, 4, d) if rng.random() < 0.3 else 1.0)
    elif kind < 0.7:
        low, high = min(points.min(), query.min()), max(points.max(), query.max())
        if rng.random() < 0.5:
            query = np.where(rng.random(d) < 0.5, rng.choice([low, high], d), query)
        bounds = (float(low), float(high)) if low < high else (float(low) - 1, float(high) + 1)
    geometry = Geometry(np.ascontiguousarray(points), labels.astype(np.int64), root)
    return geometry.without_duplicates() if n_neighbors == 1 else geometry, query, bounds


def proved(geometry, query, code, norm, n_neighbors, bounds):
    if n_neighbors > 1:
        return exact_knn(geometry, query[None], code, n_neighbors=n_neighbors, time_limit=20.0, bounds=bounds)
    return exact_one(geometry, query[None], code, norm=norm, bounds=bounds)


def check(seed, d, n, norm, n_neighbors=1):
    geometry, query, bounds = problem(seed, d, n, n_neighbors)
    if len(np.unique(geometry.labels)) < 2:
        return
    code = geometry.predict(query[None], n_neighbors)
    found = proved(geometry, query, code, norm, n_neighbors, bounds)
    power = 2 if norm == "l2" else 1
    true = radius(geometry, query, code[0], norm=norm, n_neighbors=n_neighbors, bounds=bounds)
    lower, upper, step = found.lower[0], found.upper[0], found.perturbation[0]
    bounded = [lower]
    if norm == "l2":
        bounded.append(lower_bounds(geometry, query[None], code, n_neighbors=n_neighbors)[0])
    if true is not None:
        assert np.isfinite(bounded).all()
        assert all(Fraction(float(value)) ** power <= true for value in bounded)
        size, farthest = float(true) ** (1 / power), np.linalg.norm(geometry.points - query, axis=1).max()
        # The root rounds each row as a whole, so that rows that nearly coincide under a metric are known less well.
        parted = geometry.root is None or pdist(geometry.embedded).min() > 1e-3 * np.abs(geometry.embedded).max()
        if size > CLEAR * farthest and n_neighbors == 1 and parted:
            assert lower >= size * (1 - 1e-6)
    assert lower <= upper
    assert not (found.exact[0] and np.isinf(upper))
    if 0 < upper < np.inf:
        moved = [Fraction(float(a)) + Fraction(float(b)) for a, b in zip(query, step, strict=True)]
        changes = geometry.predict((query + step)[None], n_neighbors)[0] != code[0]
        assert changes or winner(geometry, moved, n_neighbors) != code[0]


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
def test_one_neighbour_nothing_is_proved_above_the_truth(norm):
    for seed in range(60):
        check(seed, 1 + seed % 2, 5, norm)


@pytest.mark.parametrize(("n_neighbors", "n", "count"), [(3, 6, 40), (5, 8, 8)])
def test_more_neighbours_nothing_is_proved_above_the_truth(n_neighbors, n, count):
    for seed in range(count):
        check(seed, 1, n, "l2", n_neighbors)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_one_neighbour_thousands_of_ties(norm, d):
    for seed in range(1000, 1600):
        check(seed, d, 6 if d < 3 else 5, norm)


@pytest.mark.slow
@pytest.mark.parametrize(("n_neighbors", "d", "n"), [(3, 1, 7), (3, 2, 7), (5, 1, 9)])
def test_more_neighbours_hundreds_of_ties(n_neighbors, d, n):
    for seed in range(1000, 1200):
        check(seed, d, n, "l2", n_neighbors)


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
def test_iris_whole_of_tenths_no_attack_is_below_what_is_proved(norm):
    # Lengths in tenths of a centimetre: ten of these flowers are as near to one species as to another.
    X, y = load_iris(return_X_y=True)
    x, queries, labels, _ = train_test_split(X[:, :2], y, random_state=1, test_size=0.5)
    verifier = NearestNeighborVerifier(norm=norm).fit(x, labels)
    predicted = verifier.predict(queries)
    found = verifier.exact(queries, predicted)
    attack = verifier.attack(queries, predicted, "qp-greedy")
    assert (found.lower <= attack.distance).all()
    assert (found.upper <= attack.distance * (1 + 1e-6) + 1e-9).all()
    assert found.exact.all()
    assert (found.upper < 1e-9).sum() == 10


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
def test_a_row_nearly_on_another_is_not_lost_among_far_ones(norm):
    # The plane that parts the last two rows has a normal 1e16 times shorter than the others.
    points = np.array([[0.0], [15.0], [5.0], [8.453079720105459e-16]])
    geometry, query = Geometry(points, np.array([0, 1, 1, 1])), np.array([[0.39260671044108464]])
    found = proved(geometry, query[0], np.array([1]), norm, 1, None)
    np.testing.assert_allclose(found.lower, query[0] - points[3] / 2, rtol=1e-9)


@pytest.mark.parametrize("n_neighbors", [3, 5])
def test_rows_that_are_all_one_leave_nothing_to_change(n_neighbors):
    verifier = NearestNeighborVerifier(n_neighbors=n_neighbors).fit(np.ones((10, 2)), [0, 1] * 5)
    queries = np.array([[1.0, 1.0], [2.0, 2.0]])
    found = verifier.exact(queries, verifier.predict(queries))
    np.testing.assert_array_equal(found.lower, np.inf)
    np.testing.assert_array_equal(found.upper, np.inf)
