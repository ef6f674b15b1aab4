"""A linear model loses exactly eps times the dual norm of its weight difference."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from trustworthy.attacks import APGD, BIM, FGSM, PGD, RandFGSM, UniformFGSM
from trustworthy.attacks.losses import margin
from trustworthy.core.norms import NORMS

EXACT = [
    FGSM(eps=1), BIM(eps=1, steps=7), PGD(eps=1, random_start=False), RandFGSM(eps=1, start=0.0),
    UniformFGSM(eps=1, start=0.0),
]  # fmt: skip


def name(attack):
    return type(attack).__name__


def lost(attack, dtype=torch.float64, bounds=None, free=None):
    """What the attack gains of the margin, and the most that it can gain."""
    weight = torch.randn(2, 12, dtype=dtype)
    x = torch.rand(9, 12, dtype=dtype) * 0.2 + 0.4
    y = torch.randint(2, (9,))
    result = replace(attack, bounds=bounds)(lambda z: z @ weight.T, x, y, free=free)
    gained = margin(result.adversarial @ weight.T, y) - margin(x @ weight.T, y)
    slope = (weight[0] - weight[1]).expand(9, 12) * (1.0 if free is None else free)
    return gained, attack.eps * attack.geometry.dual.size(slope)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("attack", [*EXACT, APGD(eps=1, random_start=False, loss="margin")], ids=name)
def test_under_a_mask_it_loses_eps_times_the_dual_norm_of_what_is_free(attack, norm):
    free = torch.rand(9, 12, generator=torch.Generator().manual_seed(1)) < 0.4
    free[0, 0] = True
    gained, most = lost(replace(attack, norm=norm, eps=0.05), free=free)
    assert_close(gained, most, rtol=1e-4 if norm == "l2" and isinstance(attack, APGD) else 1e-6, atol=0)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("eps", [0.01, 0.3])
@pytest.mark.parametrize("attack", EXACT, ids=name)
def test_linear_model_loses_eps_times_the_dual_norm(attack, norm, eps):
    assert_close(*lost(replace(attack, norm=norm, eps=eps)))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("loss", ["ce", "margin"])
@pytest.mark.parametrize("attack", [PGD(eps=1, random_start=False, steps=10), FGSM(eps=1)], ids=name)
def test_every_loss_finds_it(attack, norm, loss):
    assert_close(*lost(replace(attack, norm=norm, eps=0.05, loss=loss)))


@pytest.mark.parametrize("norm", ["l1", "linf"])
def test_apgd_finds_it_from_any_start_in_a_polytope(norm):
    assert_close(*lost(APGD(norm=norm, eps=0.05, loss="margin")), rtol=1e-6, atol=0)


def test_apgd_comes_near_it_in_l2():
    gained, most = lost(APGD(norm="l2", eps=0.05, loss="margin"))
    assert (gained >= (1 - 1e-4) * most).all()


@pytest.mark.parametrize("norm", NORMS)
def test_pgd_finds_it_in_float32_within_bounds_that_do_not_bind(norm):
    gained, most = lost(PGD(norm=norm, eps=0.1, random_start=False), torch.float32, bounds=(0.0, 1.0))
    assert_close(gained, most, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("attack", [FGSM(eps=0.3), PGD(eps=0.3, random_start=False)], ids=name)
@pytest.mark.parametrize("norm", NORMS)
def test_no_budget_is_spent_against_a_bound(attack, norm):
    """The heaviest coordinate is used up, so that a whole l1 or l2 step goes into the other."""
    x = torch.tensor([[1.0, 0.5]], dtype=torch.float64)

    def model(z):
        return torch.stack([0 * z[:, 0], 2 * z[:, 0] + z[:, 1]], 1)

    result = replace(attack, norm=norm)(model, x, torch.tensor([0]))
    assert_close(result.adversarial, torch.tensor([[1.0, 0.8]], dtype=torch.float64))


def test_a_step_from_a_uniform_start_ends_on_the_boundary_where_it_reaches_that_far():
    slope = torch.ones(20_000, dtype=torch.float64)
    x, y = torch.zeros(1, 20_000, dtype=torch.float64), torch.tensor([0])
    attack = UniformFGSM(eps=0.5, bounds=None, step=1.25)
    moved = attack.perturb(lambda z: torch.stack([0 * z @ slope, z @ slope], 1), x, y)[0]
    ended = moved == 0.5
    # From U(-1, 1) radii the step of 1.25 ends beyond the boundary with probability 5/8, and otherwise uniformly.
    assert float(ended.double().mean()) == pytest.approx(0.625, abs=4 * (0.625 * 0.375 / 20_000) ** 0.5)
    assert moved.min() >= -1e-9 + 0.5 * 0.25
    assert float(moved[~ended].mean()) == pytest.approx(0.5 * (0.25 + 1) / 2, abs=0.01)
