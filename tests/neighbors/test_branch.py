"""Branch and bound over K neighbours, and the attack that it begins with, against every set of K rows."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from reference.exhaustive_knn import minimal
from reference.seeds import seeds
from trustworthy.core.errors import InvalidInput
from trustworthy.neighbors import CellDescent
from trustworthy.neighbors.bounds import lower_bounds
from trustworthy.neighbors.branch import exact_knn
from trustworthy.neighbors.exact import exact_one
from trustworthy.neighbors.geometry import Geometry

_LONG = 60.0  # seconds: never reached, compilation included


def problem(seed, n_neighbors, classes, *, grid=False, root=None):
    """A few random points; on a coarse grid, with ties and points repeated in two classes."""
    rng = np.random.default_rng(seed)
    majority = (n_neighbors + 1) // 2
    n, d = int(rng.integers(max(7, classes * majority), 11)), int(rng.integers(1, 5))
    x = rng.integers(0, 3, (n, d)) / 2 if grid else rng.random((n, d))
    spare = rng.integers(0, classes, n - classes * majority)
    labels = rng.permutation(np.r_[np.repeat(np.arange(classes), majority), spare])
    g = None if root is None else rng.normal(size=(min(root, d), d))
    queries = rng.integers(0, 5, (2, d)) / 4 if grid and seed % 2 else rng.random((2, d))
    return Geometry(x, labels, g), queries


def attacked(geometry, queries, codes, n_neighbors, bounds=None, **options):
    return CellDescent(**options)(geometry, queries, codes, n_neighbors=n_neighbors, bounds=bounds)


def check(geometry, queries, n_neighbors, *, bounds=None):
    """All that must hold of an exhausted search; how many of the attack's sizes are the minimum."""
    codes = geometry.predict(queries, n_neighbors)
    found = exact_knn(geometry, queries, codes, n_neighbors=n_neighbors, time_limit=_LONG, bounds=bounds)
    attack = attacked(geometry, queries, codes, n_neighbors, bounds)
    metric = None if geometry.root is None else geometry.root.T @ geometry.root
    rtol = 1e-6 if bounds is None else 1e-5  # what SLSQP reaches
    best = 0
    for k, query in enumerate(queries):
        options = {"metric": metric, "bounds": bounds}
        true = minimal(geometry.points, geometry.labels, query, codes[k], n_neighbors, **options)
        roomy = minimal(geometry.points, geometry.labels, query, codes[k], n_neighbors, **options, ties=False)
        assert found.lower[k] <= true * (1 + rtol) + 1e-9
        assert true * (1 - rtol) - 1e-9 <= found.upper[k] <= roomy * (1 + rtol) + 1e-9
        if true == roomy > 1e-6 and geometry.root is None and not on_the_grid(geometry):
            assert found.exact[k]
        size = np.linalg.norm(attack[k])
        assert np.isnan(size) or size >= true * (1 - rtol) - 1e-9
        best += size <= true * (1 + rtol) + 1e-9 or np.isinf(true)
    assert (found.lower <= found.upper).all()
    assert (lower_bounds(geometry, queries, codes, n_neighbors=n_neighbors) <= found.lower + 1e-9).all()
    for perturbation in (found.perturbation, attack):
        hit = ~np.isnan(perturbation[:, 0])
        moved = (queries + perturbation)[hit]
        assert (geometry.predict(moved, n_neighbors) != codes[hit]).all()
        if bounds is not None:
            assert ((moved >= bounds[0]) & (moved <= bounds[1])).all()
    np.testing.assert_array_equal(np.isinf(found.upper), np.isnan(found.perturbation[:, 0]))
    size = np.linalg.norm(found.perturbation, axis=1)
    np.testing.assert_allclose(size[np.isfinite(found.upper)], found.upper[np.isfinite(found.upper)])
    return best


def on_the_grid(geometry):
    return bool((geometry.points * 2 == np.round(geometry.points * 2)).all())


