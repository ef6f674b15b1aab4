import pytest
import torch
from torch import nn
from torch.testing import assert_close

from trustworthy.core.errors import InvalidInput
from trustworthy.nn import replaced


class Twice(nn.Module):
    """One layer in two places, and a block that holds it once more."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.act = nn.ReLU()
        self.block = nn.Sequential(self.first, self.act, nn.Sequential(nn.Linear(3, 3), nn.ReLU()))
        self.again = self.first

    def forward(self, x):
        return self.block(self.act(self.again(self.first(x))))


class Wrapped(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("calls", torch.tensor(0))
        self.own = nn.BatchNorm1d(3)

    def forward(self, x):
        return self.scale * self.inner(x)


class Zero(nn.Module):
    def forward(self, x):
        return 0 * x


def tanh(name, module):
    return nn.Tanh() if isinstance(module, nn.ReLU) else None


def wrapped(kind):
    return lambda name, module: Wrapped(module) if isinstance(module, kind) else None


def test_every_depth_is_reached_and_the_weights_stay():
    model, x = Twice(), torch.rand(5, 3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    got = replaced(model, tanh)

    def by_hand(x):
        x = torch.tanh(model.first(model.first(x)))
        return torch.tanh(model.block[2][0](torch.tanh(model.first(x))))

    assert_close(got(x), by_hand(x))
    assert got.state_dict().keys() == before.keys()
    assert all(torch.equal(got.state_dict()[name], value) for name, value in before.items())
    assert not any(isinstance(module, nn.ReLU) for module in got.modules())


def test_the_model_itself_is_left_alone():
    model = Twice()
    got = replaced(model, tanh)
    assert isinstance(model.block[2][1], nn.ReLU)
    with torch.no_grad():
        got.first.weight.zero_()
    assert model.first.weight.abs().sum() > 0


def test_a_module_in_several_places_stays_one_and_is_asked_for_once():
    asked = []

    def rule(name, module):
        asked.append(name)
        return tanh(name, module) or wrapped(nn.Linear)(name, module)

    got = replaced(Twice(), rule)
    assert got.first is got.again is got.block[0]
    assert got.act is got.block[1]
    assert got.act is not got.block[2][1]
    assert asked == ["first", "act", "block.2.0", "block.2.1", "block.2", "block", ""]


def test_the_whole_model_and_a_block_around_replaced_layers():
    model, x = nn.Sequential(nn.Linear(3, 3), nn.ReLU()), torch.rand(4, 3)
    got = replaced(model, lambda name, module: tanh(name, module) or (Wrapped(module) if name == "" else None))
    assert isinstance(got, Wrapped)
    assert_close(got(x), 2 * torch.tanh(model[0](x)))
    assert isinstance(replaced(nn.ReLU(), tanh), nn.Tanh)


def test_new_modules_take_on_type_device_and_mode_and_old_ones_keep_theirs():
    model = nn.Sequential(nn.Linear(3, 3).double(), nn.ReLU(), nn.Sequential(nn.BatchNorm1d(3), nn.ReLU()))
    model[2][0].eval()
    model[0].eval()
    model[1].eval()
    rule = lambda name, module: (  # noqa: E731
        Wrapped(module) if name in ("0", "2") else nn.PReLU() if isinstance(module, nn.ReLU) else None
    )
    got = replaced(model, rule)
    assert (got[0].scale.dtype, got[0].own.weight.dtype, got[0].calls.dtype) == (torch.float64,) * 2 + (torch.int64,)
    assert got[1].weight.dtype == torch.float64  # a ReLU has no type: that of the model's first weight
    assert (got[2].scale.dtype, got[2].inner[0].weight.dtype) == (torch.float32, torch.float32)
    assert [module.training for module in (got, got[0], got[0].own, got[0].inner, got[1])] == [True, *[False] * 4]
    assert [module.training for module in (got[2], got[2].own, got[2].inner, got[2].inner[0])] == [True] * 3 + [False]
    whole = replaced(model, lambda name, module: None if name else Wrapped(module))
    assert (whole.scale.dtype, whole.inner[2][0].weight.dtype) == (torch.float64, torch.float32)
    meta = replaced(model.to("meta"), rule)
    assert {tensor.device.type for tensor in (*meta.parameters(), *meta.buffers())} == {"meta"}


def test_a_transformer_block_computes_what_it_holds_in_evaluation_too():
    # torch's fast path for evaluation without gradients knows the layers that were there before, and no dropout
    block = nn.TransformerEncoderLayer(4, 2, 8, activation=nn.ReLU(), batch_first=True).eval()
    x, zero = torch.rand(2, 3, 4), lambda name, module: Zero() if isinstance(module, nn.ReLU | nn.Dropout) else None
    got = replaced(nn.Sequential(block), zero)
    with torch.no_grad():
        assert_close(got(x), block.norm2(block.norm1(x)))
        assert replaced(block, lambda name, module: None).activation_relu_or_gelu == block.activation_relu_or_gelu


def test_a_rule_that_gives_something_else_is_refused():
    with pytest.raises(InvalidInput, match="rule must give a module or None, got type for 1"):
        replaced(nn.Sequential(nn.Linear(1, 1), nn.ReLU()), lambda name, module: nn.Tanh if name == "1" else None)
