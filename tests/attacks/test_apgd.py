"""APGD against the algorithm as its papers write it, and against what it must beat."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from reference import apgd as reference
from trustworthy.attacks import APGD, l1_box
from trustworthy.attacks.apgd import checkpoints
from trustworthy.attacks.losses import LOSSES, cross_entropy
from trustworthy.core.errors import InvalidInput
from trustworthy.core.threat import ThreatModel


def wavy(features=6, frequency=4.0):
    """A smooth model with many local maxima."""
    torch.manual_seed(11)
    first, last = nn.Linear(features, 20).double(), nn.Linear(20, 3).double()
    return lambda x: last(torch.sin(frequency * first(x)))


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("steps", [7, 40, *(pytest.param(steps, marks=pytest.mark.slow) for steps in (1, 100))])
def test_follows_the_published_algorithm(norm, steps):
    model, eps = wavy(), 0.3
    # One of these, in l2 with 40 steps, halves its step because nothing changed between two checkpoints.
    x = torch.rand(16, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    # Against the label of least logit the prediction is wrong everywhere at first, so the best point is that of
    # highest loss, which is what the reference returns.
    y = model(x).argmin(1)

    found = APGD(eps=eps, norm=norm, steps=steps, random_start=False)(model, x, y).adversarial
    for i in range(len(x)):

        def f(point, label=y[i : i + 1]):
            point = point.clone().requires_grad_()
            loss = cross_entropy(model(point[None]), label).sum()
            return float(loss.detach()), torch.autograd.grad(loss, point)[0]

        best, best_loss = reference.apgd(f, x[i], eps, norm, steps)
        assert_close(f(found[i])[0], best_loss, rtol=1e-9, atol=1e-9)
        assert_close(found[i], best, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 10, 100, 1000])
def test_checkpoints_are_those_of_the_paper(steps):
    assert checkpoints(steps) == set(reference.checkpoints(steps)[1:])


def test_checkpoints_of_a_hundred_steps_by_hand():
    assert sorted(checkpoints(100))[:6] == [22, 41, 57, 70, 80, 87]


@given(st.integers(0, 10_000), st.floats(0.0, 3.0))
@settings(max_examples=10, deadline=None)
def test_l1_projection_minds_the_box(seed, eps):
    generator = torch.Generator().manual_seed(seed)
    center = (torch.rand(3, 7, dtype=torch.float64, generator=generator) * 1.4 - 0.2).clamp(0.0, 1.0)
    x = center + torch.randn(3, 7, dtype=torch.float64, generator=generator)
    threat = ThreatModel("l1", eps)
    found = l1_box.project(threat, center, x)
    assert float(threat.violation(center, found).max()) <= 1e-12
    for c, start, end in zip(center, x, found, strict=True):
        assert_close(end - c, reference.l1_box_projection(start - c, -c, 1 - c, eps), rtol=0, atol=1e-9)


def test_l1_projection_without_bounds_is_that_of_the_ball():
    center, x = torch.zeros(2, 3), torch.tensor([[3.0, 1.0, 0.0], [0.1, 0.0, 0.2]])
    found = l1_box.project(ThreatModel("l1", 2.0, None), center, x)
    assert_close(found, torch.tensor([[2.0, 0.0, 0.0], [0.1, 0.0, 0.2]]))


def test_spends_all_of_an_l1_budget_on_the_cheapest_coordinates():
    """Against the box, the worst l1 perturbation of a linear model fills the coordinates of largest weight."""
    weight = torch.tensor([5.0, -4.0, 3.0, 2.0, 1.0], dtype=torch.float64)
    x = torch.tensor([[0.6, 0.3, 0.5, 0.5, 0.5]], dtype=torch.float64)

    def model(z):
        return torch.stack([-z @ weight, 0 * z[:, 0]], 1)

    found = APGD(norm="l1", eps=1.0, steps=100, loss="margin")(model, x, torch.tensor([0]))
    assert_close(found.adversarial, torch.tensor([[1.0, 0.0, 0.8, 0.5, 0.5]], dtype=torch.float64), atol=1e-3, rtol=0)


def test_restarts_try_only_what_is_unbroken():
    model = wavy(frequency=20.0)
    x = torch.rand(100, 6, dtype=torch.float64)
    y = model(x).argmax(1)
    once, again = (
        APGD(eps=0.02, steps=10, restarts=n)(model, x, y, generator=torch.Generator().manual_seed(0)) for n in (1, 5)
    )
    assert again.success.sum() > once.success.sum()
    assert (again.queries[once.success] == once.queries[once.success]).all()
    assert (again.success >= once.success).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_breaks_a_weak_model(loss):
    model = wavy()
    x = torch.rand(20, 6, dtype=torch.float64)
    assert APGD(eps=1.0, loss=loss, restarts=5)(model, x, model(x).argmax(1)).success.all()


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"restarts": 0}, {"eps": -1.0}, {"loss": "hinge"}])
def test_refuses_nonsense(wrong):
    x = torch.rand(2, 6, dtype=torch.float64)
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        APGD(**{"eps": 0.1, **wrong})(wavy(), x, torch.tensor([0, 1]))
