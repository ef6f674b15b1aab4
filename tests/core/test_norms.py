from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torch.testing import assert_close

from trustworthy.core.errors import InvalidInput, UnknownName
from trustworthy.core.norms import L0, L1, L2, NORMS, AbstractNorm, Linf, as_norm, as_size, per_example

ORDER = {"l1": 1, "l2": 2, "linf": np.inf}
each_norm = pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS.keys())
SHAPES = [(1,), (7,), (3, 4, 5)]


def batch(n: int, shape: tuple[int, ...], scale: float = 1.0, seed: int = 0, dtype=torch.float64) -> Tensor:
    return scale * torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


@each_norm
@pytest.mark.parametrize("shape", SHAPES)
def test_size_is_the_norm_of_the_flattened_example(norm, shape):
    d = batch(5, shape)
    expected = np.linalg.norm(d.flatten(1).numpy(), ord=ORDER[norm.name], axis=1)
    assert_close(norm.size(d), torch.from_numpy(expected))


@pytest.mark.parametrize("norm", [L1(), L2(), Linf()], ids=lambda n: n.name)
@settings(max_examples=20)
@given(
    values=st.lists(st.sampled_from([-3.0, -1.0, -0.5, 0.0, 0.25, 1.0, 2.0]), min_size=1, max_size=8),
    eps=st.sampled_from([0.0, 1e-3, 0.5, 1.0, 4.0, 100.0]),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
)
def test_projection_is_the_nearest_point_of_the_ball(norm, values, eps, scale):
    """p is nearest to d in a convex set where no z of it has <d - p, z - p> > 0: eps dual(d - p) <= <d - p, p>."""
    d = scale * torch.tensor([values], dtype=torch.float64)
    p = norm.project(d, eps)
    assert norm.size(p) <= eps * (1 + 1e-12)
    gap = eps * norm.dual.size(d - p) - inner(d - p, p)
    assert gap <= 1e-9 * max(1.0, eps * float(norm.dual.size(d)))


@each_norm
@pytest.mark.parametrize("shape", SHAPES)
def test_projection_takes_one_radius_per_example(norm, shape):
    d, eps = batch(4, shape, 3.0), torch.tensor([0.0, 0.1, 1.0, 1e4], dtype=torch.float64)
    together = norm.project(d, eps)
    assert_close(together, torch.cat([norm.project(d[i : i + 1], float(eps[i])) for i in range(4)]))
    assert_close(together[0], torch.zeros_like(d[0]), rtol=0, atol=0)
    assert_close(together[3], d[3], rtol=0, atol=0)


@each_norm
@pytest.mark.parametrize("far", [1.0, 10.0, 1e3, 1e5, 1e7])
def test_projection_of_far_points_stays_in_the_ball_to_float_rounding(norm, far):
    for d in (batch(64, (20,), far, dtype=torch.float32), far * torch.ones(2, 50)):
        excess = norm.size(norm.project(d, 1.0).double()) - 1.0
        assert excess.max() < 1e-6


@each_norm
def test_points_inside_stay_where_they_are(norm):
    d = batch(6, (3, 3))
    inside = d * per_example(0.999 / norm.size(d), d)
    assert_close(norm.project(inside, 1.0), inside, rtol=0, atol=0)


@each_norm
def test_projecting_twice_changes_nothing(norm):
    once = norm.project(batch(6, (9,), 5.0), 1.0)
    assert_close(norm.project(once, 1.0), once, rtol=1e-12, atol=1e-15)


@each_norm
def test_projection_is_differentiable(norm):
    d = batch(3, (5,), 2.0).requires_grad_()
    for eps in (0.7, torch.tensor([0.3, 1.0, 50.0], dtype=torch.float64)):
        assert torch.autograd.gradcheck(lambda v, eps=eps: norm.project(v, eps), d)


@each_norm
@pytest.mark.parametrize("shape", SHAPES)
def test_steepest_step_gains_the_dual_norm(norm, shape):
    grad = batch(5, shape)
    step = norm.steepest(grad)
    assert_close(inner(grad, step), norm.dual.size(grad))
    assert (norm.size(step) <= 1 + 1e-12).all()


@each_norm
def test_steepest_step_of_a_zero_gradient_is_zero(norm):
    assert_close(norm.steepest(torch.zeros(2, 3)), torch.zeros(2, 3), rtol=0, atol=0)


@each_norm
@pytest.mark.parametrize("scale", [1e-37, 1e-20, 1e20, 1e37])
def test_steepest_step_does_not_depend_on_the_scale_of_the_gradient(norm, scale):
    grad = batch(4, (6,), dtype=torch.float32)
    assert_close(norm.steepest(grad * scale), norm.steepest(grad), rtol=1e-4, atol=1e-6)


@each_norm
def test_dual_of_the_dual_is_the_norm_itself(norm):
    assert norm.dual.dual == norm


