"""Ensembles: who is asked, and how members are trained."""

import itertools

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from interrupted import BreaksOff, Interruption
from trustworthy.attacks import PGD
from trustworthy.core.errors import InvalidInput
from trustworthy.core.predictive import pooled, predict
from trustworthy.core.protocols import Wrapped, as_posterior, members_of
from trustworthy.nn import Ensemble, GaussianNoise, ensemble
from trustworthy.training import Checkpoints, Gaussian, Laplace
from trustworthy.uncertainty import NaiveEnsemble

X = torch.rand(24, 5, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0.5).long() + (X[:, 1] > 0.5).long()


def network(outputs=3):
    return nn.Sequential(BreaksOff(), nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, outputs))


def members(count=3):
    torch.manual_seed(0)
    return [network() for _ in range(count)]


def same(model, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())


def test_an_ensemble_is_known_by_its_length_and_all_of_it_is_asked():
    posterior = Ensemble(members())
    assert members_of(posterior) == members_of(Wrapped(posterior, lambda member, x: member(x))) == 3
    for other in (network(), as_posterior(GaussianNoise(0.1)), torch.sin):  # an nn.Sequential has a length too
        assert members_of(other) is None
    asked = predict(posterior, X)
    assert_close(asked.members, torch.stack([member(X) for member in posterior.members]))
    assert len(predict(network(), X).members) == 1
    assert [*posterior.draws(5)] == [*posterior.members, *posterior.members[:2]]


def test_an_attack_asks_all_members_whatever_its_eot():
    posterior, attack = Ensemble(members()), PGD(eps=0.2, steps=3, random_start=False)
    results = [PGD(eps=0.2, steps=3, random_start=False, eot=eot)(posterior, X, Y) for eot in (1, 3, 4)]
    for other in results[1:]:
        assert torch.equal(results[0].adversarial, other.adversarial)
    assert (results[0].queries == 3 * (attack.steps + 2)).all()
    wrong = pooled([member(results[0].adversarial) for member in posterior.members]).argmax(1) != Y
    assert torch.equal(results[0].success, wrong)


def test_an_ensemble_of_copies_holds_the_weights_of_trained_members():
    trained = Ensemble(members())
    again = ensemble(network(), members=3)
    again.load_state_dict(trained.state_dict())
    assert torch.equal(predict(again, X).members, predict(trained, X).members)
    for wrong in (0, -1):
        with pytest.raises(InvalidInput, match="members must be >= 1"):
            ensemble(network(), members=wrong)
    with pytest.raises(InvalidInput, match="members must be at least one network"):
        Ensemble([])


def test_members_are_trained_each_by_itself_from_weights_of_their_own():
    method = NaiveEnsemble(epochs=2, members=3, learning_rate=0.05, batch_size=8)
    posterior = method.fit(network, (X, Y), validation=(X, Y))
    assert isinstance(posterior, Ensemble)
    assert not any(module.training for module in posterior.modules())
    for one, other in itertools.combinations(posterior.members, 2):
        assert not same(one, other)
    assert same(method.fit(network, (X, Y), validation=(X, Y)), posterior)
    assert not same(method.fit(network, (X, Y), validation=(X, Y), seed=1), posterior)
    given = members(1)[0]
    before = given.state_dict()[("1.weight")].clone()
    trained = method(given, (X, Y), validation=(X, Y))
    assert torch.equal(given.state_dict()["1.weight"], before)
    assert trained.transforms == (("ensemble", {"members": 3}),)
    assert len(trained.model) == 3


def test_a_killed_ensemble_goes_on_in_the_member_that_was_in_the_works(tmp_path):
    method = NaiveEnsemble(epochs=2, members=3, batch_size=8)
    whole = method.fit(network, (X, Y), validation=(X, Y))
    BreaksOff.left = 9
    with pytest.raises(Interruption):
        method.fit(network, (X, Y), validation=(X, Y), checkpoints=Checkpoints(tmp_path, every=1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["member-1", "member-2"]
    BreaksOff.left = None
    seen = []
    resumed = method.fit(
        network, (X, Y), validation=(X, Y), checkpoints=Checkpoints(tmp_path, every=1),
        callbacks=[lambda model, history: seen.append(history.resumed_from)],
    )  # fmt: skip
    assert same(resumed, whole)
    assert len(seen) < 6
    assert None in seen  # the last member had not begun
    assert seen[0] is not None


@pytest.mark.slow
def test_members_in_processes_are_those_of_one_process():
    method = NaiveEnsemble(epochs=2, members=2, batch_size=8)
    assert same(method.fit(network, (X, Y), n_jobs=2), method.fit(network, (X, Y)))


@pytest.mark.parametrize("loss", [Gaussian(std=None), Laplace(scale=0.1), Laplace(scale=None, average=True)])
def test_numbers_are_learned_by_their_likelihood(loss):
    numbers = 2 * X[:, 0] - X[:, 1]
    method = NaiveEnsemble(epochs=40, members=2, learning_rate=0.05, batch_size=24)
    outputs = 1 if loss.known else 2
    posterior = method.fit(lambda: network(outputs), (X, numbers), validation=(X, numbers), loss=loss)
    assert loss.score(predict(posterior, X), numbers) > -loss.guess(numbers) + 0.5
