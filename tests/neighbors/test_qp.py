"""Quadratic programmes over x >= 0 and projections on half-spaces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.exhaustive_neighbors import shortest, shortest_in_box
from reference.seeds import seeds
from trustworthy.core.errors import InvalidInput
from trustworthy.neighbors import qp_kernels
from trustworthy.neighbors.qp import active_set, greedy_coordinate_ascent, project_halfspaces, screened


def random_halfspaces(seed, *, whole=False):
    """Half-spaces that all hold one point: k of them in d dimensions, some repeated, some through the origin."""
    rng = np.random.default_rng(seed)
    k, d = rng.integers(1, 30), rng.integers(1, 9)
    normals = rng.integers(-2, 3, (k, d)).astype(float) if whole else rng.normal(size=(k, d))
    point = rng.normal(size=d)
    offsets = rng.integers(0, 2, k) * rng.random(k) - normals @ point
    twice = rng.integers(0, k, 3)
    return np.vstack([normals, normals[twice]]), np.r_[offsets, offsets[twice]], point


@given(seed=st.integers(0, 10_000), whole=st.booleans())
def test_the_active_set_meets_the_conditions_of_optimality(seed, whole):
    normals, offsets, _ = random_halfspaces(seed, whole=whole)
    matrix = normals @ normals.T
    found = active_set(matrix, offsets)
    gradient = matrix @ found.x + offsets
    scale = np.abs(offsets).max() + 1e-300
    assert found.converged
    assert (found.x >= 0).all()
    assert gradient.min() >= -1e-8 * scale
    assert abs(gradient @ found.x) <= 1e-8 * scale * max(found.x.max(), 1)


@pytest.mark.parametrize("seed", seeds(12, 200))
def test_a_projection_is_the_reference_s(seed):
    normals, offsets, _ = random_halfspaces(seed, whole=seed % 2 == 0)
    found = project_halfspaces(normals, offsets)
    assert found.feasible
    assert (normals @ found.delta + offsets >= -1e-8).all()
    np.testing.assert_allclose(found.size, np.linalg.norm(shortest(normals, offsets)), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.lower, found.size, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("seed", seeds(6, 60))
def test_a_projection_in_a_box_is_the_reference_s(seed):
    normals, offsets, point = random_halfspaces(seed, whole=seed % 2 == 0)
    low, high = np.minimum(point - 0.05, 0), np.maximum(point + 0.05, 0)
    found = project_halfspaces(normals, offsets, low=low, high=high)
    assert found.feasible
    assert (found.delta >= low).all()
    assert (found.delta <= high).all()
    reference = np.linalg.norm(shortest_in_box(normals, offsets, low, high, point))
    np.testing.assert_allclose(found.size, reference, rtol=1e-5, atol=1e-6)
    assert found.lower <= reference * (1 + 1e-6) + 1e-9


def test_an_empty_intersection_is_said_to_be_empty():
    normals, offsets = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([-1.0, -1.0])
    found = project_halfspaces(normals, offsets)
    assert not found.feasible
    assert np.isnan(found.delta).all()
    assert found.size == np.inf
    assert not active_set(normals @ normals.T, offsets).converged
    assert not project_halfspaces(normals[:1], offsets[:1], low=-0.5, high=0.5).feasible


@pytest.mark.parametrize("box", [{}, {"low": -10.0, "high": 10.0}])
def test_half_spaces_count_alike_whatever_their_units(box):
    units = np.array([1e5, 1e-5, 10.0])
    normals, offsets = np.array([[1.0, 1.0], [-1.0, -1.0], [0.0, -2.0]]), np.array([-3.0, 1.0, -2.0])
    assert not project_halfspaces(normals, offsets, **box).feasible  # at least 3 and at most 1
    assert not project_halfspaces(normals * units[:, None], offsets * units, **box).feasible
    offsets[1] = 5.0
    plain = project_halfspaces(normals, offsets, **box)
    other = project_halfspaces(normals * units[:, None], offsets * units, **box)
    assert plain.feasible
    assert other.feasible
    np.testing.assert_allclose(plain.delta, [4.0, -1.0], rtol=1e-8)
    np.testing.assert_allclose(other.delta, plain.delta, rtol=1e-12)
    np.testing.assert_allclose((other.dual * units), plain.dual, rtol=1e-9)
    assert plain.lower <= np.sqrt(17.0)


def test_the_origin_is_the_answer_where_it_is_inside():
    found = project_halfspaces(np.eye(3), np.ones(3))
    assert found.size == found.lower == 0
    np.testing.assert_array_equal(found.delta, 0)


@pytest.mark.parametrize("seed", seeds(6, 20))
def test_greedy_ascent_ends_where_the_active_set_does(seed):
    rng = np.random.default_rng(seed)
    normals = rng.normal(size=(6, 12))
    offsets = rng.normal(size=6)
    exact, greedy = (solve(normals @ normals.T, offsets) for solve in (active_set, greedy_coordinate_ascent))
    assert greedy.converged
    np.testing.assert_allclose(greedy.x, exact.x, atol=1e-8)
    assert greedy.value >= exact.value - 1e-9


def test_greedy_ascent_says_where_it_was_stopped():
    found = greedy_coordinate_ascent(np.array([[1.0, 0.99], [0.99, 1.0]]), [-1.0, -1.0], max_iter=1)
    assert not found.converged
    assert found.iterations == 1
    np.testing.assert_array_equal(found.x, [1.0, 0.0])


@pytest.mark.parametrize("seed", seeds(4, 40))
def test_screened_variables_are_zero_at_the_optimum(seed):
    normals, offsets, point = random_halfspaces(seed)
    gone = screened(normals, offsets, float(np.linalg.norm(point)))
    found = project_halfspaces(normals, offsets)
    assert (found.dual[gone] == 0).all()
    kept = project_halfspaces(normals[~gone], offsets[~gone])
    np.testing.assert_allclose(kept.size, found.size, atol=1e-9)


@pytest.mark.parametrize(
    ("matrix", "vector", "message"),
    [(np.eye(2), [1.0], "shape"), (np.eye(2), [1.0, np.nan], "finite"), (np.full((1, 1), np.inf), [1.0], "finite")],
)
def test_a_programme_that_is_none_is_refused(matrix, vector, message):
    for solve in (active_set, greedy_coordinate_ascent):
        with pytest.raises(InvalidInput, match=message):
            solve(matrix, vector)


def test_half_spaces_or_a_box_that_make_no_sense_are_refused():
    with pytest.raises(InvalidInput, match="normals"):
        project_halfspaces(np.eye(2), [1.0])
    with pytest.raises(InvalidInput, match="origin"):
        project_halfspaces(np.eye(2), [1.0, 1.0], low=0.5)


@given(seed=st.integers(0, 10_000))
def test_the_active_set_starts_anywhere(seed):
    """Constraints arrive in portions, as they are violated, and each solve begins where the last one ended."""
    rng = np.random.default_rng(seed)
    normals = rng.integers(-1, 2, (20, 12)).astype(float)
    offsets = rng.integers(-3, 3, 20) / 2
    matrix, dual = normals @ normals.T, np.zeros(20)
    for count in (4, 9, 14, 20):
        part = np.ascontiguousarray(matrix[:count, :count])
        _, status = qp_kernels.active_set(part, offsets[:count], dual[:count], 1e-13, 2000)
        if shortest(normals[:count], offsets[:count]) is None:
            assert status != qp_kernels.SOLVED
            return
        gradient = part @ dual[:count] + offsets[:count]
        assert status == qp_kernels.SOLVED
        np.testing.assert_array_less(-gradient, 1e-7)
        assert np.abs(gradient[dual[:count] > 0]).max(initial=0.0) < 1e-7
