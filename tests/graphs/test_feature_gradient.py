"""Gradients in the labelled features by hand, by differences, and the search that climbs them."""

import numpy as np
import pytest

from reference.graphs_harmonic import exact
from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.affinity import gaussian_graph
from trustworthy.graphs.poisoning.feature_gradient import evaluate, soft_sign, squared
from trustworthy.graphs.poisoning.feature_search import ascend

GAMMA = 0.7


def problem(seed=0, n_u=14, n_labelled=6, d=3):
    rng = np.random.default_rng(seed)
    x_u, x_l = rng.normal(size=(n_u, d)), rng.normal(size=(n_labelled, d))
    y = np.where(x_l[:, 0] > 0, 1.0, -1.0)
    aim = np.where(x_u[:, 0] > 0, 1.0, -1.0)
    return x_l, x_u, gaussian_graph(x_u, GAMMA), y, aim


def literal_scores(x_l, x_u, y, gamma=GAMMA):
    """Equation (1.1) written out."""
    x = np.vstack([x_u, x_l])
    s = np.exp(-gamma * ((x[:, None] - x[None]) ** 2).sum(axis=2))
    n_u = len(x_u)
    return np.linalg.inv(np.diag(s.sum(axis=1))[:n_u, :n_u] - s[:n_u, :n_u]) @ s[:n_u, n_u:] @ y


def differences(value, x, step=1e-5):
    gradient = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (value(up) - value(down)) / (2 * step)
    return gradient


def test_one_unlabelled_row_between_two_labels():
    # f = (s_1 - s_2) / (s_1 + s_2) = tanh(g (|x_2 - u|² - |x_1 - u|²) / 2), so df/dx_1 = -g (x_1 - u) (1 - f²).
    x_l, u = np.array([[1.0], [-0.5]]), np.array([[0.2]])
    f = np.tanh(GAMMA * (0.7**2 - 0.8**2) / 2)
    found = evaluate(x_l, u, np.zeros((1, 1)), np.array([1.0, -1.0]), GAMMA, lambda f: (float(f[0]), np.ones(1)))
    np.testing.assert_allclose(found.value, f, rtol=1e-14)
    np.testing.assert_allclose(found.gradient, GAMMA * (1 - f**2) * np.array([[-0.8], [-0.7]]), rtol=1e-13)


def test_losses_and_their_slopes():
    f, aim = np.array([0.3, -2.0, 0.0]), np.array([1.0, -1.0, 1.0])
    assert squared(aim)(f)[0] == pytest.approx((0.49 + 1.0 + 1.0) / 2)
    np.testing.assert_allclose(squared(aim)(f)[1], f - aim)
    loss = soft_sign(aim, 3.0)
    assert loss(f)[0] == pytest.approx(((np.tanh(3 * f) - aim) ** 2).sum() / 2)
    np.testing.assert_allclose(loss(f)[1], differences(lambda g: loss(g)[0], f), atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("loss", [squared, lambda aim: soft_sign(aim, 4.0)])
def test_gradient_is_that_of_the_closed_form(seed, loss):
    x_l, x_u, s_uu, y, aim = problem(seed)
    measure = loss(aim)
    found = evaluate(x_l, x_u, s_uu, y, GAMMA, measure)
    assert found.value == pytest.approx(measure(literal_scores(x_l, x_u, y))[0], rel=1e-10)
    expected = differences(lambda x: measure(literal_scores(x, x_u, y))[0], x_l)
    np.testing.assert_allclose(found.gradient, expected, rtol=1e-6, atol=1e-8)
    assert np.abs(found.gradient).max() > 0.05


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_gradient_near_duplicates_and_far_from_the_origin(offset):
    x_l, x_u, _, y, aim = problem(4)
    x_l[0], x_l[1], x_u[3] = x_u[0], x_u[1] + 1e-7, x_u[2]  # a label on a row, one almost, and two rows in one place
    expected = differences(lambda x: squared(aim)(literal_scores(x, x_u, y))[0], x_l)
    gradient = evaluate(x_l + offset, x_u + offset, gaussian_graph(x_u, GAMMA), y, GAMMA, squared(aim)).gradient
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6 if offset else 1e-8)


def test_real_labels_are_fine():
    x_l, x_u, s_uu, _, aim = problem(2)
    y = np.linspace(-3.0, 5.0, len(x_l))
    np.testing.assert_allclose(
        evaluate(x_l, x_u, s_uu, y, GAMMA, squared(aim)).scores, literal_scores(x_l, x_u, y), rtol=1e-10
    )


def test_a_graph_that_all_but_falls_apart_has_its_gradient_still():
    x_u, x_l = np.array([[0.0], [0.1], [6.0], [6.1]]), np.array([[0.0], [0.4]])
    y, s_uu, aim = np.array([1.0, -1.0]), gaussian_graph(x_u, 1.0), np.array([1.0, 0.0, -1.0, 0.5])

    def scores(x):
        return exact(s_uu, np.exp(-((x_u - x.T) ** 2)), y)

    found = evaluate(x_l, x_u, s_uu, y, 1.0, squared(aim))
    np.testing.assert_allclose(found.scores, scores(x_l), rtol=1e-12)
    expected = differences(lambda x: squared(aim)(scores(x))[0], x_l)
    np.testing.assert_allclose(found.gradient, expected, rtol=1e-6)


@pytest.mark.parametrize("distance", [50.0, 1e3])
def test_a_graph_that_falls_apart_is_refused(distance):
    x_u = np.array([[0.0], [0.1], [distance], [distance + 0.1]])
    x_l = np.array([[0.0], [0.3]])
    with pytest.raises(InvalidInput, match="gamma is so large"):
        evaluate(x_l, x_u, gaussian_graph(x_u, 1.0), np.ones(2), 1.0, squared(np.zeros(4)))


