"""Ensembles: who is asked, and how members are trained."""

import copy
import functools
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
from trustworthy.training import Checkpoints, Gaussian, Laplace, SameCropAndTurn
from trustworthy.uncertainty import NaiveEnsemble, SnapshotEnsemble

X = torch.rand(24, 5, generator=torch.Generator().manual_seed(0))
LAPLACE = (Laplace(scale=0.1), Laplace(scale=None, average=True))
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


def test_members_of_one_architecture_answer_in_one_pass_as_one_by_one():
    """The way of an accelerator, asked on the CPU, where the loop is faster and is what `predict` takes."""
    layers = [nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3)]
    posterior = Ensemble(copy.deepcopy(nn.Sequential(*layers)) for _ in range(3)).eval()
    for number, weight in enumerate(posterior.parameters()):
        weight.data = torch.randn(weight.shape, generator=torch.Generator().manual_seed(number))
    posterior.members[1][1].running_mean += 1.0  # buffers are of each member
    loop = torch.stack([member(X) for member in posterior.draws(5)])
    assert posterior.together() is None
    assert_close(posterior.stacked()(X, 5), loop)
    posterior.together = posterior.stacked
    assert_close(predict(posterior, X, batch_size=7, draws=5).members, loop)
    order, rows = [0, 1, 2] * 3 + [1, 2, 0], torch.cat([X] * 15)  # 9 of 12 members would fit into one pass
    many = Ensemble(posterior.members[number] for number in order)
    many.together = many.stacked
    assert_close(predict(many, rows, batch_size=360).members, loop[order].repeat(1, 15, 1))
    unlike = [nn.Sequential(nn.Linear(5, 3), end) for end in (nn.ReLU(), nn.Tanh())]
    assert Ensemble(unlike).stacked() is None


def test_pairs_of_images_stay_pairs_where_they_are_cropped_and_turned():
    right, x = nn.Conv2d(1, 1, 1), torch.rand(6, 1, 8, 8)
    right.weight.data.fill_(2.0)
    right.bias.data.zero_()
    method = NaiveEnsemble(epochs=2, members=1, augment=SameCropAndTurn(size=5), loss=Laplace(average=True))
    trained = method(right, (x, 2 * x)).model
    assert same(trained.members[0], right)  # there is nothing left to learn


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
    method = NaiveEnsemble(epochs=1, members=3, learning_rate=0.05, batch_size=12)
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


@pytest.mark.parametrize(
    "loss", [Gaussian(std=None), *(pytest.param(loss, marks=pytest.mark.slow) for loss in LAPLACE)]
)
def test_numbers_are_learned_by_their_likelihood(loss):
    numbers = 2 * X[:, 0] - X[:, 1]
    method = NaiveEnsemble(epochs=40, members=2, learning_rate=0.05, batch_size=24)
    outputs = 1 if loss.known else 2
    posterior = method.fit(lambda: network(outputs), (X, numbers), validation=(X, numbers), loss=loss)
    assert loss.score(predict(posterior, X), numbers) > -loss.guess(numbers) + 0.5


def test_snapshots_are_the_weights_at_the_end_of_each_cycle_the_last_one_too(tmp_path):
    after = {}
    settings = {"learning_rate": 0.05, "batch_size": 8, "optimizer": "sgd"}
    method = SnapshotEnsemble(epochs=5, members=2, **settings)

    def seen(model, history):
        after[len(history.records)] = (copy.deepcopy(model), history.records[-1].learning_rate)

    posterior = method(members(1)[0], (X, Y), callbacks=[seen], checkpoints=tmp_path).model
    for member, epoch in zip(posterior.members, (2, 5), strict=True):
        assert same(member, after[epoch][0])
    assert [after[epoch][1] > 0.02 for epoch in range(1, 6)] == [True, False, True, True, False]
    assert sorted(path.name for path in tmp_path.glob("snapshot*")) == [f"snapshot-000{k}.safetensors" for k in (2, 5)]
    again = method(members(1)[0], (X, Y), checkpoints=tmp_path).model
    assert same(again, posterior)
    assert same(method(members(1)[0], (X, Y)).model, posterior)  # kept in memory


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (functools.partial(NaiveEnsemble, epochs=1, members=0), "members must be >= 1, got 0"),
        (functools.partial(SnapshotEnsemble, epochs=5, members=6), "members must be at most as many as the epochs, 5"),
        (functools.partial(SnapshotEnsemble, epochs=6, schedule="constant"), "schedule must be 'cosine'"),
    ],
)
def test_wrong_settings_are_named(build, message):
    with pytest.raises(InvalidInput, match=message):
        build()


@pytest.mark.usefixtures("_as_users_call_it")
def test_members_without_a_way_to_draw_their_weights_ask_for_the_factory():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(5, 3))

        def forward(self, x):
            return x @ self.weight

    with pytest.raises(InvalidInput, match=r"Bare has no reset_parameters\(\).* method.fit\(make_model"):
        NaiveEnsemble(epochs=1)(Bare(), (X, Y))
    assert len(NaiveEnsemble(epochs=1, members=2).fit(Bare, (X, Y))) == 2
    from trustworthy.defenses import RandomSelfEnsemble

    with pytest.raises(InvalidInput, match=r"make_model must be a function that builds a network, got a Sequential"):
        NaiveEnsemble(epochs=1).fit(network(), (X, Y))
    with pytest.raises(InvalidInput, match=r"model must be a torch module, got function; .*fit\(make_model, data\)"):
        NaiveEnsemble(epochs=1)(network, (X, Y))
    with pytest.raises(InvalidInput, match=r"loss must be None, as RandomSelfEnsemble is for classes alone"):
        RandomSelfEnsemble(epochs=1).fit(network, (X, Y), loss=Gaussian())


@pytest.mark.slow
def test_a_large_ensemble_of_linear_models_is_the_exact_posterior_of_noiseless_rows():
    """Descent keeps what the rows say nothing of as it was drawn: w = w0 + X^+ (y - X w0), a draw of the posterior.

    With the prior N(0, s^2) of the first weights, its mean is X^+ y and its covariance s^2 (1 - X^+ X). The bands are
    four standard errors of 120 members.
    """
    count, std = 120, 0.7
    wide = torch.randn(3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = torch.linalg.qr(wide.T)[0].T  # rows that all are learned at one pace
    y = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)

    def linear():
        model = nn.Linear(6, 1, bias=False, dtype=torch.float64)
        nn.init.normal_(model.weight, std=std)
        return model

    method = NaiveEnsemble(
        epochs=150, members=count, learning_rate=1.0, optimizer="sgd", schedule="constant", loss=Gaussian()
    )
    posterior = method.fit(linear, (x, y))
    weights = torch.cat([member.weight.detach() for member in posterior.members])
    inverse = torch.linalg.pinv(x)
    assert_close(weights @ x.T, y.expand(count, 3), rtol=0, atol=2e-3)  # no variance in what is known
    covariance = std**2 * (torch.eye(6, dtype=torch.float64) - inverse @ x)
    deviation = covariance.diagonal().sqrt()
    assert ((weights.mean(0) - inverse @ y).abs() < 4 * deviation / count**0.5).all()
    assert ((weights.var(0) / covariance.diagonal() - 1).abs() < 4 * (2 / count) ** 0.5).all()
    new = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    asked = predict(posterior, new)
    variance = (new @ covariance * new).sum(1, keepdim=True)
    assert ((asked.mean - (new @ inverse @ y)[:, None]).abs() < 4 * (variance / count).sqrt()).all()
    assert ((asked.std.square() / variance - 1).abs() < 4 * (2 / count) ** 0.5).all()