@each_norm
def test_samples_are_uniform_in_the_ball(norm, generator):
    """The size is u^(1 / d), and one coordinate follows the marginal of the uniform distribution in the ball."""
    dimension, eps, n = 3, 0.5, 4000
    d = norm.sample(torch.empty(n, dimension, dtype=torch.float64), eps, generator)
    assert stats.kstest((norm.size(d) / eps) ** dimension, "uniform").pvalue > 1e-3
    first = d[:, 0] / eps
    marginal = {
        "l1": lambda x: 0.5 + np.sign(x) * stats.beta.cdf(np.abs(x), 1, dimension) / 2,
        "l2": lambda x: stats.beta.cdf((x + 1) / 2, (dimension + 1) / 2, (dimension + 1) / 2),
        "linf": lambda x: (x + 1) / 2,
    }[norm.name]
    assert stats.kstest(first, marginal).pvalue > 1e-3
    assert abs(np.corrcoef(d.sign().T.numpy())[~np.eye(dimension, dtype=bool)]).max() < 4 / math.sqrt(n)


@each_norm
def test_masked_samples_are_uniform_in_the_ball_of_the_free_coordinates(norm, generator):
    eps, n = 0.5, 4000
    free = torch.tensor([[True, False, True, True, False]] * n + [[False, False, False, True, False]] * n)
    d = norm.sample(torch.empty(2 * n, 5, dtype=torch.float64), eps, generator, free)
    assert (d[~free] == 0).all()
    for part, dimension in ((d[:n], 3), (d[n:], 1)):
        assert stats.kstest((norm.size(part) / eps) ** dimension, "uniform").pvalue > 1e-3


@each_norm
@pytest.mark.parametrize("eps", [0.0, 0.3, torch.tensor([0.0, 0.1, 2.0])])
def test_samples_have_the_shape_and_lie_in_the_ball(norm, eps, generator):
    like = torch.zeros(3, 2, 4)
    d = norm.sample(like, eps, generator)
    assert (d.shape, d.dtype) == (like.shape, like.dtype)
    assert (norm.size(d) <= torch.as_tensor(eps) * (1 + 1e-6)).all()


@each_norm
def test_a_generator_repeats_and_leaves_the_global_stream_alone(norm):
    before = torch.get_rng_state()
    first, second = (norm.sample(torch.zeros(2, 3), 1.0, torch.Generator().manual_seed(7)) for _ in range(2))
    assert_close(first, second, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), before)
    norm.sample(torch.zeros(2, 3), 1.0)
    assert not torch.equal(torch.get_rng_state(), before)


@each_norm
def test_a_radius_in_float64_does_not_raise_the_precision(norm, generator):
    d, eps = batch(2, (3,), dtype=torch.float32), torch.tensor([0.1, 0.2], dtype=torch.float64)
    assert norm.project(d, eps).dtype == torch.float32
    assert norm.sample(d, eps, generator).dtype == torch.float32


@each_norm
def test_an_empty_batch_passes_through(norm, generator):
    empty = torch.zeros(0, 3)
    for result in (norm.project(empty, 1.0), norm.steepest(empty), norm.sample(empty, 1.0, generator)):
        assert result.shape == (0, 3)
    assert norm.size(empty).shape == (0,)


@pytest.mark.parametrize("like", [torch.zeros(3, 2), torch.zeros(3, 2, 4, 5)])
def test_one_value_per_example_broadcasts_over_its_example(like):
    values = torch.tensor([1.0, 2.0, 3.0])
    assert_close((like + per_example(values, like)).flatten(1).amax(1), values)
    assert per_example(values > 1, like).dtype == torch.bool
    assert per_example(0.5, like) == 0.5


def test_norms_go_by_name():
    assert {name: type(as_norm(name)) for name in NORMS} == {"l1": L1, "l2": L2, "linf": Linf}
    assert all(as_norm(norm) is norm and norm.name == name for name, norm in NORMS.items())
    assert isinstance(as_norm("l2"), AbstractNorm)


def test_an_unknown_norm_suggests_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown norm 'Linf'; did you mean 'linf'\? Known: l1, l2, linf\."):
        as_norm("Linf")


def test_a_norm_that_is_no_name_is_refused():
    as_users_call_it = inspect.unwrap(as_norm)  # without the type checker of the tests, which would refuse first
    with pytest.raises(InvalidInput, match="norm must be a name or a norm object, got 2"):
        as_users_call_it(2)


def test_l0_counts_what_changes_and_is_no_norm():
    d = torch.tensor([[[0.0, -1e-30], [2.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    assert L0().size(d).tolist() == [2.0, 0.0]
    assert as_size("l0") == as_size(L0()) == L0()
    assert as_size("l2") == L2()
    with pytest.raises(UnknownName, match="unknown norm 'l0'"):
        as_norm("l0")
