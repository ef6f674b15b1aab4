import pytest
import torch
from torch import nn
from torch.testing import assert_close

from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.training import Moment, cross_entropy

MOMENT = Moment(0, 1, 0, 4, torch.Generator())
X = torch.rand(4, 3, generator=torch.Generator().manual_seed(0))


def test_the_mean_of_minus_the_log_probability():
    model, y = nn.Linear(3, 5), torch.tensor([0, 4, 2, 2])
    probabilities = model(X).softmax(1)
    assert_close(cross_entropy(model, (X, y), MOMENT), -probabilities[range(4), y].log().mean())


def test_probabilities_as_targets():
    model, y = nn.Linear(3, 5), torch.rand(4, 5).softmax(1)
    assert_close(cross_entropy(model, (X, y), MOMENT), -(y * model(X).log_softmax(1)).sum(1).mean())


@pytest.mark.parametrize(
    "y",
    [
        torch.tensor([0, 1, 2, 5]),
        torch.tensor([0, 1, 2, -1]),
        torch.zeros(4),
        torch.zeros(4, 3),
        torch.zeros(4, 5, dtype=torch.long),
    ],
)
def test_labels_that_are_not_of_these_logits_are_refused(y):
    with pytest.raises(InvalidInput, match=r"labels \(batch,\) in 0..4"):
        cross_entropy(nn.Linear(3, 5), (X, y), MOMENT)


@pytest.mark.parametrize("model", [nn.Flatten(0), nn.Unflatten(1, (3, 1)), nn.Flatten(0, -1)])
def test_a_model_without_logits_per_example_is_refused(model):
    with pytest.raises(ModelContractError, match=r"logits of shape \(batch, classes\) for 4 examples"):
        cross_entropy(model, (X, torch.zeros(4, dtype=torch.long)), MOMENT)
