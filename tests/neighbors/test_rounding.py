"""Units, offsets, near twins and near ties: what rounding may not do to proofs and perturbations."""

import numpy as np
import pytest
from scipy.optimize import nnls
from sklearn.datasets import load_digits

from trustworthy.core.errors import InvalidInput
from trustworthy.neighbors import NearestNeighborVerifier, Substitute


def twins(seed, apart):
    """Four rows of one class, four of another almost on top of them, and five queries."""
    rng = np.random.default_rng(seed)
    rows = rng.random((4, 3))
    x = np.vstack([rows, rows + apart * rng.normal(size=rows.shape)])
    return x, np.repeat([0, 1], 4), rng.random((5, 3))


def shortest_into(x, inside, query, margin):
    """The shortest step after which rows `inside` are nearer than all others by a margin: nnls, no cancellation."""
    pairs = [(j, i) for j in inside for i in range(len(x)) if i not in inside]
    normals = np.array([x[j] - x[i] for j, i in pairs])
    offsets = np.einsum("ij,ij->i", normals, query - np.array([(x[j] + x[i]) / 2 for j, i in pairs]))
    length = np.linalg.norm(normals, axis=1)
    normals, offsets = normals / length[:, None], offsets / length - margin
    scale = np.abs(offsets).max()
    stacked = np.vstack([normals.T, -offsets / scale])
    residual = stacked @ nnls(stacked, np.r_[np.zeros(x.shape[1]), 1.0], maxiter=1000)[0] - np.r_[0.0, 0, 0, 1]
    return -residual[:-1] / residual[-1] * scale


@pytest.mark.parametrize(("seed", "row", "inside"), [(2, 4, (0, 4, 5)), (59, 0, (0, 1, 5))])
def test_three_neighbours_almost_equal_rows_no_shorter_change_than_lower(seed, row, inside):
    x, y, queries = twins(seed, 1e-8)
    verifier = NearestNeighborVerifier(n_neighbors=3).fit(x, y)
    query = queries[row : row + 1]
    label = verifier.predict(query)
    step = shortest_into(x, inside, query[0], 1e-3)
    assert verifier.predict(query + step)[0] != label[0]  # a real change, far from any rounding
    assert verifier.exact(query, label, time_limit=5.0).lower[0] <= np.linalg.norm(step)


def test_three_neighbours_far_query_no_bound_above_the_minimum():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(8, 3)), np.arange(8) % 2
    for _ in range(3):
        rng.normal(size=(4, 3))
    queries = 1e7 * rng.normal(size=(4, 3))
    verifier = NearestNeighborVerifier(n_neighbors=3).fit(x, y)
    found = verifier.exact(queries, verifier.predict(queries), time_limit=5.0)
    assert found.lower[2] <= 21269789.54 * (1 + 1e-6)  # minimum over all sets of three rows in 60 digits


@pytest.mark.parametrize("scale", [1e25, 1e-22])
def test_any_unit_of_the_input_gives_the_same_answers(scale):
    x, y, queries = np.random.default_rng(0).random((8, 3)), np.arange(8) % 2, np.random.default_rng(1).random((5, 3))
    plain, scaled = NearestNeighborVerifier().fit(x, y), NearestNeighborVerifier().fit(x * scale, y)
    labels = plain.predict(queries)
    np.testing.assert_array_equal(scaled.predict(queries * scale), labels)
    np.testing.assert_allclose(
        scaled.exact(queries * scale, labels).lower / scale, plain.exact(queries, labels).lower, rtol=1e-5
    )


@pytest.mark.parametrize(("scale", "offset"), [(1e-12, 0.0), (1e-5, 1e6)])
def test_exact_means_a_relative_gap_whatever_the_unit(scale, offset):
    x, y = load_digits(return_X_y=True)
    x = x / 16 * scale + offset
    found = NearestNeighborVerifier(n_neighbors=5).fit(x[200:900], y[200:900]).exact(x[:4], y[:4], time_limit=0.02)
    gap = found.upper - found.lower
    assert (gap[found.exact] <= 1e-6 * found.lower[found.exact] + 4 * np.spacing(x.max())).all()


