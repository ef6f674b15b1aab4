"""The margin of a triplet: its programme, its invariances, its gradient, its losses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.metric_learning import TORCH_LOSSES, margin
from trustworthy.metric_learning import triplet_margin
from trustworthy.metric_learning.margin import LOSSES, loss_and_gradient, pair
from trustworthy.neighbors import project_halfspaces


def triplets(seed, n=12, d=5, rank=5, dtype=np.float64):
    rng = np.random.default_rng(seed)
    own, other, x = rng.normal(size=(3, n, d)).astype(dtype)
    return own, other, x, rng.normal(size=(rank, d)).astype(dtype)


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 6))
def test_it_is_the_formula(seed, d, rank):
    own, other, x, root = triplets(seed, d=d, rank=min(rank, d))
    metric = root.T @ root
    expected = [margin(*row, metric) for row in zip(own, other, x, strict=True)]
    np.testing.assert_allclose(triplet_margin(own, other, x, root), expected, rtol=1e-9, atol=1e-9)


@given(st.integers(0, 10_000))
def test_its_positive_part_is_the_optimum_of_the_triplet_programme(seed):
    own, other, x, root = triplets(seed, n=4)
    metric = root.T @ root
    for k, size in enumerate(np.maximum(triplet_margin(own, other, x, root), 0.0)):
        normal = metric @ (other[k] - own[k])
        offset = ((x[k] - own[k]) @ metric @ (x[k] - own[k]) - (x[k] - other[k]) @ metric @ (x[k] - other[k])) / 2
        np.testing.assert_allclose(project_halfspaces(normal[None], [offset]).size, size, rtol=1e-9, atol=1e-12)


def test_under_the_euclidean_metric_it_is_the_distance_to_the_bisector():
    own, other, x = (np.array([[v, 7.0]]) for v in (1.0, 4.0, 0.5))
    np.testing.assert_allclose(triplet_margin(own, other, x, np.eye(2)), [2.0])
    np.testing.assert_allclose(triplet_margin(other, own, x, np.eye(2)), [-2.0])


@given(st.integers(0, 10_000), st.floats(0.1, 100))
def test_the_scale_of_the_metric_does_not_matter(seed, scale):
    own, other, x, root = triplets(seed)
    np.testing.assert_allclose(triplet_margin(own, other, x, scale * root), triplet_margin(own, other, x, root))


def test_rows_that_the_metric_cannot_tell_apart_have_margin_zero():
    own, other, x, _ = triplets(0, d=2)
    other[:, 0] = own[:, 0]
    np.testing.assert_array_equal(triplet_margin(own, other, x, np.array([[1.0, 0.0]])), 0.0)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rank", [2, 5])
def test_the_gradient_is_that_of_finite_differences(loss, rank):
    own, other, x, root = triplets(3, rank=rank)
    gap, offset = pair(own, other, x)
    gap[0] *= 1e-5  # its length is cut off below
    value, gradient = loss_and_gradient(gap, offset, root, LOSSES[loss])
    step = 1e-6
    for index in np.ndindex(root.shape):
        moved = [root.copy(), root.copy()]
        moved[0][index] += step
        moved[1][index] -= step
        up, down = (loss_and_gradient(gap, offset, r, LOSSES[loss])[0] for r in moved)
        np.testing.assert_allclose(gradient[index], (up - down) / (2 * step), rtol=1e-6, atol=1e-8)
    assert np.isfinite(value)


def test_the_gradient_keeps_single_precision():
    own, other, x, root = triplets(0, dtype=np.float32)
    for loss in LOSSES.values():
        assert loss_and_gradient(*pair(own, other, x), root, loss)[1].dtype == np.float32


@pytest.mark.parametrize("name", LOSSES)
def test_losses_never_rise_and_their_slopes_are_right(name):
    import torch

    margins = np.linspace(-3, 3, 61) + 0.01
    value, slope = LOSSES[name](margins)
    tensor = torch.tensor(margins, requires_grad=True)
    expected = TORCH_LOSSES[name](tensor)
    expected.sum().backward()
    np.testing.assert_allclose(value, expected.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(slope, tensor.grad.numpy(), rtol=1e-12)
    assert (slope <= 0).all()
