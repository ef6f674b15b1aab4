"""An explanation must change with the model: shuffled weights and labels."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from trustworthy.core.errors import InvalidInput
from trustworthy.explain import Explainer, Gradient, LeaveOneOut, RandomOrder, Scored, sanity

X = torch.rand(30, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@dataclass(frozen=True, kw_only=True)
class InputAlone(Explainer):
    """Looks at the input and not at the model, as an edge detector does."""

    ranks: ClassVar = "size"

    def explain(self, question):
        return Scored(question.x - 0.5)


@dataclass(frozen=True, kw_only=True)
class OfPrediction(InputAlone):
    of_prediction: ClassVar = True


@pytest.fixture
def model():
    found = nn.Sequential(nn.Linear(20, 16), nn.Tanh(), nn.Linear(16, 2)).double()
    with torch.no_grad():
        for weight in found.parameters():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())))
    return found


def test_a_gradient_depends_on_the_weights(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = sanity(Gradient(), model, X, generator=torch.Generator().manual_seed(1))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert list(found.correlation) == ["explained again", "all weights shuffled"]
    np.testing.assert_allclose(found.correlation["explained again"], 1.0)
    assert found.changed("all weights shuffled")
    assert found.passed
    assert found.statement.startswith("The explanations depend on what the model has learned (rank correlation: expl")


def test_what_ignores_the_model_is_told(model):
    for method in (InputAlone(), OfPrediction()):
        found = sanity(method, model, X, relabelled=model, generator=torch.Generator().manual_seed(1))
        np.testing.assert_allclose(found.correlation["all weights shuffled"], 1.0)
        assert found.passed is False
        assert "much the same with all weights shuffled and labels shuffled: do not trust" in found.statement
    chance = sanity(RandomOrder(), model, X, generator=torch.Generator().manual_seed(1))
    assert chance.passed is False
    assert "does not agree with itself" in chance.statement
    assert "Too few" in sanity(Gradient(), model, X[:1]).statement


def test_layers_are_shuffled_from_the_last_on(model):
    found = sanity(Gradient(), model, X, cascading=True)
    assert list(found.correlation)[1:] == ["weights shuffled down to 2", "all weights shuffled"]
    linear = nn.Linear(20, 2).double()
    assert list(sanity(LeaveOneOut(), linear, X, cascading=True).correlation)[1:] == ["all weights shuffled"]


def test_rank_correlation_is_that_of_scipy_with_ties_and_of_constants():
    def rounded(rows):
        return np.round(rows @ np.arange(40.0).reshape(20, 2)[::-1])

    def other(rows):
        return np.round(rows @ np.sin(np.arange(40.0)).reshape(20, 2), 1)

    x = X[:3].numpy().round(1)
    found = sanity(LeaveOneOut(), rounded, x, relabelled=other)
    scores = [LeaveOneOut()(one, x, LeaveOneOut()(rounded, x).y).scores.abs().numpy() for one in (rounded, other)]
    exact = [spearmanr(*pair).statistic for pair in zip(*scores, strict=True)]
    np.testing.assert_allclose(found.correlation["labels shuffled"], exact)
    flat = sanity(LeaveOneOut(), rounded, x, relabelled=lambda rows: np.ones((len(rows), 2)))
    assert flat.correlation["labels shuffled"].tolist() == [0.0] * 3
    with pytest.raises(InvalidInput, match="relabelled"):
        sanity(LeaveOneOut(), rounded, x)