def test_a_query_near_a_boundary_its_perturbation_changes_predict():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x, y, share = rng.random((6, 3)), np.arange(6) % 2, 10.0 ** rng.uniform(-13, -5)
        pairs = [(a, b) for a in range(6) for b in range(6) if y[a] != y[b]]
        queries = np.array([(x[a] + x[b]) / 2 + share * (x[a] - x[b]) for a, b in pairs])
        verifier = NearestNeighborVerifier().fit(x, y)
        labels = verifier.predict(queries)
        found = verifier.exact(queries, labels)
        assert (verifier.predict(queries + found.perturbation) != labels).all(), (seed, share)


def test_under_a_metric_perturbations_change_predict_in_any_company():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        g = rng.normal(size=(4, 4))
        x, y, queries = rng.random((30, 4)) + 1e3, np.arange(30) % 2, rng.random((20, 4)) + 1e3
        verifier = NearestNeighborVerifier(n_neighbors=3, metric=g.T @ g).fit(x, y)
        labels = verifier.predict(queries)
        found = verifier.attack(queries, labels, "cell-descent")
        assert (verifier.predict(found.adversarial[found.success]) != labels[found.success]).all(), seed


def test_rows_equal_under_a_metric_but_for_rounding_are_duplicates():
    g = np.array([[0.1, 0.2, 0.3]])  # whole rows: images are multiples of 0.1
    for seed in range(30):
        rng = np.random.default_rng(seed)
        x, y = rng.integers(0, 4, (10, 3)).astype(float), np.arange(10) % 2
        verifier = NearestNeighborVerifier(metric=g.T @ g).fit(x, y)
        assert len(verifier._geometry.points) == len(np.unique(x @ np.array([1, 2, 3])))


