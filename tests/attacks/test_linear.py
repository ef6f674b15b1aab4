"""A linear model loses exactly eps times the dual norm of its weight difference."""

import pytest
import torch
from torch.testing import assert_close

from trustworthy.attacks import BIM, FGSM, PGD
from trustworthy.attacks.losses import margin
from trustworthy.core.norms import NORMS


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("eps", [0.01, 0.3])
@pytest.mark.parametrize(
    "attack", [FGSM(eps=1), BIM(eps=1, steps=7), PGD(eps=1, steps=40, random_start=False)], ids=lambda a: type(a).__name__
)
def test_linear_model_loses_eps_times_the_dual_norm(attack, norm, eps):
    from dataclasses import replace

    weight = torch.randn(2, 12, dtype=torch.float64)
    x = torch.randn(9, 12, dtype=torch.float64)
    y = torch.randint(2, (9,))
    result = replace(attack, norm=norm, eps=eps, bounds=None)(lambda z: z @ weight.T, x, y)
    gained = margin(result.adversarial @ weight.T, y) - margin(x @ weight.T, y)
    expected = eps * NORMS[norm].dual.size((weight[0] - weight[1])[None])
    assert_close(gained, expected.expand(9))