@pytest.mark.parametrize("n_neighbors", [3, 5])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("seed", seeds(2, 6))
def test_the_minimum_is_the_reference_s(n_neighbors, classes, grid, seed):
    check(*problem(seed, n_neighbors, classes, grid=grid), n_neighbors)


@pytest.mark.parametrize("n_neighbors", [3, 5])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("root", [2, 9])
@pytest.mark.parametrize("seed", seeds(1, 4, keep=(3,)))
def test_the_minimum_under_a_metric_is_the_reference_s(n_neighbors, classes, root, seed):
    check(*problem(seed, n_neighbors, classes, root=root, grid=seed == 3), n_neighbors)


@pytest.mark.parametrize("n_neighbors", [3, 5])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("seed", seeds(1, 6, keep=(5,)))
def test_the_minimum_in_a_box_is_the_reference_s(n_neighbors, classes, grid, seed):
    check(*problem(seed, n_neighbors, classes, grid=grid), n_neighbors, bounds=(0.0, 1.0))


def test_the_attack_finds_the_minimum_of_most_small_problems():
    best = [check(*problem(seed, 3, classes), 3) for seed in range(20, 23) for classes in (2, 3)]
    assert sum(best) >= 0.85 * 2 * len(best)


@pytest.mark.parametrize("seed", seeds(3, 10))
def test_time_decides_what_is_known_but_not_whether_it_holds(seed):
    rng = np.random.default_rng(seed)
    geometry = Geometry(rng.random((60, 3)), np.arange(60) % 3)
    queries = rng.random((2, 3))
    codes = geometry.predict(queries, 5)
    whole = exact_knn(geometry, queries, codes, n_neighbors=5, time_limit=_LONG)
    brief = exact_knn(geometry, queries, codes, n_neighbors=5, time_limit=1e-9)
    assert whole.exact.all()
    assert (brief.lower >= lower_bounds(geometry, queries, codes, n_neighbors=5) - 1e-12).all()
    assert (brief.lower <= whole.upper).all()
    assert (whole.lower <= brief.upper * (1 + 1e-9)).all()
    assert (geometry.predict(queries + brief.perturbation, 5) != codes).all()


def test_on_a_line_the_second_other_row_must_pass_the_second_own_row():
    points = np.array([[0.0], [0.1], [0.2], [1.0], [1.2], [1.4]])
    found = exact_knn(
        Geometry(points, np.array([0, 0, 0, 1, 1, 1])), np.zeros((1, 1)), np.array([0]), n_neighbors=3, time_limit=_LONG
    )
    np.testing.assert_allclose(found.perturbation, [[0.65]], rtol=1e-6)
    assert found.exact


@pytest.mark.parametrize(("own", "radius"), [(2, 0.05), (0, 4.5)])
def test_a_split_vote_changes_the_prediction_only_if_another_class_sorts_first(own, radius):
    # Beyond 0.05 the three nearest are of three classes; beyond 4.5 two of them are of the same other class.
    points = np.array([[0.0], [-1.0], [1.0], [9.0], [1.1], [10.0]])
    others = [c for c in range(3) if c != own]
    geometry = Geometry(points, np.array([own, own, others[0], others[0], others[1], others[1]]))
    query, code = np.zeros((1, 1)), np.array([own])
    found = exact_knn(geometry, query, code, n_neighbors=3, time_limit=_LONG)
    np.testing.assert_allclose(found.upper, [radius], rtol=1e-6)
    assert found.exact
    np.testing.assert_allclose(attacked(geometry, query, code, 3), [[radius]], rtol=1e-6)


