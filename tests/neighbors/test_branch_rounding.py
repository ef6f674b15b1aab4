"""Branch and bound where rounding is large: nearly equal rows, and queries far from all rows."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import nnls

from trustworthy.neighbors import branch
from trustworthy.neighbors.branch import exact_knn
from trustworthy.neighbors.geometry import Geometry

_LONG = 60.0  # seconds: never reached


def near_twins(seed, apart):
    """Four rows of one class, four of another almost on top of them, and two queries."""
    rng = np.random.default_rng(seed)
    rows = rng.random((4, 3))
    x = np.vstack([rows, rows + apart * rng.normal(size=rows.shape)])
    return Geometry(x, np.repeat([0, 1], 4)), rng.random((5, 3))


def shortest_into(x, inside, query, margin):
    """The shortest step after which rows `inside` pass each plane to the others by a margin, by SciPy; None for none.

    Planes are given by unit normals and midpoints, so that nothing cancels.
    """
    pairs = [(j, i) for j in inside for i in range(len(x)) if i not in inside]
    normals = np.array([x[j] - x[i] for j, i in pairs])
    offsets = np.einsum("ij,ij->i", normals, query - np.array([(x[j] + x[i]) / 2 for j, i in pairs]))
    length = np.linalg.norm(normals, axis=1)
    normals, offsets = normals / length[:, None], offsets / length - margin
    scale = np.abs(offsets).max()
    stacked = np.vstack([normals.T, -offsets / scale])
    goal = np.r_[np.zeros(x.shape[1]), 1.0]
    residual = stacked @ nnls(stacked, goal, maxiter=1000)[0] - goal
    if residual[-1] >= -1e-12:
        return None
    step = -residual[:-1] / residual[-1] * scale
    return step if (normals @ step + offsets).min() >= -1e-9 * scale else None


def minimum(geometry, query, code, n_neighbors, margin=0.0):
    """The shortest step over all sets of K rows that vote otherwise."""
    x, y = np.asarray(geometry.points), geometry.labels
    sets = combinations(range(len(x)), n_neighbors)
    steps = [shortest_into(x, s, query, margin) for s in sets if np.bincount(y[list(s)]).argmax() != code]
    return min((step for step in steps if step is not None), key=np.linalg.norm)


def points(geometry):
    return np.asarray(geometry.points).tolist()


def vote(geometry, query, n_neighbors):
    """The class that the nearest rows vote for, in fractions."""
    squared = [
        sum((Fraction(a) - Fraction(b)) ** 2 for a, b in zip(row, query, strict=True)) for row in points(geometry)
    ]
    order = sorted(range(len(squared)), key=lambda i: (squared[i], i))
    return np.bincount(geometry.labels[order[:n_neighbors]]).argmax()


def moved(query, step):
    """The perturbed query (d,) in fractions, not rounded."""
    return [Fraction(a) + Fraction(b) for a, b in zip(query.tolist(), step.tolist(), strict=True)]


@pytest.mark.parametrize("apart", [1e-6, 1e-7, 1e-8])
@pytest.mark.parametrize("seed", [2, 7, 21, 59])
def test_nearly_equal_rows_are_proved_and_not_above_the_minimum(seed, apart):
    geometry, queries = near_twins(seed, apart)
    codes = geometry.predict(queries, 3)
    found = exact_knn(geometry, queries, codes, n_neighbors=3, time_limit=_LONG)
    assert found.exact.all()
    for k, query in enumerate(queries):
        true = np.linalg.norm(minimum(geometry, query, codes[k], 3))
        assert found.lower[k] <= true * (1 + 1e-7)
        np.testing.assert_allclose(found.upper[k], true, rtol=2e-6)


@pytest.mark.parametrize(("seed", "row", "inside"), [(2, 4, (0, 4, 5)), (59, 0, (0, 1, 5))])
def test_no_change_that_is_clear_in_fractions_is_below_what_is_proved(seed, row, inside):
    geometry, queries = near_twins(seed, 1e-8)
    query = queries[row]
    code = geometry.predict(query[None], 3)
    step = shortest_into(geometry.points, inside, query, 1e-3)
    assert vote(geometry, query.tolist(), 3) == code[0] != vote(geometry, moved(query, step), 3)
    found = exact_knn(geometry, query[None], code, n_neighbors=3, time_limit=_LONG)
    assert found.lower[0] <= np.linalg.norm(step)


@pytest.mark.parametrize("metric", [False, True])
@pytest.mark.parametrize("apart", [1e-6, 1e-8])
@pytest.mark.parametrize("seed", [0, 59])
def test_in_a_box_or_under_a_metric_nearly_equal_rows_are_not_proved_too_much(seed, apart, metric):
    geometry, queries = near_twins(seed, apart)
    bounds = None if metric else (0.0, 1.0)
    root = np.random.default_rng(seed).normal(size=(3, 3)) if metric else None
    geometry = Geometry(geometry.points, geometry.labels, root)
    codes = geometry.predict(queries, 3)
    found = exact_knn(geometry, queries, codes, n_neighbors=3, time_limit=_LONG, bounds=bounds)
    assert (found.lower <= found.upper).all()
    rng = np.random.default_rng(1)
    for k, query in enumerate(queries):
        # Steps a little shorter than what is proved, in all directions: none changes the vote.
        steps = rng.normal(size=(2000, 3))
        steps *= 0.999 * found.lower[k] / np.linalg.norm(steps, axis=1, keepdims=True)
        kept = np.ones(len(steps), bool) if bounds is None else ((query + steps >= 0) & (query + steps <= 1)).all(1)
        assert (geometry.predict(query + steps[kept], 3) == codes[k]).all()


@pytest.mark.parametrize("far", [1e4, 1e5, 1e6, 1e7])
def test_far_queries_are_proved_and_not_above_the_minimum(far):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        geometry = Geometry(rng.normal(size=(8, 3)), np.arange(8) % 2)
        queries = far * rng.normal(size=(2, 3))
        codes = geometry.predict(queries, 3)
        found = exact_knn(geometry, queries, codes, n_neighbors=3, time_limit=_LONG)
        assert found.exact.all()
        assert (found.lower <= found.upper).all()
        for k, query in enumerate(queries):
            step = minimum(geometry, query, codes[k], 3, margin=1e-3)
            assert vote(geometry, moved(query, step), 3) != codes[k]
            assert found.lower[k] <= np.linalg.norm(step)
            true = np.linalg.norm(minimum(geometry, query, codes[k], 3))
            assert true * (1 - 1e-6) <= found.lower[k] <= true * (1 + 1e-12)


@pytest.mark.parametrize(("lower", "proved"), [(0.2, False), (0.1, True)])
def test_a_proof_above_what_was_found_is_not_trusted(monkeypatch, lower, proved):
    # The vote changes at 0.65: a search that claims a tenth more, or as much, is held against it.
    points = np.array([[0.0], [0.1], [0.2], [1.0], [1.2], [1.4]])
    geometry, query, code = Geometry(points, np.array([0, 0, 0, 1, 1, 1])), np.zeros((1, 1)), np.array([0])
    monkeypatch.setattr(branch, "lower_bounds", lambda *_, **__: np.array([lower]))
    monkeypatch.setattr(branch._Search, "run", lambda self, _: self.upper * (1.0 if proved else 1.1))
    found = exact_knn(geometry, query, code, n_neighbors=3, time_limit=_LONG)
    assert found.exact[0] == proved
    np.testing.assert_allclose(found.lower, found.upper if proved else [lower])
