"""Degrees and PageRank against linear solves, closed forms and another library."""

import numpy as np
import pytest
from scipy import sparse

from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.centrality import degree, pagerank


def graph(seed=0, n=25, lonely=()):
    rng = np.random.default_rng(seed)
    weights = rng.random((n, n)) * (rng.random((n, n)) < 0.3)
    weights += weights.T
    weights[list(lonely)] = 0.0
    weights[:, list(lonely)] = 0.0
    return weights


def solved(weights, damping):
    """p = damping Pᵀ p + (1 - damping) / n, with rows of P uniform where a node has no edges."""
    n = len(weights)
    sums = weights.sum(axis=1, keepdims=True)
    walk = np.where(sums > 0, weights / np.where(sums > 0, sums, 1.0), 1.0 / n)
    return np.linalg.solve(np.eye(n) - damping * walk.T, np.full(n, (1 - damping) / n))


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.coo_array])
@pytest.mark.parametrize("lonely", [(), (3, 7)])
def test_pagerank_solves_its_equation(form, lonely):
    weights = graph(lonely=lonely)
    shares = pagerank(form(weights))
    np.testing.assert_allclose(shares, solved(weights, 0.85), rtol=1e-9)
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.ptp(shares) > 1e-3


def test_the_slowest_walk_settles_in_the_steps_that_it_has():
    pair = np.array([[0.0, 1.0], [1.0, 0.0]])  # it swings back and forth, and only jumps damp it
    stars = np.zeros((6, 6))
    stars[0, 1:] = stars[1:, 0] = 1.0
    for weights in (pair, stars):
        np.testing.assert_allclose(pagerank(weights), solved(weights, 0.85), rtol=1e-11)


def test_a_star_in_closed_form():
    # Centre c and four leaves l with c + 4 l = 1 and l = damping c / 4 + (1 - damping) / 5.
    star = np.zeros((5, 5))
    star[0, 1:] = star[1:, 0] = 2.0
    centre = (0.85 + 0.15 / 5) / 1.85
    np.testing.assert_allclose(pagerank(star), [centre, *[(1 - centre) / 4] * 4], rtol=1e-11)
    assert degree(star).tolist() == [8.0, 2.0, 2.0, 2.0, 2.0]


def test_another_library_agrees():
    networkx = pytest.importorskip("networkx")
    weights = graph(1, lonely=(2,))
    theirs = networkx.pagerank(networkx.from_numpy_array(weights), alpha=0.85, tol=1e-14)
    np.testing.assert_allclose(pagerank(weights), [theirs[node] for node in range(len(weights))], rtol=1e-9)


def test_numbers_of_nodes_do_not_matter():
    weights = graph(3)
    order = np.random.default_rng(0).permutation(len(weights))
    np.testing.assert_allclose(pagerank(weights[np.ix_(order, order)]), pagerank(weights)[order], rtol=1e-10)
    np.testing.assert_allclose(degree(weights[np.ix_(order, order)]), degree(weights)[order], rtol=1e-13)


def test_degree_of_sparse_and_edgeless_graphs():
    weights = graph(4, lonely=(0,))
    np.testing.assert_allclose(degree(sparse.csr_matrix(weights)), weights.sum(axis=0), rtol=1e-13)
    assert degree(sparse.csr_matrix((3, 3))).tolist() == [0.0, 0.0, 0.0]
    np.testing.assert_allclose(pagerank(np.zeros((4, 4))), 0.25)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((2, 3)), "square"),
        (np.ones(3), "square"),
        (np.array([[0.0, np.nan], [np.nan, 0.0]]), "finite affinities >= 0"),
        (-np.ones((2, 2)), "finite affinities >= 0"),
        (np.array([[0.0, 1.0], [0.5, 0.0]]), "symmetric"),
        (sparse.csr_matrix([[0.0, 1.0], [0.0, 0.0]]), "symmetric"),
    ],
)
def test_bad_input_is_refused(weights, message):
    with pytest.raises(InvalidInput, match=message):
        pagerank(weights)