@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
def test_one_neighbour_is_what_the_programmes_of_one_neighbour_say(bounds):
    rng = np.random.default_rng(0)
    geometry = Geometry(rng.random((80, 6)), rng.integers(0, 4, 80))
    queries = rng.random((6, 6))
    codes = geometry.predict(queries, 1)
    one = exact_one(geometry, queries, codes, bounds=bounds)
    found = exact_knn(geometry, queries, codes, n_neighbors=1, time_limit=_LONG, bounds=bounds)
    assert found.exact.all()
    np.testing.assert_allclose(found.upper, one.upper, rtol=1e-6)
    np.testing.assert_allclose(
        np.linalg.norm(attacked(geometry, queries, codes, 1, bounds), axis=1), one.upper, rtol=1e-6
    )


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x / 16, y, test_size=500, stratify=y, random_state=0)
    geometry = Geometry(np.ascontiguousarray(x), y.astype(np.int64))
    right = np.flatnonzero(geometry.predict(x_test, 3) == y_test)[:12]
    return geometry, np.ascontiguousarray(x_test[right]), y_test[right].astype(np.int64)


def test_digits_are_proved_and_the_attack_had_found_their_minimum(digits):
    geometry, queries, codes = digits
    found = exact_knn(geometry, queries, codes, n_neighbors=3, time_limit=_LONG)
    assert found.exact.all()
    np.testing.assert_allclose(np.linalg.norm(attacked(*digits, 3), axis=1), found.upper, rtol=1e-6)
    # The published search GeoAdEx gives 0.1787, 0.5043 and 0.7489 for these, and calls the first one optimal.
    np.testing.assert_allclose(found.upper[[0, 7, 8]], [0.17524, 0.50432, 0.74892], atol=1e-5)


@pytest.mark.parametrize("n_neighbors", [1, 5])
def test_the_attack_does_not_depend_on_the_company_of_a_query(digits, n_neighbors):
    geometry, queries, codes = digits
    together = attacked(geometry, queries[:3], codes[:3], n_neighbors)
    alone = [attacked(geometry, queries[k : k + 1], codes[k : k + 1], n_neighbors)[0] for k in range(3)]
    np.testing.assert_array_equal(together, alone)
    assert (geometry.predict(queries[:3] + together, n_neighbors) != codes[:3]).all()


def test_more_starts_and_exchanges_shorten_the_attack(digits):
    geometry, queries, codes = digits
    some = geometry, queries[:4], codes[:4]
    few = np.linalg.norm(attacked(*some, 11, starts=1, polished=1, near=0), axis=1)
    many = np.linalg.norm(attacked(*some, 11), axis=1)
    assert (many <= few * (1 + 1e-9)).all()
    assert (many < few * 0.99).sum() >= len(few) / 2


def test_wrong_and_unknown_rows_have_radius_zero():
    geometry = Geometry(np.array([[0.0], [0.1], [0.2], [1.0], [1.1], [1.2]]), np.array([0, 0, 0, 1, 1, 1]))
    queries, codes = np.array([[0.2], [0.2], [0.2]]), np.array([1, -1, 0])
    found = exact_knn(geometry, queries, codes, n_neighbors=3, time_limit=_LONG)
    np.testing.assert_allclose(found.upper, [0, 0, 0.4], rtol=1e-6)
    np.testing.assert_array_equal(found.exact, True)
    np.testing.assert_array_equal(found.perturbation[:2], 0)
    np.testing.assert_array_equal(attacked(geometry, queries, codes, 3)[:2], 0)


def test_what_no_perturbation_changes_has_an_infinite_radius():
    # The own rows repeat every other row and come first, so that they win every tie.
    points = np.array([[0.0], [0.0], [1.0], [1.0], [0.0], [1.0]])
    geometry = Geometry(points, np.array([0, 0, 0, 0, 1, 1]))
    query, code = np.array([[0.3]]), np.array([0])
    found = exact_knn(geometry, query, code, n_neighbors=3, time_limit=_LONG)
    assert found.lower == found.upper == np.inf
    assert np.isnan(found.perturbation).all()
    assert np.isnan(attacked(geometry, query, code, 3)).all()


@pytest.mark.parametrize(("option", "value"), [("starts", 0), ("polished", 0), ("near", -1)])
def test_options_of_the_attack_are_checked(option, value):
    with pytest.raises(InvalidInput, match=option):
        CellDescent(**{option: value})