def climbed(x_l, x_u, s_uu, y, loss, judge, **options):
    return ascend(x_l, lambda moved: evaluate(moved, x_u, s_uu, y, GAMMA, loss), judge, **options)


def climb(seed=0, *, aim=None, **options):
    x_l, x_u, s_uu, y, truth = problem(seed)
    loss = squared(truth) if aim is None else squared(aim)
    options = {"radius": 1.0, "steps": 40, "rng": np.random.default_rng(0), **options}
    target = truth if aim is None else aim
    judge = options.pop("judge", lambda f: float(np.sqrt(np.mean((f - target) ** 2))))
    return x_l, *climbed(x_l, x_u, s_uu, y, loss, judge, **options), judge, x_u, y


@pytest.mark.parametrize(
    ("radius", "rows"), [(0.01, None), (0.01, 2), (1.0, 1), (1.0, 2), (1.0, 6), (1.0, 9), (30.0, None), (30.0, 2)]
)
def test_features_stay_in_the_ball_and_on_few_rows_and_the_error_is_theirs(radius, rows):
    x_l, found, error, judge, x_u, y = climb(radius=radius, rows=rows, steps=20)
    change = found - x_l
    assert np.linalg.norm(change) <= radius * (1 + 1e-9)
    assert np.count_nonzero(change.any(axis=1)) <= (rows or len(x_l))
    assert error == pytest.approx(judge(literal_scores(found, x_u, y)), rel=1e-6)
    assert error > judge(literal_scores(x_l, x_u, y))


def test_it_finds_the_worst_place_of_one_label():
    # One unlabelled row and two labels in one dimension: every Δ of a fine grid on the disc is looked at.
    x_l, x_u, y, aim = np.array([[1.0], [-0.8]]), np.zeros((1, 1)), np.array([1.0, -1.0]), np.ones(1)
    angle = np.linspace(0, 2 * np.pi, 241)
    grid = [
        (literal_scores(x_l + r * np.array([[np.cos(a)], [np.sin(a)]]), x_u, y)[0] - 1) ** 2 / 2
        for r in np.linspace(0, 0.9, 19)
        for a in angle
    ]
    loss = squared(aim)
    _, error = climbed(
        x_l, x_u, np.zeros((1, 1)), y, loss, lambda f: loss(f)[0],
        radius=0.9, steps=60, rng=np.random.default_rng(0),
    )  # fmt: skip
    assert error >= max(grid) - 1e-4


@pytest.mark.parametrize("seed", range(3))
def test_it_beats_random_directions(seed):
    x_l, _, error, judge, x_u, y = climb(seed)
    rng = np.random.default_rng(1)
    for _ in range(200):
        delta = rng.normal(size=x_l.shape)
        assert judge(literal_scores(x_l + delta / np.linalg.norm(delta), x_u, y)) < error


def test_one_row_is_nearly_the_best_one():
    x_l, x_u, s_uu, y, truth = problem(1)
    judge = lambda f: float(np.sqrt(np.mean((f - truth) ** 2)))  # noqa: E731
    best = []
    for row in range(len(x_l)):
        only = np.zeros((len(x_l), 1))
        only[row] = 1.0
        delta, step = np.zeros_like(x_l), 0.08
        for _ in range(40):  # plain ascent of one row
            gradient = evaluate(x_l + delta, x_u, s_uu, y, GAMMA, squared(truth)).gradient * only
            delta += step * gradient / np.linalg.norm(gradient)
            delta /= max(1.0, np.linalg.norm(delta))
        best.append(judge(literal_scores(x_l + delta, x_u, y)))
    found = climbed(
        x_l, x_u, s_uu, y, squared(truth), judge, radius=1.0, rows=1, steps=60, rng=np.random.default_rng(0)
    )[1]
    start = judge(literal_scores(x_l, x_u, y))
    assert found - start >= 0.8 * (max(best) - start)


def test_a_start_without_a_slope_is_left():
    x_l, x_u, _, y, _ = problem(3)
    clean = evaluate(x_l, x_u, gaussian_graph(x_u, GAMMA), y, GAMMA, squared(np.zeros(len(x_u)))).scores
    assert climb(3, aim=clean)[2] > 0.1


def test_nothing_may_move():
    for options in ({"radius": 0.0}, {"rows": 0}, {"steps": 0}):
        x_l, found, error, judge, x_u, y = climb(**options)
        np.testing.assert_array_equal(found, x_l)
        assert error == pytest.approx(judge(literal_scores(x_l, x_u, y)))


def test_the_judge_decides_and_a_seed_fixes_the_search():
    plateau = climb(judge=lambda f: 1.0)
    np.testing.assert_array_equal(plateau[1], plateau[0])  # nothing was worse than x itself
    opposed = climb(judge=lambda f: float(f.sum()))
    assert opposed[2] >= literal_scores(opposed[0], opposed[4], opposed[5]).sum()
    np.testing.assert_array_equal(climb(rows=2)[1], climb(rows=2)[1])


def test_steps_that_tear_the_graph_apart_are_taken_back():
    x_l, x_u, s_uu, y, truth = problem(0)
    loss = squared(truth)
    found, error = climbed(
        x_l, x_u, s_uu, y, loss, lambda f: loss(f)[0], radius=300.0, steps=40, rng=np.random.default_rng(0)
    )
    assert np.isfinite(literal_scores(found, x_u, y)).all()
    assert error > loss(literal_scores(x_l, x_u, y))[0]
