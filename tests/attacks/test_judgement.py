"""A stochastic model errs where its mean prediction over fresh draws does, and what the draws leave open is said."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import t
from torch.testing import assert_close

from trustworthy.attacks import PGD, FreshDraws, SquareAttack, robustness_curve
from trustworthy.core.errors import InvalidInput, ModelContractError

WEIGHT = torch.tensor([2.0, -1.0, 0.5, 1.0], dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def coin(z):
    """Class 1 in a draw with the probability that the input says, for sure: the mean prediction is its majority."""
    heads = (torch.rand(len(z), dtype=z.dtype) < z[:, 0]).to(z.dtype)
    return 40.0 * torch.stack([1 - heads, heads], 1)


def logits_of(probabilities):
    """Draws as members in turn, of one input."""
    return torch.tensor(probabilities, dtype=torch.float64)[:, None, :]


def test_the_interval_is_students_around_the_mean_lead():
    p = torch.rand(16, 1, 2, dtype=torch.float64, generator=seeded())
    p = p / p.sum(-1, keepdim=True)
    leads = (p[:, 0, 0] - p[:, 0, 1]).numpy()
    low, high = t.interval(0.9, 15, leads.mean(), leads.std(ddof=1) / 4)
    for shift, answer in ((-high - 1e-6, (False, False)), (-high + 1e-6, (False, True)), (-low - 1e-6, (True, True)),
                          (-low + 1e-6, (True, False))):  # fmt: skip
        moved = p + torch.tensor([shift / 2, -shift / 2], dtype=torch.float64)
        found = FreshDraws(draws=16, level=0.9).of(moved, torch.tensor([0]))
        assert (found.holds.item(), found.open.item()) == answer, shift


def test_a_fixed_model_leaves_nothing_open():
    x = torch.linspace(-1, 1, 21, dtype=torch.float64)[:, None]
    found = FreshDraws(draws=2)(lambda z: torch.cat([-1e-9 * z, 1e-9 * z], 1), x, torch.ones(21, dtype=torch.int64))
    assert not found.open.any()
    assert_close(found.holds, x[:, 0] > 0)
    assert found.bounds == (found.share, found.share) == (10 / 21, 10 / 21)


@pytest.mark.parametrize("classes", [2, 6])
def test_an_example_on_the_edge_is_decided_no_more_often_than_the_level_says(classes):
    """All classes equally likely: every decision is an error, either way, 5 % of both together at most."""
    n = 1500

    def tied(z):
        return 40.0 * torch.nn.functional.one_hot(torch.randint(classes, (len(z),)), classes)

    x, y = torch.zeros(n, 1), torch.zeros(n, dtype=torch.int64)
    found = FreshDraws(draws=64)(tied, x, y, generator=seeded())
    assert (~found.open).float().mean() < 0.05 + 4 * (0.05 * 0.95 / n) ** 0.5
    low, high = found.bounds
    assert low < found.share < high


def test_what_is_decided_is_decided_rightly():
    x = torch.tensor([[0.1], [0.45], [0.55], [0.9]], dtype=torch.float64).repeat_interleave(150, 0)
    y = (x[:, 0] > 0.5).long()
    few, many = (FreshDraws(draws=draws)(coin, x, y, generator=seeded(), batch_size=300) for draws in (16, 512))
    for found in (few, many):
        assert (found.holds | found.open).double().mean() > 0.97
    assert few.open.double().mean() > 0.4
    assert few.open[:150].double().mean() < 0.05
    assert many.open.double().mean() < 0.25


class Lucky:
    """A model that holds at any perturbation, but for one answer in four that is wrong."""

    def __init__(self):
        self.asked = 0

    def __call__(self, z):
        wrong = (torch.rand(len(z), dtype=z.dtype) < 0.25).to(z.dtype)
        self.asked += len(z)
        return torch.stack([4.0 - 8.0 * wrong + 0 * z.sum(1), 0 * z.sum(1)], 1)


def test_a_lucky_draw_breaks_nothing():
    x, y = torch.full((40, 4), 0.5, dtype=torch.float64), torch.zeros(40, dtype=torch.int64)
    attack = PGD(eps=0.1, steps=3)
    lucky = robustness_curve(Lucky(), attack, x, y, [0.05, 0.1], generator=seeded())
    assert lucky.accuracy[-1] < 0.9
    judged = robustness_curve(Lucky(), attack, x, y, [0.05, 0.1], generator=seeded(), judge=FreshDraws())
    assert (judged.accuracy == 1.0).all()
    assert np.isinf(judged.limits_at[1]).all()
    assert np.isinf(judged.limits_at[0]).mean() > 0.8


@pytest.mark.parametrize(
    "attack", [PGD(eps=0.1, steps=4, restarts=3), SquareAttack(eps=0.1, steps=12)], ids=["PGD", "Square"]
)
def test_no_search_stops_at_a_lucky_draw(attack):
    x, y = torch.full((40, 4), 0.5, dtype=torch.float64), torch.zeros(40, dtype=torch.int64)
    plain = attack(Lucky(), x, y, generator=seeded())
    judged = attack(Lucky(), x, y, generator=seeded(), judge=FreshDraws(draws=32))
    assert (plain.queries < plain.queries.max()).any()  # some thought to be broken asked no more
    assert (judged.queries == judged.queries[0]).all()
    assert not (judged.success & ~judged.open).any()


@pytest.mark.parametrize("restarts", [1, 3])
def test_of_a_noisy_model_the_last_iterate_counts(restarts):
    """Its noise moves the loss far more than the attack does, and leaves the gradient as it is."""

    def noisy(z):
        score = z @ WEIGHT + 50 * torch.randn(len(z), dtype=z.dtype)
        return torch.stack([score, 0 * score], 1)

    x, y = torch.full((30, 4), 0.5, dtype=torch.float64), torch.zeros(30, dtype=torch.int64)
    attack = PGD(eps=0.1, steps=10, step_size=0.02, loss="margin", random_start=False, restarts=restarts)
    for attacked in (attack(noisy, x, y, generator=seeded(), judge=FreshDraws()),
                     replace(attack, eot=2)(noisy, x, y, generator=seeded())):  # fmt: skip
        assert_close(attacked.adversarial, x - 0.1 * WEIGHT.sign())


def test_examples_are_attacked_until_they_are_surely_broken():
    """Margins of a noisy linear model fall by eps * |w|: doubt begins before the mean turns and ends later."""

    def noisy(z):
        return torch.stack([z @ WEIGHT + torch.randn(len(z), dtype=z.dtype), 0 * z[:, 0]], 1)

    margins = torch.linspace(0.1, 1.0, 40, dtype=torch.float64)
    x = margins[:, None] * WEIGHT / WEIGHT.norm() ** 2
    attack = PGD(eps=1.0, steps=2, bounds=None, eot=2)
    eps = np.linspace(0.0, 0.4, 9)
    curve = robustness_curve(
        noisy, attack, x, torch.zeros(40, dtype=torch.int64), eps, generator=seeded(), judge=FreshDraws()
    )
    first, last = curve.limits_at
    assert (first <= curve.broken_at).all()
    assert (curve.broken_at <= last).all()
    assert (first < last).any()
    exact = margins.numpy() / float(WEIGHT.abs().sum())
    assert ((first <= exact + 0.05) & (exact <= last)).mean() >= 0.9
    assert_close(curve.worst(curve).limits_at, curve.limits_at)


def test_targets_are_judged_by_the_class_that_is_sought():
    x = torch.full((2, 1), 0.9, dtype=torch.float64)
    attack = PGD(eps=0.001, steps=1, bounds=None)

    def hot(z):
        return coin(z) + 0 * z

    found = attack(hot, x, torch.tensor([0, 0]), target=torch.tensor([1, 0]), generator=seeded(), judge=FreshDraws())
    assert found.success.tolist() == [True, False]
    assert not found.open.any()


def test_bad_judges():
    with pytest.raises(InvalidInput, match="draws must be >= 2"):
        FreshDraws(draws=1)
    with pytest.raises(InvalidInput, match="level must lie between 0 and 1, got 1"):
        FreshDraws(level=1.0)
    with pytest.raises(ModelContractError, match="NaN in one of several draws"):
        FreshDraws()(lambda z: z * np.nan, torch.zeros(2, 2), torch.zeros(2, dtype=torch.int64))
