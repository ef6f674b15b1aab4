"""The two models of the demo: training on the worst case buys robustness."""

import dataclasses

import pytest
import torch

from trustworthy import datasets
from trustworthy.attacks import PGD
from trustworthy.report import demonstration
from trustworthy.report.demonstration import train_models


@pytest.mark.slow
def test_the_adversarially_trained_model_is_more_robust():
    data = datasets.load("digits")
    models = train_models(data, seed=0, progress=False)
    x, y = torch.from_numpy(data.x_test[:200]), torch.from_numpy(data.y_test[:200])
    survived = {}
    for name, model in models.items():
        with torch.no_grad():
            assert float((model(x).argmax(1) == y).float().mean()) > 0.95
        result = PGD(eps=0.1)(model, x, y, generator=torch.Generator().manual_seed(0))
        survived[name] = 1.0 - float(result.success.float().mean())
    assert survived["adversarial"] > survived["plain"] + 0.2


def test_training_is_reproducible_and_leaves_the_global_stream_alone(monkeypatch):
    monkeypatch.setattr(demonstration, "EPOCHS", {"plain": 1, "adversarial": 1})
    whole = datasets.load("digits")
    data = dataclasses.replace(whole, x_train=whole.x_train[:128], y_train=whole.y_train[:128])
    state = torch.get_rng_state()
    first, second = (train_models(data, seed=1, progress=False) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    for name, model in first.items():
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), second[name].parameters(), strict=True))
    assert not torch.equal(next(first["plain"].parameters()), next(first["adversarial"].parameters()))
