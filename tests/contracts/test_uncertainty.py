"""What every method of uncertainty guarantees. A new one is a line of METHODS, and of the dicts here for what differs.

On a network with batch normalisation and dropout, of which each is wrong in the wrong mode.
"""

import dataclasses
import warnings

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from interrupted import BreaksOff, Interruption
from trustworthy import training, uncertainty
from trustworthy.core.errors import CheckpointError, InvalidInput, ModelContractError
from trustworthy.core.guard import undisturbed
from trustworthy.core.predictive import predict
from trustworthy.core.protocols import as_posterior, drawn, members_of
from trustworthy.models import load_model
from trustworthy.models.posterior_folder import Recipe, save_posterior
from trustworthy.training import Checkpoints, Laplace
from trustworthy.uncertainty import METHODS

SMALL = {
    "naive": {"members": 3},
    "snapshot": {"members": 2},
    "batch": {"members": 3},
    "fast": {"members": 3, "explore": 0.5},
    "sgld": {"samples": 2, "epochs": 4},
}
OTHER = {
    "fast": {"distance_weight": 2.0},
    "snapshot": {"members": 1},
    "sgld": {"temperature": 0.1},
    "svi": {"alpha": 0.9},
    "mc-dropout": {"p": 0.2},
}
"""A setting that makes another run; elsewhere the learning rate."""
PASSES = {"naive": 7, "fast": 8, "sgld": 7}
"""Passes of training after which a run of two epochs is cut short, in a later member where there are several runs."""
SHORT = {"snapshot": {"epochs": 1, "members": 1}, "sgld": {"epochs": 2}}
FEW = ("fast",)  # the resumption of a naive one is a test of its own
every = pytest.mark.parametrize("name", METHODS)
each = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in METHODS]
)
X = 2 * torch.randn(64, 5, generator=torch.Generator().manual_seed(1))
Y = torch.arange(64) % 3


def network():
    """Of the recipe too: it must have no arguments, and stand at the top of this file."""
    layers = [nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 3)]
    return nn.Sequential(BreaksOff(), *layers)


def built(name, epochs=2, **settings):
    return METHODS[name](**{"epochs": epochs, "batch_size": 32, **SMALL.get(name, {}), **settings})


def run(name, folder=None, passes=None, data=(X, Y), **settings):
    torch.manual_seed(0)
    BreaksOff.left = passes
    checkpoints = None if folder is None else Checkpoints(folder, every=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a tiny network may collapse in many ways
        return built(name, **settings)(network(), data, validation=(data[0][:16], Y[:16]), checkpoints=checkpoints)


def same(model, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())


@pytest.fixture(scope="module")
def trained():
    """Each method's outcome, trained once."""
    done = {}
    return lambda name: done.setdefault(name, run(name)) if name not in done else done[name]


@every
def test_it_trains_a_copy_that_loads_again_to_the_same_answers(name, trained, tmp_path):
    torch.manual_seed(0)
    assert not any(value.isnan().any() for value in network().state_dict().values())
    outcome = trained(name)
    assert not any(module.training for module in outcome.model.modules())
    save_posterior(outcome.model, tmp_path, Recipe(f"{__file__}:network", transforms=outcome.transforms))
    loaded = load_model(tmp_path, trust=True).model
    count = members_of(outcome.model) or 3
    answers = []
    for model in (outcome.model, loaded):
        generator = torch.Generator().manual_seed(0)
        with undisturbed(model, X, generator), torch.no_grad():
            answers.append([draw(X) for draw in drawn(as_posterior(model), count, generator)])
    for one, other in zip(*answers, strict=True):
        assert torch.equal(one, other)
    assert outcome.seconds > 0


@every
def test_each_row_is_answered_by_all_members_at_any_batch_size(name, trained):
    model = trained(name).model
    if members_of(model) is None:
        several = predict(model, X, draws=32, generator=torch.Generator().manual_seed(0)).members
        assert (several != several[0]).any(2).any(0).all()  # no row is left out of what is random
        return
    assert members_of(model) == SMALL.get(name, {}).get("members", len(model))
    with undisturbed(model, X, None), torch.no_grad():
        loop = torch.stack([draw(X) for draw in model.draws(len(model))])
    for rows in (1, 7, 13, 64):
        asked = predict(model, X, batch_size=rows)
        assert_close(asked.members, loop, rtol=0, atol=1e-6)
        assert_close(predict(model, X[:rows]).members, loop[:, :rows], rtol=0, atol=1e-6)


@each
def test_a_killed_fit_resumes_to_the_same_weights(name, tmp_path, trained):
    whole = trained(name)
    with pytest.raises(Interruption):
        run(name, tmp_path, PASSES.get(name, 3))
    resumed = run(name, tmp_path)
    assert same(resumed.model, whole.model)
    told = [[dataclasses.replace(r, seconds=0.0) for r in outcome.history.records] for outcome in (resumed, whole)]
    assert told[0] == told[1]
    assert resumed.notes == whole.notes
    assert same(run(name, tmp_path).model, whole.model)  # once more, when nothing is left to do
    with pytest.raises(CheckpointError, match="belongs to another run"):
        run(name, tmp_path, **OTHER.get(name, {"learning_rate": 0.02}))


@each
def test_networks_of_its_own_are_made_under_the_seed(name):
    def seeded(seed):
        BreaksOff.left = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            posterior = built(name, **SHORT.get(name, {"epochs": 1})).fit(
                network, (X, Y), validation=(X[:16], Y[:16]), seed=seed
            )
        return predict(posterior, X[:5], draws=3, generator=torch.Generator().manual_seed(0)).members

    before = torch.random.get_rng_state()
    first = seeded(0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(seeded(0), first)
    assert not torch.equal(seeded(1), first)


@every
def test_its_words_are_its_value(name):
    for method in (built(name), built(name, augment="crop-and-flip", **OTHER.get(name, {}))):
        assert eval(repr(method), {**vars(uncertainty), **vars(training)}) == method
        assert hash(method) is not None


UNFIT = [
    ((X, Y + 1), "y must lie in 0"),
    ((X.where(X > -3, torch.nan), Y), "x must be finite"),
    ((X[:0], Y[:0]), "at least one"),
    ((X, torch.zeros_like(Y)), "y must hold two classes or more, got only 0"),
    ((X[:, :4], Y), r"does not take a row of data x, of shape \(4,\)"),
    ((X, X[:, 0]), "y must hold classes"),
]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        pytest.param(name, *unfit, marks=() if number == 0 or name == "svi" else pytest.mark.slow)
        for name in METHODS
        for number, unfit in enumerate(UNFIT)
    ],
)
def test_data_that_nothing_can_be_learned_of_are_refused_before_any_training(name, data, message, tmp_path):
    with pytest.raises((InvalidInput, ModelContractError), match=message):
        built(name)(network(), data, checkpoints=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@each
def test_images_are_translated_by_the_l1_loss(name):
    torch.manual_seed(0)
    x = torch.rand(24, 1, 8, 8)
    body = [nn.Conv2d(1, 4, 4, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2)]
    translator = nn.Sequential(*body, nn.ConvTranspose2d(4, 2, 2, stride=2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = built(name, loss=Laplace(average=True))(translator, (x, torch.cat([x, 1 - x], 1)))
    answers = predict(outcome.model, x[:5]).members
    assert answers.shape == (members_of(outcome.model) or 1, 5, 2, 8, 8)
