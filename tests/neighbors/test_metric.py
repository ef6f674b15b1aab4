"""The root of a Mahalanobis matrix."""

import numpy as np
import pytest

from trustworthy.core.errors import InvalidInput
from trustworthy.neighbors.metric import root_of


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_root_rebuilds_the_matrix_and_has_its_rank(rank):
    map_ = np.random.default_rng(rank).normal(size=(rank, 5))
    root = root_of(map_.T @ map_, 5)
    assert root.shape == (rank, 5)
    np.testing.assert_allclose(root.T @ root, map_.T @ map_, atol=1e-12)


def test_rounding_of_a_low_rank_matrix_in_single_precision_is_forgiven():
    map_ = np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)
    metric = map_.T @ map_
    root = root_of(metric, 40)
    np.testing.assert_allclose(root.T @ root, metric, atol=1e-4)


@pytest.mark.parametrize("rank", [2, 6])
def test_features_of_any_units_are_rounded_alike(rank):
    map_ = np.random.default_rng(rank).normal(size=(rank, 6)) * 10.0 ** np.arange(-9, 9, 3)
    metric = map_.T @ map_
    root = root_of(metric, 6)
    assert root.shape == (rank, 6)
    size = np.sqrt(np.diag(metric))
    np.testing.assert_allclose(root.T @ root / size[:, None] / size, metric / size[:, None] / size, atol=1e-13)


@pytest.mark.parametrize(
    "metric",
    [
        np.array([[1.0, 1e-17], [1e-17, 1e-40]]),  # the off-diagonal is rounding, more than the diagonal allows
        np.array([[1.0, 1e-17], [1e-17, 0.0]]),
        np.diag([1.0, -1e-17]),
        np.diag([1e300, 1e-300]),
    ],
)
def test_rounding_around_a_feature_without_weight_is_forgiven(metric):
    root = root_of(metric, 2)
    np.testing.assert_allclose(root.T @ root, metric, rtol=1e-12, atol=1e-16 * metric[0, 0])


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (np.diag([1.0, -0.5]), "positive semi-definite"),
        (np.eye(3), r"shape \(2, 2\)"),
        (np.array([[1.0, 2.0], [0.0, 1.0]]), "symmetric"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "finite"),
        (np.zeros((2, 2)), "zero"),
        ("euclidean", "matrix of numbers"),
    ],
)
def test_a_matrix_that_is_no_metric_is_refused(metric, message):
    with pytest.raises(InvalidInput, match=message):
        root_of(metric, 2)
