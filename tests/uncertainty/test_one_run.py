"""Methods of one network: what is random in it, and how its epochs are judged."""

import pytest
import torch
from torch import nn

from trustworthy.core.errors import InvalidInput
from trustworthy.core.predictive import predict
from trustworthy.nn import PersistentDropout
from trustworthy.training import Gaussian
from trustworthy.uncertainty import BatchEnsemble, MCDropout

DATA = torch.rand(8, 3, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2


def network(*dropout):
    return nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.ReLU(), *dropout, nn.Linear(6, 2))


@pytest.mark.parametrize(
    ("dropout", "settings", "rates"),
    [
        ([nn.Dropout(0.4)], {}, [0.4]),
        ([nn.Dropout(0.4)], {"p": 0.2}, [0.2]),
        ([], {}, [0.1]),
        ([], {"missing": 0.3}, [0.3]),
        ([], {"p": 0.2}, [0.2]),
    ],
)
def test_rates_are_those_of_the_model_or_of_the_method(dropout, settings, rates):
    model = MCDropout(epochs=1, **settings)(network(*dropout), DATA).model
    assert [layer.p for layer in model.modules() if isinstance(layer, PersistentDropout)] == rates


def test_at_rate_0_there_is_no_variance():
    model = MCDropout(epochs=2, p=0.0)(network(nn.Dropout(0.4)), DATA).model
    assert not bool(predict(model, DATA[0], draws=5).std.any())


def test_an_epoch_is_judged_by_all_members():
    x, loss = DATA[0], Gaussian()
    outcome = BatchEnsemble(epochs=1, spread=0.5, loss=loss)(nn.Linear(3, 1), (x, x[:, :1]), validation=(x, x[:, :1]))
    assert outcome.best.metrics == {"log_likelihood": loss.score(predict(outcome.model, x), x[:, :1])}
    assert outcome.best.metrics != {"log_likelihood": loss.score(predict(outcome.model, x, draws=1), x[:, :1])}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MCDropout(epochs=1, p=1.0), "p must be < 1, got 1.0"),
        (lambda: MCDropout(epochs=1, missing=-0.1), "missing must be >= 0, got -0.1"),
        (lambda: MCDropout(epochs=1)(nn.LSTM(3, 2, 2, dropout=0.5), DATA), r"the model \(LSTM\)"),
        (lambda: BatchEnsemble(epochs=1, members=0), "members must be >= 1, got 0"),
        (lambda: BatchEnsemble(epochs=1, spread=-0.1), "spread must be >= 0, got -0.1"),
        (lambda: BatchEnsemble(epochs=1)(nn.LSTM(3, 2), DATA), r"the model \(LSTM\)"),
    ],
)
def test_bad_settings_are_named(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()
