import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.functional import dropout
from torch.testing import assert_close

from trustworthy.core.errors import InvalidInput
from trustworthy.core.predictive import predict
from trustworthy.nn import PersistentDropout, persist_dropout
from trustworthy.nn.dropout import KINDS


def persistent(model):
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, PersistentDropout)}


def test_persistent_dropout_is_dropout_in_either_mode():
    layer, x = PersistentDropout(0.25).eval(), torch.ones(40_000)
    torch.manual_seed(0)
    kept = layer(x)
    assert_close(kept.unique(), torch.tensor([0.0, 4 / 3]))
    assert abs(int((kept == 0).sum()) - 10_000) < 4 * math.sqrt(40_000 * 0.25 * 0.75)


def test_every_dropout_persists_with_the_probability_that_it_has():
    model = nn.Sequential(nn.Dropout(0.25), nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.75, inplace=True)))
    got = persist_dropout(model)
    assert [layer.p for layer in got.modules() if isinstance(layer, PersistentDropout)] == [0.25, 0.75]
    assert not any(isinstance(layer, nn.Dropout) for layer in got.modules())
    assert isinstance(model[0], nn.Dropout)
    assert list(got.state_dict()) == list(model.state_dict())
    x = torch.rand(3, 2)
    assert torch.equal(model.eval()(x), model(x))
    assert not torch.equal(got.eval()(x), got(x))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_drops_in_evaluation_what_it_drops_in_training(kind):
    plain = kind(0.5)
    x = torch.rand(2, 3, *[4] * {nn.Dropout1d: 1, nn.Dropout3d: 3}.get(kind, 2))
    torch.manual_seed(0)
    dropped = plain.train()(x)
    torch.manual_seed(0)
    assert torch.equal(persist_dropout(plain.eval())(x), dropped)
    assert not torch.equal(dropped, x)
    at_once = torch.func.vmap(lambda _: persist_dropout(plain)(x), randomness="different")(torch.zeros(2))
    assert not torch.equal(at_once[0], at_once[1])


class Deep(nn.Module):
    def __init__(self, *dropout):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), *dropout, nn.ConvTranspose2d(2, 2, 2), nn.Flatten(), nn.Linear(18, 2)
        )

    def forward(self, x):
        return self.layers(x)


def test_p_is_the_rate_of_all_dropout_that_the_model_has():
    model = persist_dropout(Deep(nn.Dropout2d(0.5), PersistentDropout(0.1)), p=0.3)
    assert [(layer.p, layer.kind) for layer in persistent(model).values()] == [(0.3, "dropout2d"), (0.3, "dropout")]


def test_without_dropout_p_puts_it_before_every_layer_but_the_first():
    plain = Deep().train()
    model, x = persist_dropout(plain, p=0.4), torch.rand(3, 1, 3, 3)
    assert {name: layer.p for name, layer in persistent(model).items()} == {
        "layers.2.noise": 0.4,
        "layers.4.noise": 0.4,
    }
    assert list(model.state_dict()) == list(plain.state_dict())
    assert not persistent(plain)
    assert len(predict(model, x, draws=4).members.unique(dim=0)) == 4
    assert_close(predict(persist_dropout(plain, p=0), x, draws=3).members, predict(plain, x, draws=3).members)


def test_without_a_rate_nothing_varies_and_batch_normalisation_stays_in_evaluation():
    model, x = Deep(nn.Dropout(0.5)), torch.rand(5, 1, 3, 3)
    model(x)  # statistics that are not those of the batches below
    alone = torch.cat([predict(persist_dropout(model, p=0), row[None], draws=2).std for row in x])
    assert not bool(alone.any())
    still = persist_dropout(model, p=0)
    assert_close(predict(still, x).mean[:1], predict(still, x[:1]).mean)  # a row does not depend on its batch
    before = {name: value.clone() for name, value in model.state_dict().items()}
    dropping = persist_dropout(model)
    predict(dropping, x, draws=3)
    assert all(torch.equal(value, before[name]) for name, value in dropping.state_dict().items())


class ByModule(nn.Module):
    def forward(self, x):
        return nn.functional.dropout(x, 0.5, self.training)


class ByAlias(nn.Module):
    def forward(self, x):
        return self.inner(x)

    def inner(self, x):
        return F.dropout2d(x, 0.5, self.training)


class ByName(nn.Module):
    def forward(self, x):
        return dropout(x, 0.5, self.training)


class Inherited(ByName):
    pass


class Own(nn.Dropout):
    pass


class Harmless(nn.Module):
    """Has the word in its code, and no function of torch."""

    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        return self.dropout(x)


def test_a_layer_of_the_name_is_no_function():
    assert list(persistent(persist_dropout(Harmless()))) == ["dropout"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PersistentDropout(-0.5), "p must be >= 0"),
        (lambda: PersistentDropout(1), "p must be < 1, got 1; at 1 nothing"),
        (lambda: PersistentDropout(0.5, "dropout4d"), "unknown kind 'dropout4d'; did you mean 'dropout"),
        (lambda: persist_dropout(nn.Dropout(), p=1.0), "p must be < 1, got 1.0"),
        (lambda: persist_dropout(nn.Linear(1, 1)), "Linear has none; give p, the rate of dropout to put before its"),
        (lambda: persist_dropout(nn.Linear(1, 1), p=0.5), "before the second, and Linear has not; put Persistent"),
        (
            lambda: persist_dropout(nn.LSTM(1, 1, 2, dropout=0.5)),
            r"kept on: the model \(LSTM\); turn that off, and put",
        ),
        (lambda: persist_dropout(nn.TransformerEncoderLayer(4, 2)), r"kept on: self_attn \(MultiheadAttention\); turn"),
        (lambda: persist_dropout(nn.Sequential(nn.Linear(1, 1), nn.GRU(1, 1)), p=0.5), r"put before: 1 \(GRU\); turn"),
        (lambda: persist_dropout(nn.Sequential(nn.LazyLinear(2)), p=0.5), "no 0.weight yet, as its layer is lazy"),
        (lambda: persist_dropout(Own(0.5)), r"kept on: the model \(Own\)"),
        (lambda: persist_dropout(nn.Sequential(ByModule()), p=0), r"0 \(ByModule calls a function of torch\)"),
        (lambda: persist_dropout(ByAlias(), p=0), r"the model \(ByAlias calls a function"),
        (lambda: persist_dropout(Inherited()), r"the model \(Inherited calls a function"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()
