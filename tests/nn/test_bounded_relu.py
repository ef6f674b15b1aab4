import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from trustworthy.core.errors import InvalidInput
from trustworthy.nn import BoundedReLU, bound_relu
from trustworthy.nn.backbones import SmallConvNet


def test_values_and_gradients_are_those_of_the_formula():
    x = torch.tensor([-1.0, 0.0, 0.3, 0.5, 2.0], requires_grad=True)
    y = BoundedReLU(0.5)(x)
    assert_close(y.detach(), torch.tensor([0.0, 0.0, 0.3, 0.5, 0.5]))
    y.sum().backward()
    assert_close(x.grad, torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0]))


def test_every_relu_is_bounded_and_the_weights_stay():
    model = nn.Sequential(SmallConvNet(image_size=8, width=2, classes=3), nn.ReLU6(), nn.Hardtanh(), nn.Linear(3, 2))
    bounded = bound_relu(model, high=0.25)
    layers = [layer for layer in bounded.modules() if isinstance(layer, BoundedReLU)]
    assert [layer.high for layer in layers] == [0.25] * 4
    assert not any(isinstance(layer, nn.ReLU | nn.ReLU6) for layer in bounded.modules())
    assert isinstance(bounded[2], nn.Hardtanh)
    assert list(bounded.state_dict()) == list(model.state_dict())
    assert isinstance(model[1], nn.ReLU6)


def test_a_bound_that_nothing_reaches_changes_nothing():
    model, x = SmallConvNet(image_size=8, width=2).eval(), torch.rand(3, 1, 8, 8)
    assert torch.equal(bound_relu(model, high=1e6)(x), model(x))


def test_a_transformer_block_keeps_its_bound_in_evaluation():
    # torch's fast path for evaluation without gradients knows the plain ReLU alone
    block = nn.TransformerEncoderLayer(4, 2, 8, activation=nn.ReLU(), batch_first=True).eval()
    bounded, x = bound_relu(block, high=0.01), torch.rand(2, 3, 4)
    with torch.no_grad():
        assert_close(bounded(x), bounded(x.clone().requires_grad_()).detach())
        assert not torch.allclose(bounded(x), block(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BoundedReLU(0), "high must be > 0, got 0"),
        (lambda: BoundedReLU(math.inf), "high must be finite"),
        (lambda: bound_relu(nn.ReLU(), high=-1), "high must be > 0, got -1"),
        (lambda: bound_relu(nn.Linear(1, 1)), r"must have an nn.ReLU to bound, and Linear has none; .*torch.relu"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()
