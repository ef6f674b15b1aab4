"""g(f, x, S) against its closed form."""

import pytest
import torch
from torch import nn

from trustworthy.attacks import PGD, MinimumNorm
from trustworthy.core.errors import InvalidInput
from trustworthy.core.grid import Grid
from trustworthy.explain import Robustness


def test_linear_model_against_its_closed_form_in_every_coalition():
    draw = torch.Generator().manual_seed(0)
    model = nn.Linear(6, 2).double()
    with torch.no_grad():
        model.weight.copy_(torch.randn(2, 6, generator=draw))
    x = torch.randn(4, 6, generator=draw, dtype=torch.float64)
    free = torch.rand(4, 7, 6, generator=draw) < 0.5
    free[:, 0] = False
    logits = model(x).detach()
    y = logits.argmax(1)
    found = Robustness(attack=MinimumNorm(bounds=None, steps=120), rows=10)(model, x, y, free)
    slope = model.weight.detach()[y][:, None] - model.weight.detach()  # (n, classes, d)
    margin = logits.gather(1, y[:, None]) - logits
    length = (slope[:, None] * free[:, :, None]).norm(dim=-1)  # (n, k, classes)
    exact = (margin[:, None] / length).nan_to_num(nan=torch.inf, posinf=torch.inf)
    exact = exact.scatter(2, y[:, None, None].expand(-1, 7, 1), torch.inf).amin(2)
    assert found.size[:, 0].isinf().all()
    torch.testing.assert_close(found.size, exact, rtol=2e-3, atol=0)
    assert (found.size >= exact * (1 - 1e-9)).all()
    warm = Robustness(attack=MinimumNorm(bounds=None))(model, x, y, free, start=found.points)
    assert (warm.calls < found.calls / 5).all()
    torch.testing.assert_close(warm.size, exact, rtol=2e-2, atol=0)


def test_what_is_held_stays_and_what_moves_by_steps_ends_on_one():
    model = nn.Linear(3, 2).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 5.0]]))
        model.bias.copy_(torch.tensor([2.25, 0.0]))
    x, y = torch.zeros(1, 3, dtype=torch.float64), torch.tensor([0])
    free = torch.tensor([[[True, True, True], [False, False, True]]])
    ends = torch.tensor([10.0, 10.0, 10.0], dtype=torch.float64)
    grid = Grid(low=-ends, high=ends, step=torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))
    given = {"attack": MinimumNorm(bounds=None, steps=100), "movable": torch.tensor([True, True, False])}
    real = Robustness(**given)(model, x, y, free)
    assert real.points[0, 0, 2] == 0
    torch.testing.assert_close(real.size[0, 0], x.new_tensor(2.25 / 2**0.5), rtol=2e-3, atol=0)
    assert real.size[0, 1].isinf()  # nothing that may move is in it
    stepped = Robustness(**given, grid=grid)(model, x, y, free)
    assert stepped.points[0, 0, 0] == stepped.points[0, 0, 0].round()
    assert stepped.size[0, 0] > real.size[0, 0]


def test_an_attack_with_a_budget_is_refused():
    with pytest.raises(InvalidInput, match="Bisection"):
        Robustness(attack=PGD(eps=1.0))
