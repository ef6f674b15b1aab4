import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from trustworthy import metrics
from trustworthy.core.errors import InvalidInput
from trustworthy.training import evaluate

X = torch.rand(11, 3, generator=torch.Generator().manual_seed(0))
Y = torch.randint(2, (11,), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("batch_size", [1, 4, 11, 50])
@pytest.mark.parametrize("data", [(X, Y), (X.numpy(), Y.numpy()), TensorDataset(X, Y)])
def test_metrics_are_of_all_examples_together(batch_size, data):
    model = nn.Linear(3, 2)
    kept = {}

    def keep(outputs, targets):
        kept["outputs"], kept["targets"] = outputs, targets
        return 3.0

    got = evaluate(model, data, metrics={"accuracy": metrics.accuracy, "mine": keep}, batch_size=batch_size)
    assert got == {"accuracy": float((model(X).argmax(1) == Y).double().mean()), "mine": 3.0}
    np.testing.assert_allclose(kept["outputs"], model(X).detach().numpy(), rtol=1e-6)
    assert kept["targets"].tolist() == Y.tolist()


class Recorder(nn.Module):
    def __init__(self):
        super().__init__()
        self.frozen = nn.BatchNorm1d(3).eval()
        self.seen = []

    def forward(self, x):
        self.seen.append((self.training, self.frozen.training, torch.is_grad_enabled()))
        return self.frozen(x)


def test_the_model_is_evaluated_without_gradients_and_gets_its_modes_back():
    model = Recorder()
    model.training = True
    before = model.frozen.running_mean.clone()
    evaluate(model, (X, Y))
    assert model.seen == [(False, False, False)]
    assert (model.training, model.frozen.training) == (True, False)
    assert torch.equal(model.frozen.running_mean, before)


def test_the_modes_come_back_after_an_error():
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout())
    with pytest.raises(ZeroDivisionError):
        evaluate(model, (X, Y), metrics={"bad": lambda outputs, targets: 1 / 0})
    with pytest.raises(RuntimeError):
        evaluate(model, (torch.rand(4, 7), Y[:4]))
    assert model.training
    assert model[1].training


def test_bad_arguments_are_refused():
    with pytest.raises(InvalidInput, match="batch_size must be >= 1"):
        evaluate(nn.Linear(3, 2), (X, Y), batch_size=0)
    with pytest.raises(InvalidInput, match="data must pair"):
        evaluate(nn.Linear(3, 2), (X, Y[:5]))
