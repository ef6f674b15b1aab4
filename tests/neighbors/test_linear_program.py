"""Exact radii in linf and l1 against every linear programme with every constraint."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from reference.exhaustive_neighbors import minimal
from reference.seeds import seeds
from trustworthy.neighbors import dual_simplex, linear_program_kernels
from trustworthy.neighbors.dual_simplex import ShortestVector
from trustworthy.neighbors.exact import exact_one
from trustworthy.neighbors.geometry import Geometry

NORMS = ["linf", "l1"]
ORDERS = {"linf": np.inf, "l1": 1}


def problem(seed, *, root=None):
    """A random problem; every third one on a coarse grid, full of ties and repeated points."""
    rng = np.random.default_rng(seed)
    n, d = rng.integers(4, 25), rng.integers(1, 7)
    x = rng.integers(0, 3, (n, d)) / 2 if seed % 3 == 0 else rng.random((n, d))
    labels = rng.integers(0, 1 + rng.integers(1, 4), n)
    labels[:2] = [0, 1]
    x[:2] = [np.zeros(d), np.ones(d)]
    g = None if root is None else rng.normal(size=(min(root, d), d))
    queries = rng.random((2, d))
    if seed % 5 == 0:
        queries[0] = rng.integers(0, 2, d)  # on the bounds in every coordinate
    return Geometry(x, labels, g).without_duplicates(), queries


def check(geometry, queries, norm, *, bounds=None, rtol=1e-6):
    codes = geometry.predict(queries, 1)
    if len(np.unique(geometry.labels)) < 2:
        return
    found = exact_one(geometry, queries, codes, norm=norm, bounds=bounds)
    metric = None if geometry.root is None else geometry.root.T @ geometry.root
    points = geometry.points
    for k, query in enumerate(queries):
        true = minimal(points, geometry.labels, query, codes[k], metric=metric, bounds=bounds, norm=norm)
        np.testing.assert_allclose(found.upper[k], true, rtol=rtol, atol=1e-9)
        assert found.lower[k] <= true * (1 + 1e-7) + 1e-12
    assert found.exact[found.upper > 1e-6].all()
    moved = queries + found.perturbation
    assert (geometry.predict(moved, 1) != codes).all()
    np.testing.assert_allclose(np.linalg.norm(found.perturbation, ord=ORDERS[norm], axis=1), found.upper)
    if bounds is not None:
        assert moved.min() >= bounds[0]
        assert moved.max() <= bounds[1]


@pytest.mark.parametrize(("norm", "dual"), [("linf", 5.0), ("l1", 3.0)])
def test_two_points_are_parted_by_a_plane(norm, dual):
    # From the origin, the plane 2 a + 3 b = 6.5: the distance is 6.5 over the dual norm of (2, 3).
    geometry = Geometry(np.array([[0.0, 0.0], [2.0, 3.0]]), np.array([0, 1]))
    found = exact_one(geometry, np.zeros((1, 2)), np.array([0]), norm=norm)
    np.testing.assert_allclose(found.lower, 6.5 / dual, rtol=1e-9)
    np.testing.assert_allclose(found.upper, 6.5 / dual, rtol=1e-6)
    assert found.exact.all()


@pytest.mark.parametrize(("norm", "size"), [("linf", 0.5), ("l1", 0.5)])
def test_a_box_takes_the_room_from_a_coordinate(norm, size):
    # The plane b - a = 1/2; from the origin, the box forbids going left, so b pays for both.
    geometry = Geometry(np.array([[0.25, 0.25], [-0.25, 0.75]]), np.array([0, 1]))
    found = exact_one(geometry, np.zeros((1, 2)), np.array([0]), norm=norm, bounds=(0.0, 1.0))
    np.testing.assert_allclose(found.upper, size, rtol=1e-6)
    np.testing.assert_allclose(found.perturbation, [[0.0, 0.5]], atol=1e-6)
    free = exact_one(geometry, np.zeros((1, 2)), np.array([0]), norm=norm)
    np.testing.assert_allclose(free.upper, {"linf": 0.25, "l1": 0.5}[norm], rtol=1e-6)


@pytest.mark.parametrize("seed", seeds(6, 40))
@pytest.mark.parametrize("norm", NORMS)
def test_radii_are_the_reference_s(seed, norm):
    check(*problem(seed), norm)


@pytest.mark.parametrize("seed", seeds(2, 10))
@pytest.mark.parametrize("rank", [2, 9])
@pytest.mark.parametrize("norm", NORMS)
def test_radii_under_a_metric_are_the_reference_s(seed, rank, norm):
    check(*problem(seed, root=rank), norm)


@pytest.mark.parametrize("seed", seeds(4, 24))
@pytest.mark.parametrize("norm", NORMS)
def test_radii_in_a_box_are_the_reference_s(seed, norm):
    check(*problem(seed, root=3 if seed % 2 else None), norm, bounds=(0.0, 1.0))


@pytest.mark.parametrize("norm", NORMS)
def test_more_constraints_than_the_pool_holds(norm):
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    ring = np.c_[np.cos(angles), np.sin(angles)] * (1 + 0.001 * np.cos(7 * angles))[:, None]
    points = np.vstack([ring, [[0.3, 2.0], [-2.0, 0.4]]])
    check(Geometry(points, np.r_[np.zeros(200, int), 1, 2]), np.array([[0.0, 0.0], [0.05, 0.1]]), norm)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("bounds", [None, (-4.0, 4.0)])
def test_many_dimensions_and_many_active_constraints(norm, bounds):
    rng = np.random.default_rng(0)
    own = np.clip(rng.normal(size=(150, 60)), -4, 4)
    other = 0.02 * rng.normal(size=(3, 60)) + 0.3
    check(Geometry(np.vstack([own, other]), np.r_[np.zeros(150, int), 1, 1, 1]), own[:2] * 0.98, norm, bounds=bounds)


@pytest.mark.parametrize("norm", NORMS)
def test_the_norms_are_ordered_and_a_bound_s_radius_does_not_fall(norm):
    rng = np.random.default_rng(3)
    geometry = Geometry(rng.random((80, 12)), rng.integers(0, 3, 80))
    queries = rng.random((10, 12))
    codes = geometry.predict(queries, 1)
    free = exact_one(geometry, queries, codes, norm=norm).upper
    boxed = exact_one(geometry, queries, codes, norm=norm, bounds=(0.0, 1.0)).upper
    l2 = exact_one(geometry, queries, codes).upper
    assert (boxed >= free * (1 - 1e-7)).all()
    assert (free <= l2 * (1 + 1e-7) if norm == "linf" else free >= l2 * (1 - 1e-7)).all()


def test_wrong_and_unknown_rows_have_radius_zero():
    geometry = Geometry(np.array([[0.0], [1.0]]), np.array([0, 1]))
    found = exact_one(geometry, np.array([[0.2], [0.2], [0.2]]), np.array([1, -1, 0]), norm="l1")
    np.testing.assert_allclose(found.upper, [0, 0, 0.3], rtol=1e-6)
    np.testing.assert_array_equal(found.exact, True)
    np.testing.assert_array_equal(found.perturbation[:2], 0)


@pytest.mark.parametrize("norm", NORMS)
def test_a_query_on_the_boundary_needs_next_to_nothing(norm):
    geometry = Geometry(np.array([[0.0], [1.0]]), np.array([0, 1]))
    found = exact_one(geometry, np.array([[0.5]]), np.array([0]), norm=norm)
    assert found.lower == [0]
    assert 0 < found.upper < 1e-9
    assert geometry.predict(np.array([[0.5]]) + found.perturbation, 1) == [1]


def give_up(*arguments):
    return linear_program_kernels.STOPPED


@pytest.mark.parametrize("norm", NORMS)
def test_highs_takes_over_where_the_simplex_gives_up(norm, monkeypatch):
    monkeypatch.setattr(linear_program_kernels, "dual_simplex", give_up)
    for seed in (1, 2):
        check(*problem(seed), norm, bounds=(0.0, 1.0) if seed % 2 else None)


@pytest.mark.parametrize("norm", NORMS)
def test_highs_is_not_needed_as_a_rule(norm, monkeypatch):
    monkeypatch.setattr(dual_simplex, "linprog", None)
    rng = np.random.default_rng(0)
    for levels in (3, 1000):
        points = rng.integers(0, levels, (60, 8)) / (levels - 1)
        geometry = Geometry(points, np.arange(60) % 3).without_duplicates()
        queries = np.clip(points[::3] + 0.01 * rng.normal(size=(20, 8)), 0, 1)
        codes = geometry.predict(queries, 1)
        for bounds in (None, (0.0, 1.0)):
            assert exact_one(geometry, queries, codes, norm=norm, bounds=bounds).exact.all()


def test_a_row_without_a_solver_keeps_a_bound_and_the_others_are_kept(monkeypatch):
    rng = np.random.default_rng(0)
    geometry = Geometry(rng.random((30, 4)), rng.integers(0, 2, 30))
    queries = rng.random((4, 4))
    codes = geometry.predict(queries, 1)
    codes[1] = -1
    true = exact_one(geometry, queries, codes, norm="linf")
    monkeypatch.setattr(linear_program_kernels, "dual_simplex", give_up)

    def fail_at_first(*arguments, **options):
        fail_at_first.calls += 1
        if fail_at_first.calls > 1:
            monkeypatch.setattr(dual_simplex, "linprog", linprog)
            return linprog(*arguments, **options)
        return type("Nothing", (), {"status": 4, "message": "numerical difficulties"})()

    fail_at_first.calls = 0
    monkeypatch.setattr(dual_simplex, "linprog", fail_at_first)
    found = exact_one(geometry, queries, codes, norm="linf")
    assert not found.exact[0]
    assert 0 < found.lower[0] <= true.lower[0] * (1 + 1e-7)
    assert found.upper[0] >= true.lower[0]
    np.testing.assert_allclose(found.upper[1:], true.upper[1:], rtol=1e-6)
    assert found.exact[1:].all()


def test_rows_that_nothing_can_change_have_no_perturbation():
    geometry = Geometry(np.array([[0.0], [10.0]]), np.array([0, 1]))
    found = exact_one(geometry, np.array([[0.2]]), np.array([0]), norm="linf", bounds=(0.0, 1.0))
    assert found.upper == [np.inf]
    assert found.lower[0] >= 0.8
    assert not found.exact[0]
    assert np.isnan(found.perturbation).all()


@given(st.integers(0, 2**31), st.sampled_from(NORMS), st.booleans())
def test_one_half_space_in_a_box_is_a_programme_of_its_own(seed, norm, boxed):
    rng = np.random.default_rng(seed)
    d = rng.integers(1, 6)
    normal = rng.integers(-3, 4, d) / 2.0
    need = rng.random() * 3
    low, high = (
        (-rng.integers(0, 4, d) / 3.0, rng.integers(0, 4, d) / 3.0) if boxed else (np.full(d, -9e9), np.full(d, 9e9))
    )
    width = 1 if norm == "linf" else d
    spread = np.ones((d, 1)) if norm == "linf" else np.eye(d)
    above = np.vstack([np.r_[-normal, np.zeros(width)], np.c_[np.eye(d), -spread], np.c_[-np.eye(d), -spread]])
    limits = [*zip(low, high, strict=True), *[(0, None)] * width]
    true = linprog(np.r_[np.zeros(d), np.ones(width)], above, np.r_[-need, np.zeros(2 * d)], bounds=limits)
    size = linear_program_kernels.least(normal, need, low, high, norm == "linf", 0.0)
    np.testing.assert_allclose(size, true.fun if true.status == 0 else np.inf, rtol=1e-9)


@pytest.mark.parametrize("linf", [True, False])
def test_half_spaces_that_come_later_count_as_those_that_were_there(linf):
    rng = np.random.default_rng(1)
    normals, offsets = rng.normal(size=(12, 5)) + 0.8, -rng.random(12)
    size = linear_program_kernels.least(normals[0], -offsets[0], np.full(5, -np.inf), np.full(5, np.inf), linf, 0.0)
    whole = ShortestVector(linf, normals[0], size, np.full(5, -np.inf), np.full(5, np.inf))
    whole.add(normals, offsets)
    pieces = ShortestVector(linf, normals[0], size, np.full(5, -np.inf), np.full(5, np.inf))
    for k in range(12):
        pieces.add(normals[k : k + 1], offsets[k : k + 1])
        found = pieces.solve()[0]
    order = np.inf if linf else 1
    np.testing.assert_allclose(np.linalg.norm(found, ord=order), np.linalg.norm(whole.solve()[0], ord=order), rtol=1e-9)
    assert (normals @ found + offsets >= -1e-9).all()


@pytest.mark.parametrize("linf", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_proved_holds_for_every_half_space_within_its_doubts(seed, linf):
    rng = np.random.default_rng(seed)
    normals, offsets, d = rng.normal(size=(4, 5)), -0.5 - rng.random(4), 5
    tilts, doubts = np.full(4, 1e-3), np.full(4, 2e-3)
    program = ShortestVector(linf, normals[0], 0.1, np.full(d, -np.inf), np.full(d, np.inf))
    program.add(normals, offsets, tilts, doubts)
    found, proved = program.solve()
    # The nearest way to all half-spaces, once each has moved towards it as far as it may.
    moved = normals + tilts[:, None] * np.sign(found)
    width = 1 if linf else d
    spread = np.ones((d, 1)) if linf else np.eye(d)
    above = np.vstack([np.c_[-moved, np.zeros((4, width))], np.c_[np.eye(d), -spread], np.c_[-np.eye(d), -spread]])
    right = np.r_[offsets + doubts, np.zeros(2 * d)]
    nearest = linprog(np.r_[np.zeros(d), np.ones(width)], above, right, bounds=[(None, None)] * d + [(0, None)] * width)
    assert nearest.status == 0
    assert 0.98 * nearest.fun < proved <= nearest.fun
