from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from trustworthy.core.errors import InvalidInput
from trustworthy.core.norms import NORMS, Linf, as_norm
from trustworthy.core.threat import ThreatModel, as_bounds, rounded_inwards, settled

each_norm = pytest.mark.parametrize("norm", list(NORMS))


@pytest.fixture
def centers(generator) -> torch.Tensor:
    """Inputs of three kinds: inside the box, on its faces, in its corners."""
    inside = torch.rand(4, 2, 3, generator=generator)
    return torch.cat([inside, inside.where(inside > 0.5, 0.0), (inside > 0.5).float()])


@each_norm
@pytest.mark.parametrize("eps", [0.0, 0.1, 0.9, 5.0])
def test_projected_points_lie_in_the_ball_and_the_box(norm, eps, centers, generator):
    threat = ThreatModel(norm, eps)
    x = centers + 3 * torch.randn(centers.shape, generator=generator)
    assert threat.violation(centers, threat.project(centers, x)).max() <= 1e-6
    assert (threat.project(centers, x) >= 0).all()
    assert (threat.project(centers, x) <= 1).all()


@each_norm
def test_projection_takes_one_radius_per_example(norm, centers, generator):
    eps = torch.linspace(0, 1, len(centers))
    x = centers + torch.randn(centers.shape, generator=generator)
    alone = [ThreatModel(norm, float(eps[i])).project(centers[i : i + 1], x[i : i + 1]) for i in range(len(eps))]
    assert_close(ThreatModel(norm, eps).project(centers, x), torch.cat(alone))


def test_linf_projection_is_exact_on_the_intersection(centers, generator):
    x = centers + torch.randn(centers.shape, generator=generator)
    low, high = (centers - 0.2).clamp_min(0), (centers + 0.2).clamp_max(1)
    assert_close(ThreatModel("linf", 0.2).project(centers, x), torch.minimum(torch.maximum(x, low), high))


@each_norm
def test_no_radius_leaves_the_input(norm, centers, generator):
    threat = ThreatModel(norm, 0.0)
    assert_close(threat.project(centers, torch.randn(centers.shape, generator=generator)), centers, rtol=0, atol=0)
    assert_close(threat.sample(centers, generator), centers, rtol=0, atol=0)


@each_norm
def test_samples_lie_in_the_ball_and_the_box_and_repeat(norm, centers):
    threat = ThreatModel(norm, 0.4)
    first, second = (threat.sample(centers, torch.Generator().manual_seed(3)) for _ in range(2))
    assert_close(first, second, rtol=0, atol=0)
    assert threat.violation(centers, first).max() <= 1e-6
    assert (first != centers).any(1).any(1).all()


def test_violation_measures_the_ball_and_the_box():
    center = torch.tensor([[0.5, 0.5]]).repeat(4, 1)
    x = torch.tensor([[0.6, 0.5], [0.9, 0.5], [1.3, 0.5], [0.5, -0.2]])
    assert_close(ThreatModel("linf", 0.1).violation(center, x), torch.tensor([0.0, 0.3, 0.7, 0.6]))
    assert_close(ThreatModel("linf", 2.0).violation(center, x), torch.tensor([0.0, 0.0, 0.3, 0.2]))
    assert_close(ThreatModel("l2", 2.0, None).violation(center, x), torch.zeros(4))


@each_norm
def test_what_is_not_free_is_put_back_and_takes_nothing_of_the_ball(norm, centers, generator):
    free = torch.rand(centers.shape, generator=generator) < 0.5
    free[:, 0, 0] = True
    threat = ThreatModel(norm, 0.3, free=free)
    x = centers + torch.randn(centers.shape, generator=generator)
    for moved in (threat.project(centers, x), threat.sample(centers, generator)):
        assert torch.equal(moved[~free], centers[~free])
        assert threat.violation(centers, moved).max() <= 1e-6
        assert (moved != centers)[free].any()
    within = ThreatModel(norm, 0.3).project(centers, torch.where(free, x, centers))
    assert_close(threat.project(centers, x), within)
    assert (threat.movable(centers, torch.ones_like(x))[~free] == 0).all()
    outside = torch.where(free, centers, centers + 0.1)
    assert_close(threat.violation(centers, outside)[0], torch.tensor(0.1))
    rows = torch.tensor([3, 1])
    assert_close(threat.subset(rows).project(centers[rows], x[rows]), threat.project(centers, x)[rows])


def test_a_mask_is_boolean():
    with pytest.raises((InvalidInput, TypeError), match="free"):
        ThreatModel("linf", 0.1, free=torch.ones(2, 3))


def test_a_radius_in_float64_does_not_raise_the_precision(centers, generator):
    threat = ThreatModel("l2", torch.full((len(centers),), 0.1, dtype=torch.float64))
    moved = (threat.project(centers, centers + 1), threat.sample(centers, generator))
    assert {result.dtype for result in (*moved, threat.violation(centers, centers))} == {torch.float32}


