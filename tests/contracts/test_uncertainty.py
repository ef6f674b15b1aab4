"""What every method of uncertainty guarantees, on a network with batch normalisation and dropout.

A new one is a line of METHODS, and of SETTINGS here: what makes it short, and a setting that differs.
"""

import warnings

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from interrupted import BreaksOff, Interruption
from trustworthy import training, uncertainty
from trustworthy.core.errors import CheckpointError
from trustworthy.core.predictive import predict
from trustworthy.core.protocols import drawn, members_of
from trustworthy.nn.transforms import TRANSFORMS
from trustworthy.training import Checkpoints, Gaussian, Laplace
from trustworthy.uncertainty import METHODS

SETTINGS = {
    "naive": ({"members": 2}, {"weight_decay": 0.1}),
    "snapshot": ({"members": 2}, {"learning_rate": 0.1}),
    "batch": ({"members": 3}, {"learning_rate": 0.1}),
    "fast": ({"members": 2}, {"distance_weight": 9.0}),
    "sgld": ({"samples": 2, "epochs": 4}, {"temperature": 0.1}),
    "svi": ({"draws": 2}, {"alpha": 0.9}),
    "mc-dropout": ({"draws": 2}, {"p": 0.3}),
}
QUICK = ("batch", "sgld", "mc-dropout")
every = pytest.mark.parametrize("name", METHODS)
each = pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in METHODS]
)
X = torch.rand(24, 1, 8, 8, generator=torch.Generator().manual_seed(0))
Y = torch.arange(24) % 3
NAMES = {**vars(uncertainty), **vars(training)}


def network():
    body = [nn.Conv2d(1, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout2d(0.5), nn.Flatten()]
    return nn.Sequential(BreaksOff(), *body, nn.Linear(36, 3))


def translator():
    body = [nn.Conv2d(1, 4, 4, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2)]
    return nn.Sequential(*body, nn.ConvTranspose2d(4, 2, 2, stride=2))


def built(name, **settings):
    return METHODS[name](**{"eps": None, "epochs": 2, "batch_size": 8, **SETTINGS[name][0], **settings})


def trained(method, folder=None, passes=None, model=None, data=(X, Y), **options):
    BreaksOff.left = passes
    torch.manual_seed(0)
    checkpoints = None if folder is None else Checkpoints(folder, every=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so short a training may be told of
        return method(
            model or network(), data, validation=(data[0][:8], data[1][:8]), checkpoints=checkpoints, **options
        )


def same(model, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())


def asked(model, x=X, **options):
    return predict(model, x, generator=torch.Generator().manual_seed(0), **options).members


@each
def test_it_trains_a_copy_whose_architecture_is_told(name):
    model = network()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    outcome = trained(built(name), model=model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(module.training for module in outcome.model.modules())
    again = network()
    for transform, options in outcome.transforms:
        again = TRANSFORMS[transform](again, **options)
    again.load_state_dict(outcome.model.state_dict())
    again.eval()
    assert torch.equal(asked(again), asked(outcome.model))
    assert len(asked(outcome.model)) == (members_of(outcome.model) or 1)


@each
def test_each_row_sees_all_members_at_any_batch_size_and_the_ensemble_is_the_loop_over_them(name):
    model = trained(built(name)).model
    count = members_of(model)
    draws = count or 8
    for n in (1, 2, 7, 24):
        answers = asked(model, X[:n], draws=draws)
        assert answers.shape == (draws, n, 3)
        assert len(answers.unique(dim=0)) > 1
        if count:
            assert bool((answers[0] != answers[1]).any(1).all())  # of each row
            assert_close(answers, torch.stack([member(X[:n]).detach() for member in drawn(model, count)]))
            assert_close(answers, asked(model)[:, :n])  # a row does not depend on its batch


@each
def test_stopped_in_mid_run_and_resumed_it_ends_with_the_same_weights(name, tmp_path):
    method = built(name)
    whole = trained(method).model
    with pytest.raises(Interruption):
        trained(method, tmp_path, passes=5 if name != "sgld" else 10)
    assert same(trained(method, tmp_path).model, whole)
    assert same(trained(method, tmp_path).model, whole)  # once more, when nothing is left to do
    assert not same(trained(method, seed=1).model, whole)
    with pytest.raises(CheckpointError, match="belongs to another run"):
        trained(built(name, **SETTINGS[name][1]), tmp_path)


@every
def test_its_words_are_its_value(name):
    for method in (built(name), built(name, loss=Gaussian(std=None), **SETTINGS[name][1])):
        assert eval(repr(method), NAMES) == method
        assert hash(method) is not None


@each
def test_images_are_translated_by_the_l1_loss(name):
    targets = torch.cat([X, 1 - X], 1)
    settings = SETTINGS[name][0] | {"learning_rate": 0.01}
    model = trained(built(name, loss=Laplace(average=True), **settings), model=translator(), data=(X, targets)).model
    assert asked(model, X[:5]).shape[1:] == (5, 2, 8, 8)
