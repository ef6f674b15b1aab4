"""Long evaluations tell how far they are, and telling changes nothing of what they find."""

import numpy as np
import pytest
import torch

from trustworthy.attacks import APGD, PGD, diagnose, minimal_distortion, robustness_curve, transfer_affinity

X = torch.rand(10, 4, generator=torch.Generator().manual_seed(3))
Y = (X.sum(1) < 2).long()
LONG = {
    "curve": lambda **given: robustness_curve(model, PGD(eps=1.0, steps=2), X, Y, [0.05, 0.3], **given).broken_at,
    "distortion": lambda **given: minimal_distortion(model, PGD(eps=1.0, steps=2), X, Y, **given).distance.numpy(),
    "transfer": lambda **given: transfer_affinity([model, noisy], PGD(eps=0.2, steps=2), X, Y, **given).attacked,
}


def model(z):
    return torch.stack([z.sum(1), 4 - z.sum(1)], 1)


def noisy(z):
    return model(z) + 0.1 * torch.randn(len(z), 2)


def seeded():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("evaluate", LONG.values(), ids=LONG)
def test_the_share_done_rises_to_one_with_the_batches(evaluate):
    told = []
    found = evaluate(generator=seeded(), batch_size=4, advance=told.append)
    assert told == [0.4, 0.8, 1.0]
    np.testing.assert_array_equal(found, evaluate(generator=seeded(), batch_size=4))


@pytest.mark.parametrize("norm", ["l1", "linf"])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), None])
def test_the_share_of_a_diagnosis_rises_to_one_with_its_checks(norm, bounds):
    told = []
    x, y = (X, Y) if bounds else (X[Y == 0], Y[Y == 0])  # of one class, without bounds: one check is left out
    found = diagnose(
        model, x, y, attack=PGD(eps=0.1, norm=norm, bounds=bounds, steps=2), queries=3, advance=told.append
    )
    assert told == [pytest.approx((i + 1) / len(found.checks)) for i in range(len(found.checks))]


def test_a_curve_of_batches_is_the_batches_curves_one_after_the_other():
    attack, eps, one, other = APGD(eps=1.0, steps=3), [0.02, 0.1, 0.2], seeded(), seeded()
    whole = robustness_curve(noisy, attack, X, Y, eps, generator=one, batch_size=4).broken_at
    parts = [robustness_curve(noisy, attack, X[i : i + 4], Y[i : i + 4], eps, generator=other) for i in (0, 4, 8)]
    np.testing.assert_array_equal(whole, np.concatenate([part.broken_at for part in parts]))