def test_directions_out_of_the_box_are_stuck_at_its_faces():
    x = torch.tensor([[0.0, 0.0, 1.0, 1.0, 0.5]])
    grad = torch.tensor([[-1.0, 2.0, 3.0, -4.0, 5.0]])
    assert_close(ThreatModel("l1", 1.0).movable(x, grad), torch.tensor([[0.0, 2.0, 0.0, -4.0, 5.0]]))
    assert_close(ThreatModel("l1", 1.0, None).movable(x, grad), grad)
    assert_close(ThreatModel("l1", 1.0, (-1.0, 1.0)).movable(x, grad), torch.tensor([[-1.0, 2.0, 0.0, -4.0, 5.0]]))


def test_no_bounds_mean_no_clipping():
    x = torch.tensor([[-5.0, 7.0]])
    assert_close(ThreatModel("linf", 1.0, None).clip(x), x)
    assert_close(ThreatModel("linf", 1.0, (-1, 2)).clip(x), torch.tensor([[-1.0, 2.0]]))


def test_a_threat_is_a_value():
    assert ThreatModel("linf", 1) == ThreatModel(Linf(), 1.0, (0, 1))
    assert ThreatModel("linf", 0.1).geometry == Linf()
    assert as_bounds((0, 255)) == (0.0, 255.0)
    assert as_bounds(None) is None


def test_bounds_are_any_pair_and_nothing_else():
    as_users_call_it = inspect.unwrap(as_bounds)  # without the type checker of the tests, which would refuse first
    assert as_users_call_it([0, 255]) == (0.0, 255.0)
    for wrong in (1.0, (0.0, 0.5, 1.0), "01"):
        with pytest.raises(InvalidInput, match="bounds must be a pair"):
            as_users_call_it(wrong)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("linf", -0.1), "eps must be >= 0, got -0.1"),
        (("linf", math.nan), "eps must be finite, got nan"),
        (("linf", math.inf), "eps must be finite, got inf"),
        (("linf", torch.tensor([0.1, -0.1])), "eps must be one finite radius >= 0 or a tensor"),
        (("linf", torch.tensor([0.1, math.nan])), "eps must be one finite radius >= 0 or a tensor"),
        (("linf", torch.tensor([0.1, math.inf])), "eps must be one finite radius >= 0 or a tensor"),
        (("linf", torch.tensor(0.1)), "eps must be one finite radius >= 0 or a tensor"),
        (("linf", 0.1, (1.0, 0.0)), r"bounds must have lowest < highest, got \(1.0, 0.0\)"),
        (("linf", 0.1, (0.0, math.nan)), r"bounds \(None for no limits\) must be finite"),
        (("l3", 0.1), "unknown norm 'l3'"),
    ],
)
def test_refuses_what_is_no_threat(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        ThreatModel(*arguments)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_what_rounding_put_outside_is_settled_inside(norm, dtype):
    """Of 3,000 coordinates whose sum in float64 is itself rounded; what did not move stays, and little is lost."""
    stream = torch.Generator().manual_seed(0)
    center = torch.rand(4, 3000, generator=stream).to(dtype)
    eps, geometry = 0.1, as_norm(norm)
    d = torch.randn(center.shape, generator=stream, dtype=torch.float64)
    d[:, ::2] = 0.0
    grown = (center.double() + geometry.project(d, eps) * 1.001).to(dtype)
    inside = settled(grown, center, geometry, eps, (0.0, 1.0))
    assert inside.dtype == dtype
    size = np.linalg.norm((inside.double() - center.double()).numpy(), {"linf": np.inf, "l2": 2, "l1": 1}[norm], axis=1)
    assert (size <= eps).all()
    assert dtype in (torch.bfloat16, torch.float16) or (size > 0.9 * eps).all()
    assert torch.equal(inside[:, ::2], center[:, ::2])
    assert inside.min() >= 0
    assert inside.max() <= 1


def test_rounding_inwards_is_the_next_number_towards_the_centre():
    center = torch.tensor([[1.0, 1.0, -1.0, 0.0, 0.5, 0.0]], dtype=torch.bfloat16)
    x = torch.tensor([[1.0 + 2**-8 + 2**-9, 1.0 - 2**-9, -1.0 - 2**-7 + 2**-20, 1e-3, 0.5, 3e38]])
    rounded = rounded_inwards(x, center)
    assert ((rounded.float() - center.float()).abs() <= (x - center.float()).abs()).all()
    further = torch.where(x > center.float(), torch.inf, -torch.inf).to(torch.bfloat16)
    beyond = rounded.nextafter(further).float()
    assert ((beyond - center.float()).abs() > (x - center.float()).abs()).all()
