"""An evaluation that cannot be fooled: of a model that hides gradients behind noise, whose robust accuracy is known."""

import pytest
import torch

from attacks.masked_model import EPS, Shattered, examples
from trustworthy.attacks import PGD, FreshDraws, robustness_curve

JUDGE = FreshDraws()


def accuracy(eot, seed, eps=EPS):
    x, y = examples()
    found = PGD(eps=eps, steps=10, eot=eot)(
        Shattered(), x, y, judge=JUDGE, generator=torch.Generator().manual_seed(seed)
    )
    assert not found.open.any()
    return 1 - found.success.double().mean().item()


def test_single_draws_overstate_and_averaged_ones_reach_the_truth():
    x, y = examples()
    assert JUDGE(Shattered(), x, y, generator=torch.Generator().manual_seed(0)).bounds == (1.0, 1.0)
    assert accuracy(1, 0) == 1.0
    assert accuracy(64, 0) == 0.5


@pytest.mark.parametrize(
    ("times", "truth"),
    [
        (0.6, 1.0),
        pytest.param(0.8, 0.5, marks=pytest.mark.slow),
        pytest.param(1.3, 0.5, marks=pytest.mark.slow),
        (1.6, 0.0),
    ],
)
def test_averaged_draws_follow_the_closed_form_along_the_radius(times, truth):
    x, y = examples()
    curve = robustness_curve(
        Shattered(),
        PGD(eps=EPS, steps=10, eot=64),
        x,
        y,
        [times * EPS],
        judge=JUDGE,
        generator=torch.Generator().manual_seed(0),
    )
    assert curve.accuracy[0] == truth
