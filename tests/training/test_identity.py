from functools import partial

import torch
from torch import nn
from torch.utils.data import TensorDataset

from trustworthy.training import Cosine, cross_entropy
from trustworthy.training.data import as_dataset
from trustworthy.training.identity import describe, describe_data, describe_model, describe_optimizer, differences

X, Y = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])


def digest(x, y):
    return describe_data(as_dataset("data", (x, y), nn.Linear(2, 2)))


def test_the_same_setting_reads_the_same_in_every_process():
    assert describe(cross_entropy) == "cross_entropy"
    assert describe(None) == "None"
    assert describe(Cosine(warmup=0.1)) == "Cosine(warmup=0.1, final=0.0)"
    assert describe(partial(torch.optim.SGD, 3, lr=0.1)) == "SGD(3, lr=0.1)"
    assert describe(object()) == "<object object>"


def test_one_changed_value_changes_the_digest_of_the_data():
    changed = X.clone()
    changed[3, 1] = 1e-30
    assert digest(X, Y) == digest(X.clone(), Y.clone())
    assert len({digest(X, Y), digest(changed, Y), digest(X, 1 - Y), digest(X[:3], Y[:3])}) == 4


def test_a_data_set_is_known_by_its_kind_and_length():
    assert describe_data(TensorDataset(X, Y)) == "TensorDataset of 4 items"


def test_models_differ_by_the_names_and_shapes_of_their_weights():
    models = [nn.Linear(2, 2), nn.Linear(2, 3), nn.Linear(2, 2).double(), nn.Sequential(nn.Linear(2, 2))]
    assert len({describe_model(model) for model in models}) == 4
    assert describe_model(nn.Linear(2, 2)) == describe_model(nn.Linear(2, 2))


def test_optimizers_differ_by_their_settings():
    parameters = list(nn.Linear(2, 2).parameters())
    built = [torch.optim.SGD(parameters, lr=0.1), torch.optim.SGD(parameters, lr=0.2), torch.optim.Adam(parameters)]
    assert len({describe_optimizer(optimizer) for optimizer in built}) == 3


def test_differences_name_what_changed():
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == ["b was 2, is 3", "c was None, is 4"]
