"""The quadratic over a ball: exact minimum with its proof of optimality, and Algorithm 1 with its theorems."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from reference.graphs_trust_region import (
    lemma_1,
    minimum_by_duality,
    minimum_by_starts,
    objective,
    phase_one,
    phase_two,
    theorem_2,
    violations,
)
from seeds import first
from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.poisoning import gradient_path, trust_region
from trustworthy.graphs.poisoning.gradient_path import algorithm_1
from trustworthy.graphs.poisoning.trust_region import Quadratic, minimize_in_ball

EPS = np.finfo(float).eps
KINDS = ("indefinite", "definite", "negative", "repeated", "clustered", "semi-definite")


def random_quadratic(rng, kind, *, g="free", low=1):
    """A random H of the given spectrum, and g free, orthogonal to the lowest eigenspace, nearly so, or zero."""
    n = int(rng.integers(low, 12))
    levels = np.sort(rng.normal(size=n))
    if kind == "definite":
        levels = np.sort(np.abs(levels)) + 0.05
    elif kind == "negative":
        levels = -np.sort(np.abs(levels))[::-1]
    elif kind == "repeated":
        levels = np.sort(np.round(levels))
    elif kind == "clustered":
        levels = np.sort(levels[0] + 10.0 ** rng.uniform(-17, 0, n))
    elif kind == "semi-definite":
        levels = np.sort(np.abs(levels))
        levels[0] = 0.0
    basis = np.linalg.qr(rng.normal(size=(n, n)))[0]
    linear = rng.normal(size=n)
    if g != "free":
        lowest = levels <= levels[0] + 1e-12
        linear[lowest] *= {"hard": 0.0, "nearly hard": 10.0 ** rng.uniform(-18, -1), "zero": 0.0}[g]
        linear *= g != "zero"
    H = (basis * levels) @ basis.T
    return (H + H.T) / 2, basis @ linear


def assert_proved(H, g, radius, found):
    """The conditions hold to rounding, which proves that no point of the ball is lower."""
    for condition, size in violations(H, g, radius, found.point, found.multiplier).items():
        assert size <= 4 * (len(g) + 4) * EPS, (condition, size / EPS)
    scale = np.linalg.norm(H, 2) * radius**2 + np.linalg.norm(g) * radius
    assert_allclose(found.value, objective(H, g, found.point), rtol=0, atol=100 * EPS * scale)


@pytest.mark.parametrize("g", ["free", "hard", "nearly hard", "zero"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_conditions_prove_every_minimum(kind, g):
    rng = np.random.default_rng(KINDS.index(kind))
    for _ in range(12):
        H, linear = random_quadratic(rng, kind, g=g)
        H, linear = H * 10.0 ** rng.choice([-8, 0, 8]), linear * 10.0 ** rng.choice([-8, 0, 8])
        radius = 10.0 ** rng.uniform(-3, 3)
        assert_proved(H, linear, radius, minimize_in_ball(H, linear, radius))


@pytest.mark.parametrize("g", ["free", "hard", "nearly hard"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_minimum_is_the_dual_s(kind, g):
    rng = np.random.default_rng(10 + KINDS.index(kind))
    for _ in range(3):
        H, linear = random_quadratic(rng, kind, g=g)
        radius = 10.0 ** rng.uniform(-1, 1)
        assert_allclose(
            minimize_in_ball(H, linear, radius).value, minimum_by_duality(H, linear, radius), rtol=1e-7, atol=1e-9
        )


@pytest.mark.parametrize("seed", first(2, of=6))
def test_a_general_solver_finds_the_same_and_nothing_lower(seed):
    rng = np.random.default_rng(seed)
    H, g = random_quadratic(rng, "indefinite", low=3)
    found = minimize_in_ball(H, g, 1.5)
    assert_allclose(found.value, minimum_by_starts(H, g, 1.5, rng), rtol=1e-6)


@pytest.mark.parametrize(("h", "g", "z"), [(2.0, 1.0, -0.5), (2.0, 9.0, -3.0), (-2.0, 1.0, -3.0), (0.0, -1.0, 3.0)])
def test_one_dimension_is_settled_by_hand(h, g, z):
    found = minimize_in_ball(np.array([[h]]), np.array([g]), 3.0)
    assert_allclose(found.point, [z], rtol=1e-15)
    assert_allclose(found.multiplier, -h - g / z, rtol=1e-14)
    assert not found.hard


def test_a_linear_function_goes_against_its_gradient():
    found = minimize_in_ball(np.zeros((2, 2)), np.array([3.0, -4.0]), 10.0)
    assert_allclose(found.point, [-6.0, 8.0], rtol=1e-15)
    assert_allclose([found.value, found.multiplier], [-50.0, 0.5], rtol=1e-15)


def test_without_a_gradient_the_top_singular_vector_is_the_answer():
    K = np.random.default_rng(0).random((9, 5))  # eq. (1.3a)
    found = minimize_in_ball(-K.T @ K, np.zeros(5), 0.3)
    _, sizes, right = np.linalg.svd(K)
    assert_allclose(found.value, -0.5 * (0.3 * sizes[0]) ** 2, rtol=1e-14)
    assert_allclose(np.abs(found.point), 0.3 * np.abs(right[0]), rtol=1e-12)
    assert found.hard


def test_a_minimum_inside_is_newton_s_step():
    H, g = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([1.0, -1.0])
    found = minimize_in_ball(H, g, 5.0)
    assert_allclose(found.point, -np.linalg.solve(H, g), rtol=1e-14)
    assert found.multiplier == 0.0


def test_the_hard_case_by_hand():
    found = minimize_in_ball(np.diag([-1.0, 1.0]), np.array([0.0, 1.0]), 1.0)
    assert_allclose(found.point, [np.sqrt(0.75), -0.5], rtol=1e-15)
    assert_allclose([found.value, found.multiplier], [-0.75, 1.0], rtol=1e-15)
    assert found.hard
    short = minimize_in_ball(np.diag([-1.0, 1.0]), np.array([0.0, 1.0]), 0.25)  # too small a ball to be hard
    assert_allclose(short.point, [0.0, -0.25], atol=1e-16)
    assert_allclose(short.multiplier, 3.0, rtol=1e-14)
    assert not short.hard


def test_nearly_hard_problems_tend_to_the_hard_one():
    H = np.diag([-1.0, -1.0 + 1e-9, 1.0])
    hard = minimize_in_ball(H, np.array([0.0, 0.0, 1.0]), 1.0).value
    for tiny in 10.0 ** -np.arange(3.0, 320.0, 7.0):
        g = np.array([tiny, 0.0, 1.0])
        found = minimize_in_ball(H, g, 1.0)
        assert_proved(H, g, 1.0, found)
        assert hard - tiny - 1e-15 <= found.value <= hard + 1e-15
        assert tiny < 1e-15 or found.point[0] < 0.0


def test_a_flat_direction_is_left_alone():
    found = minimize_in_ball(np.diag([0.0, 2.0]), np.array([0.0, 2.0]), 3.0)
    assert_array_equal(found.point, [0.0, -1.0])
    assert found.hard
    tilted = minimize_in_ball(np.diag([0.0, 2.0]), np.array([1e-17, 2.0]), 1e20)
    assert_allclose(tilted.value, -1e3 - 1.0, rtol=1e-14)  # in a ball this large a tiny slope counts


@pytest.mark.parametrize("seed", first(2, of=5))
def test_among_several_minima_the_basis_of_the_eigenspace_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    vectors = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    levels, linear = np.array([-1.0, -1.0, -1.0, 2.0, 3.0]), np.array([0.0, 0.0, 0.0, 1.0, 1.0])
    turned = vectors.copy()
    turned[:, :3] = vectors[:, :3] @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    points = [Quadratic(levels, basis, linear).minimum(2.0).point for basis in (vectors, turned)]
    assert_allclose(points[0], points[1], rtol=1e-12)
    assert points[0].max() > 0


@pytest.mark.parametrize("seed", range(8))
def test_a_hard_case_seen_through_rounding_is_still_decided_the_same_way(seed):
    """The lowest eigenvalue is double and both are blurred: renaming the coordinates renames the answer."""
    rng = np.random.default_rng(seed)
    basis, order = np.linalg.qr(rng.normal(size=(7, 7)))[0], rng.permutation(7)
    H = (basis * np.array([-2.0, -2.0, 0.5, 1.0, 1.5, 2.0, 2.5])) @ basis.T
    H, g = (H + H.T) / 2, basis[:, 2:] @ rng.normal(size=5) * 0.1
    found, renamed = minimize_in_ball(H, g, 1.0), minimize_in_ball(H[np.ix_(order, order)], g[order], 1.0)
    assert found.hard
    assert renamed.hard
    assert_allclose(renamed.point, found.point[order], atol=1e-13)


def test_a_sphere_of_minima_has_one_that_is_chosen():
    assert_array_equal(minimize_in_ball(-np.eye(4), np.zeros(4), 2.0).point, [2.0, 0.0, 0.0, 0.0])


@given(seed=st.integers(0, 10_000), kind=st.sampled_from(KINDS), radius=st.floats(0.01, 100.0))
def test_turning_and_growing(seed, kind, radius):
    rng = np.random.default_rng(seed)
    H, g = random_quadratic(rng, kind)
    once = Quadratic.of(H, g)
    found = once.minimum(radius)
    turn = np.linalg.qr(rng.normal(size=H.shape))[0]
    turned = turn @ H @ turn.T
    assert_allclose(minimize_in_ball((turned + turned.T) / 2, turn @ g, radius).value, found.value, rtol=1e-9)
    assert once.minimum(1.5 * radius).value <= found.value + 1e-12 * abs(found.value)
    assert minimize_in_ball(H, g, radius).value == found.value
    assert_allclose(minimize_in_ball(H * radius**2, g * radius, 1.0).value, found.value, rtol=1e-9)


def test_newton_s_iterates_are_few(monkeypatch):
    """Sizes from 1e-12 to 1e3 in H and g: the equation for the multiplier stays easy."""
    divisions, original = [0], trust_region._quotient

    def counted(above, below):
        divisions[0] += 1
        return original(above, below)

    monkeypatch.setattr(trust_region, "_quotient", counted)
    rng = np.random.default_rng(0)
    for _ in range(300):
        n = rng.integers(1, 30)
        levels = np.sort(10.0 ** rng.uniform(-12, 3, n) * rng.choice([-1, 1], n))
        before = divisions[0]
        Quadratic(levels, np.eye(n), 10.0 ** rng.uniform(-12, 3, n)).minimum(10.0 ** rng.uniform(-5, 5))
        assert divisions[0] - before <= 40


def test_a_ball_of_radius_0_holds_the_origin():
    found = minimize_in_ball(-np.eye(2), np.ones(2), 0.0)
    assert_array_equal(found.point, 0.0)
    assert (found.value, found.multiplier) == (0.0, np.inf)
    assert minimize_in_ball(-np.eye(2), np.zeros(2), 0.0).multiplier == 1.0
    path = algorithm_1(-np.eye(2), np.ones(2), 0.0)
    assert (path.value, path.inside, path.on_sphere) == (0.0, 0, 0)


@pytest.mark.parametrize("solve", [minimize_in_ball, algorithm_1])
@pytest.mark.parametrize(
    ("H", "g", "radius", "message"),
    [
        (np.eye(2), np.ones(2), -1.0, "radius must be >= 0"),
        (np.eye(2), np.ones(2), np.nan, "radius must be finite"),
        (np.array([[1.0, 2.0], [0.0, 1.0]]), np.ones(2), 1.0, "symmetric"),
        (np.eye(2), np.array([1.0, np.nan]), 1.0, "finite"),
        (np.zeros((0, 0)), np.ones(0), 1.0, "n >= 1"),
    ],
)
def test_bad_input_is_refused(solve, H, g, radius, message):
    with pytest.raises(InvalidInput, match=message):
        solve(H, g, radius)


@pytest.mark.parametrize("kind", ["indefinite", "definite", "negative"])
def test_algorithm_1_reaches_the_global_minimum(kind):
    rng = np.random.default_rng(KINDS.index(kind))
    for _ in range(15):
        H, g = random_quadratic(rng, kind)
        g *= 10.0 ** rng.uniform(-2, 0)
        radius = 10.0 ** rng.uniform(-1.5, 1.5)
        path, best = algorithm_1(H, g, radius), minimize_in_ball(H, g, radius)
        assert path.converged
        assert np.linalg.norm(path.point) <= radius * (1 + 4 * EPS)
        assert_allclose(path.value, best.value, rtol=1e-10)
        assert_allclose(path.value, objective(H, g, path.point), rtol=1e-9)
        assert len(path.values) == path.inside + path.on_sphere + 1
        for values in (path.values[: path.inside], path.values[path.inside :]):  # each phase descends
            assert (np.diff(values) <= 1e-13 * abs(path.value)).all()


def leaving_problems(count):
    """Indefinite problems in the unit ball from which phase I of Algorithm 1 leaves."""
    rng = np.random.default_rng(3)
    while count:
        H, g = random_quadratic(rng, "indefinite", low=2)
        if np.linalg.eigvalsh(H)[0] < -0.1:
            count -= 1
            yield H, g * 10.0 ** rng.uniform(-3, 0)


def test_phase_1_is_the_printed_loop():
    for H, g in leaving_problems(30):
        path = algorithm_1(H, g, 1.0)
        assert path.step < 1 / np.linalg.norm(H, 2)
        iterates = phase_one(H, g, path.step)
        assert path.inside == len(iterates) - 1
        assert_allclose(path.values[: path.inside], [objective(H, g, z) for z in iterates[:-1]], rtol=1e-9)
        left = iterates[-1] / np.linalg.norm(iterates[-1])
        assert_allclose(path.values[path.inside], objective(H, g, left), rtol=1e-9)


def test_phase_2_is_the_printed_loop_with_armijo_s_search():
    searched = set()
    for H, g in leaving_problems(40):
        path = algorithm_1(H, g, 1.0)
        left = phase_one(H, g, path.step)[-1]
        longest = gradient_path.LONGEST / min(np.abs(H).sum(axis=1).max(), np.linalg.norm(H))
        iterates = phase_two(
            H,
            g,
            left / np.linalg.norm(left),
            min(5, path.on_sphere),
            sigma=gradient_path.SUFFICIENT,
            shrink=gradient_path.SHRINK,
            longest=longest,
        )
        values = path.values[path.inside :][: len(iterates)]
        assert_allclose(values, [objective(H, g, z) for z in iterates], rtol=1e-9)
        searched.add(len(iterates))
    assert 6 in searched


def test_lemma_1_counts_the_iterates_inside():
    """Eq. (1.5) bounds the index of the last iterate inside, so the steps number less than its value plus one."""
    excess = []
    for H, g in leaving_problems(50):
        path = algorithm_1(H, g, 1.0)
        excess.append(path.inside - lemma_1(H, g, path.step))
    assert max(excess) < 1.0
    assert max(excess) > 0.5  # as printed, without the one, it is exceeded
    assert min(excess) < 0.0


def test_theorem_2_bounds_the_rate():
    """The gap shrinks by r_* or better, once few steps are left; r_* is taken with the curvature on the sphere."""
    seen = 0
    for H, g in leaving_problems(30):
        path, best = algorithm_1(H, g, 1.0), minimize_in_ball(H, g, 1.0)
        gaps = path.values[path.inside :] - best.value
        gaps = gaps[gaps > 1e-10 * abs(best.value)]
        if len(gaps) < 12:
            continue
        seen += 1
        bound = min(np.abs(H).sum(axis=1).max(), np.linalg.norm(H))
        first = min(100 / bound, 1 / max(best.multiplier + np.diag(H).min(), 1e-300))
        rate = theorem_2(H, g, best.point, first, gradient_path.SUFFICIENT, gradient_path.SHRINK)
        assert rate < 1
        assert (gaps[1:] / gaps[:-1])[-5:].max() <= rate
    assert seen >= 8


def test_where_the_minimum_is_inside_phase_1_ends():
    H, g = np.diag([1.0, 4.0]), np.array([0.5, 1.0])
    path = algorithm_1(H, g, 1.0)
    assert path.converged
    assert path.on_sphere == 0
    assert path.inside < 200
    assert_allclose(path.point, -np.linalg.solve(H, g), rtol=1e-8)


def test_in_the_hard_case_algorithm_1_cannot_leave_the_subspace():
    H, g = np.diag([-1.0, 1.0]), np.array([0.0, 0.5])
    path, best = algorithm_1(H, g, 1.0), minimize_in_ball(H, g, 1.0)
    assert path.point[0] == 0.0
    assert path.converged  # at a saddle
    assert_allclose(path.value, -0.125, rtol=1e-12)
    assert_allclose(best.value, -0.5 - 0.0625, rtol=1e-12)
    on_sphere = algorithm_1(np.diag([-3.0, -1.0]), g, 1.0)
    assert_allclose(on_sphere.point, [0.0, -1.0], atol=0)
    assert on_sphere.value > minimize_in_ball(np.diag([-3.0, -1.0]), g, 1.0).value + 0.4


def test_without_a_gradient_algorithm_1_has_no_start():
    path = algorithm_1(-np.eye(3), np.zeros(3), 2.0)
    assert_array_equal(path.point, 0.0)
    assert (path.inside, path.on_sphere, path.value) == (0, 0, 0.0)


@pytest.mark.parametrize("limit", [1, 5, 12])
def test_an_unfinished_run_says_so(limit):
    H, g = np.diag([-1.0, -0.99, 1.0]), np.array([1e-3, 1e-3, 1.0])
    path = algorithm_1(H, g, 1.0, max_iter=limit)
    assert path.inside + path.on_sphere == limit
    assert not path.converged
    whole = algorithm_1(H, g, 1.0)
    assert whole.converged
    if limit < whole.inside:
        assert_array_equal(path.values, whole.values[: limit + 1])


@pytest.mark.parametrize(("name", "value"), [("max_iter", 0), ("tol", -1.0)])
def test_bad_limits_are_refused(name, value):
    with pytest.raises(InvalidInput, match=name):
        algorithm_1(np.eye(2), np.ones(2), 1.0, **{name: value})