def test_a_metric_of_features_in_far_units_keeps_the_small_ones():
    rng = np.random.default_rng(0)
    x, y = np.c_[np.arange(40) % 3, 1e9 * rng.random(40)], np.arange(40) % 2
    queries = np.c_[np.arange(30) % 3, 1e9 * rng.random(30)]
    verifier = NearestNeighborVerifier(metric=np.diag([1.0, 1e-18])).fit(x, y)
    far = (((queries[:, None] - x) * [1.0, 1e-9]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(verifier.predict(queries), y[far.argmin(axis=1)])


def test_perturbations_of_features_in_far_units_change_the_vote_of_the_matrix_itself():
    rng = np.random.default_rng(0)
    units = 10.0 ** np.linspace(-3, 4, 8)
    x, y, queries = rng.random((60, 8)) * units, np.arange(60) % 2, rng.random((20, 8)) * units
    root = rng.normal(size=(8, 8)) / units
    verifier = NearestNeighborVerifier(metric=root.T @ root).fit(x, y)
    found = verifier.exact(queries, verifier.predict(queries))
    matrix = (root.T @ root).astype(np.longdouble)
    for query, step, label in zip(queries, found.perturbation, verifier.predict(queries), strict=True):
        gap = x.astype(np.longdouble) - (query + step)
        far = np.einsum("ij,jk,ik->i", gap, matrix, gap)
        # A tie to rounding: that of the matrix, relative to its diagonal, not to its largest entry.
        assert far[y != label].min() <= far[y == label].min() * (1 + 1e-12)


def test_a_spread_beyond_the_largest_number_is_measured():
    x, y, largest = np.float32([[-1.5], [1.5], [-1.25], [1.25]]), [0, 1, 0, 1], 2.0**127
    found = NearestNeighborVerifier().fit(x * np.float32(largest), y).exact(x * largest, y)
    np.testing.assert_allclose(found.upper / largest, [1.5, 1.5, 1.25, 1.25], rtol=1e-6)


def test_labels_of_a_kind_that_cannot_be_compared_are_named():
    x, y = np.random.default_rng(0).random((20, 3)), np.array(["a", "b"] * 10, dtype=object)
    verifier = NearestNeighborVerifier().fit(x, y)
    for labels in ([1] * 20, [None] * 20, ["a", 1] * 10):
        with pytest.raises(InvalidInput, match="y must"):
            verifier.exact(x, np.array(labels, dtype=object))


def test_radii_of_words_are_named():
    x, y = np.random.default_rng(0).random((20, 3)), np.arange(20) % 2
    with pytest.raises(InvalidInput, match="radii"):
        NearestNeighborVerifier().fit(x, y).certified_error(x, y, "a")


@pytest.mark.parametrize("scale", [1e-6, 1e-8])
def test_a_box_is_solved_in_any_unit(scale):
    rng = np.random.default_rng(0)
    x, y, queries = rng.random((40, 6)), np.arange(40) % 2, 1.0 * (rng.random((20, 6)) > 0.5)
    plain = NearestNeighborVerifier(bounds=(0, 1)).fit(x, y)
    small = NearestNeighborVerifier(bounds=(0, scale)).fit(x * scale, y)
    labels = plain.predict(queries)
    found = small.exact(queries * scale, labels)
    assert found.exact.all()
    np.testing.assert_allclose(found.upper / scale, plain.exact(queries, labels).upper, rtol=1e-5)


def test_a_far_query_is_refused():
    x, y = np.random.default_rng(0).random((20, 3)), np.arange(20) % 2
    with pytest.raises(InvalidInput, match="X must lie within"):
        NearestNeighborVerifier().fit(x, y).predict([[1e20, 0.0, 0.0]])


def test_what_was_fitted_stays_when_parameters_are_set():
    x, y = np.random.default_rng(0).random((30, 3)), np.arange(30) % 2
    verifier = NearestNeighborVerifier().fit(x, y)
    before = verifier.exact(x, y).upper
    verifier.set_params(norm="l1", n_neighbors=3)
    np.testing.assert_array_equal(verifier.exact(x, y).upper, before)


@pytest.mark.parametrize(("scale", "weight"), [(2.0**10, 1.0), (2.0**20, 1.0), (2.0**-30, 1.0), (1.0, 64.0)])
def test_steps_and_temperature_of_the_substitute_are_in_the_units_of_the_input_and_the_metric(scale, weight):
    rng = np.random.default_rng(0)
    x, y, queries = rng.random((20, 3)), np.arange(20) % 2, rng.random((5, 3))
    plain = NearestNeighborVerifier(metric=np.eye(3)).fit(x, y)
    other = NearestNeighborVerifier(metric=weight * np.eye(3)).fit(x * scale, y)
    labels = plain.predict(queries)
    first = plain.attack(queries, labels, Substitute(step_size=0.05, temperature=0.1, shrink=False))
    rescaled = Substitute(step_size=0.05 * scale, temperature=0.1 * weight * scale**2, shrink=False)
    second = other.attack(queries * scale, labels, rescaled)
    assert first.success.all()
    np.testing.assert_allclose(second.distance / scale, first.distance, rtol=1e-9)


def test_more_own_rows_than_there_are_is_all_of_them():
    x, y = np.random.default_rng(0).random((20, 3)), np.arange(20) % 2
    verifier = NearestNeighborVerifier().fit(x, y)
    np.testing.assert_array_equal(verifier.lower_bound(x, y, n_same=10**30), verifier.lower_bound(x, y, n_same=20))


@pytest.mark.usefixtures("_as_users_call_it")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda v, x, y: v.exact(x, np.where(y > 0, 1.0, np.nan)), "y must hold labels, got NaN"),
        (lambda v, x, y: v.exact(x, y, time_limit=-1), "time_limit"),
        (lambda v, x, y: v.set_params(bounds=np.array(3.0)).fit(x, y), "bounds must be a pair"),
        (lambda v, x, y: v.set_params(bounds=(0, np.inf)).fit(x, y), "None for no limits"),
        (lambda v, x, y: v.set_params(metric=1j * np.eye(3)).fit(x, y), "metric must be real"),
    ],
)
def test_arguments_are_named_with_a_remedy(call, message):
    x, y = np.random.default_rng(0).random((20, 3)), np.arange(20) % 2
    with pytest.raises(InvalidInput, match=message):
        call(NearestNeighborVerifier().fit(x, y), x, y)


@pytest.mark.usefixtures("_as_users_call_it")
def test_bounds_may_be_an_array_and_are_compared_in_double_precision():
    x, y = np.float32([[0.7], [0.8]]), [0, 1]
    verifier = NearestNeighborVerifier(bounds=np.array([float(np.float32(0.7)), 1.0])).fit(x, y)
    assert verifier.exact(x, y).exact.all()
    with pytest.raises(InvalidInput, match="X must lie within bounds"):
        NearestNeighborVerifier(bounds=(0.7, 1.0)).fit(x, y)
