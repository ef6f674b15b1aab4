"""Agreement of explanations with captum and shap where both compute the same."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from trustworthy.explain import ExactSHAP, IntegratedGradients, KernelSHAP

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


def task(features: int = 6) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(features, 16), nn.Tanh(), nn.Linear(16, 3)).double()
    x = torch.rand(4, features, dtype=torch.float64)
    return model, x, model(x).argmax(1)


@pytest.mark.parametrize("baseline", [0.0, 0.3])
def test_integrated_gradients_are_those_of_captum(baseline):
    attr = pytest.importorskip("captum.attr")
    model, x, y = task()
    theirs = attr.IntegratedGradients(model).attribute(x, target=y, baselines=baseline, n_steps=20)
    assert_close(IntegratedGradients(steps=20, baseline=baseline)(model, x, y).scores, theirs)


def test_shapley_values_are_those_of_captum_and_shap():
    attr, shap = pytest.importorskip("captum.attr"), pytest.importorskip("shap")
    model, x, y = task()
    exact = ExactSHAP()(model, x, y).scores
    for row in range(len(x)):

        def score(rows, row=row):
            return model(torch.from_numpy(rows)).detach()[:, int(y[row])].numpy()

        theirs = shap.KernelExplainer(score, np.zeros((1, 6)), silent=True)
        found = theirs.shap_values(x[row : row + 1].numpy(), nsamples=1000, l1_reg=False, silent=True)
        assert_close(exact[row : row + 1], torch.from_numpy(found))
    torch.manual_seed(0)
    sampled = attr.KernelShap(model).attribute(x[:1], target=y[:1], n_samples=4000)
    found = KernelSHAP()(model, x[:1], y[:1]).scores
    assert_close(found, exact[:1])
    assert_close(sampled.double(), found, rtol=0, atol=0.02)
