"""Lower bounds of g(f, x, S): exact for a linear model, below what an attack finds, and whole where all is free."""

import itertools

import pytest
import torch
from torch import nn

from trustworthy.attacks import MinimumNorm
from trustworthy.certify import certify_linear
from trustworthy.core.norms import as_norm
from trustworthy.explain import Robustness, certified_robustness

SUBSETS = torch.tensor(list(itertools.product([False, True], repeat=4)))


def drawn(model, seed):
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed)))
    return model.double()


def posed(seed, n=3):
    x = torch.rand(n, 4, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    return x, SUBSETS.expand(n, -1, -1)


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_exact_for_a_linear_model(norm):
    model = drawn(nn.Linear(4, 3), 0)
    x, free = posed(0)
    logits = model(x).detach()
    y = logits.argmax(1)
    slope = (model.weight[y][:, None] - model.weight).detach()  # (n, classes, d)
    steep = (slope[:, None] * free[:, :, None]).flatten(0, 2)
    length = as_norm(norm).dual.size(steep).reshape(3, 16, 3)
    margin = (logits.gather(1, y[:, None]) - logits)[:, None]
    own = nn.functional.one_hot(y, 3).bool()[:, None]
    exact = (margin / length).masked_fill(own | (length == 0), torch.inf).amin(2)
    found = certified_robustness(model, x, y, free, norm=norm, bounds=None)
    assert (found <= exact).all()
    torch.testing.assert_close(found, exact, rtol=1e-3, atol=0)
    wrong = certified_robustness(model, x, (y + 1) % 3, free, norm=norm, bounds=None)
    assert (wrong[:, 1:] == 0).all()
    assert (wrong[:, 0] == torch.inf).all()


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_below_what_an_attack_finds_in_every_subset(norm):
    model = drawn(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)), 3)
    x, free = posed(3)
    y = model(x).argmax(1)
    lower = certified_robustness(model, x, y, free, norm=norm)
    upper = Robustness(attack=MinimumNorm(norm=norm, steps=40))(model, x, y, free).size
    assert (lower <= upper).all()
    assert (lower[:, 0] == torch.inf).all()
    known = upper.isfinite()
    assert (lower[known] > 0.3 * upper[known]).double().mean() > 0.9  # and not far below
    assert (lower[:, 1:].isfinite() | upper[:, 1:].isinf()).all()
    whole = certify_linear(model, x, y, norm=norm, bounds=(0.0, 1.0)).lower
    torch.testing.assert_close(lower[:, -1], torch.as_tensor(whole))


def test_what_is_proved_between_the_bounds_is_proved_for_good():
    model = drawn(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)), 1)
    with torch.no_grad():
        model[2].bias += torch.tensor([100.0, 0.0], dtype=torch.float64)
    x, free = posed(1)
    y = torch.zeros(3, dtype=torch.int64)
    assert certified_robustness(model, x, y, free, norm="linf").isinf().all()
    assert certified_robustness(model, x, y, free, norm="l2")[:, 1:].isfinite().all()
