"""FastEnsemble: eq. (5.2) in closed form, Algorithm 10 step by step, and what a large distance weight does."""

import copy
import itertools
from functools import partial

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torch.utils.data import TensorDataset

from trustworthy.core.errors import InvalidInput, ModelContractError, TrainingDiverged, TrustworthyWarning
from trustworthy.training import Categorical, Moment, fit
from trustworthy.training.data import share_of
from trustworthy.uncertainty import FastEnsemble, ensembling, fast
from trustworthy.uncertainty.fast import Apart, apart, trained_weights

X = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))


@pytest.fixture(scope="module")
def seed():
    model = network()
    fit(model, (X, Y), epochs=20, optimizer=partial(torch.optim.Adam, lr=0.02), batch_size=16)
    return model


def flat(model):
    return torch.cat([weight.detach().flatten() for weight in trained_weights(model)])


def settings(**changed):
    return {"members": 4, "batch_size": 16, "learning_rate": 0.01, **changed}


def test_the_loss_is_that_of_the_batch_less_the_mean_distance_to_all_anchors():
    model, others = network().eval(), [copy.deepcopy(network()).eval() for _ in range(2)]
    for number, other in enumerate(others, 1):
        for weight in other.parameters():
            weight.data.add_(number * torch.randn(weight.shape, generator=torch.Generator().manual_seed(number)))
    stacks = tuple(torch.stack(each).detach() for each in zip(*map(trained_weights, others), strict=True))
    loss = Apart(loss=Categorical(), weight=3.0, anchors=stacks)
    moment = Moment(0, 1, 0, 64, torch.Generator())
    far = sum((flat(model) - flat(other)).abs().sum() for other in others) / 2  # 1 / |M| sum |w - w_a|_1
    expected = nn.functional.cross_entropy(model(X), Y) - 3.0 / len(flat(model)) * far
    assert_close(loss(model, (X, Y), moment), expected)
    by_autograd = torch.autograd.grad(loss(model, (X, Y), moment), trained_weights(model))
    plain = torch.autograd.grad(nn.functional.cross_entropy(model(X), Y), trained_weights(model))
    signs = torch.stack([(flat(model) - flat(other)).sign() for other in others]).mean(0)
    moved = torch.cat([(a - b).flatten() for a, b in zip(by_autograd, plain, strict=True)])
    assert_close(moved, -3.0 / len(signs) * signs, rtol=1e-4, atol=1e-6)


def test_the_anchors_grow_and_members_begin_at_the_seed_or_as_released_at_the_last(seed, monkeypatch):
    seen = []

    def spied(self, model, lesson, loss, **given):
        if isinstance(loss, Apart):
            assert lesson.validation is None  # the best epoch of exploring would be the one that went least far
            seen.append((loss.anchors[0], copy.deepcopy(model.state_dict()), given["epochs"], len(lesson.data[0])))
        return fitted(self, model, lesson, loss, **given)

    fitted = FastEnsemble.fitted
    monkeypatch.setattr(FastEnsemble, "fitted", spied)
    ensemble = FastEnsemble.from_seed(seed, (X, Y), validation=(X, Y), **settings(members=3, explore=1.5))
    weights = [member[0].weight.detach() for member in ensemble.members]
    assert torch.equal(weights[0], seed[0].weight)
    for number, (anchors, start, epochs, rows) in enumerate(seen, 1):
        assert_close(anchors, torch.stack(weights[:number]))  # M grows by each member
        assert torch.equal(start["0.weight"], weights[0])
        assert (epochs, rows) == (2, 48)  # one and a half epochs
    seen.clear()
    ensemble = FastEnsemble.from_seed(seed, (X, Y), **settings(members=3, anchors="last", begin="last"))
    weights = [member[0].weight.detach() for member in ensemble.members]
    for number, (anchors, start, _, _) in enumerate(seen):
        assert_close(anchors, weights[number][None])
        assert torch.equal(start["0.weight"], weights[number])


@pytest.mark.parametrize("released", [{}, pytest.param({"anchors": "last", "begin": "last"}, marks=pytest.mark.slow)])
def test_members_lie_further_apart_the_larger_the_distance_weight(seed, released):
    ways = (0.0, 2.0, 20.0, 200.0)
    found = [FastEnsemble.from_seed(seed, (X, Y), **settings(distance_weight=way, **released)) for way in ways]
    between = [sum(apart(ensemble.members)) for ensemble in found]
    assert all(near < far for near, far in itertools.pairwise(between))


def test_the_mean_distance_of_a_member_to_the_others_is_that_of_all_pairs():
    members = [network() for _ in range(3)]
    for number, member in enumerate(members):
        for weight in member.parameters():
            weight.data.fill_(float(number**2))
    assert apart(members) == [2.5, 2.0, 3.5]


def test_a_distance_weight_that_ruins_members_is_told_with_the_remedy(seed):
    ruinous = FastEnsemble(epochs=0, **settings(members=2, distance_weight=1e5, learning_rate=0.3, refine=0.25))
    with pytest.warns(TrustworthyWarning, match=r"member 2 has lost most .* Lower distance_weight, 100000, or") as told:
        outcome = ruinous(seed, (X, Y), validation=(X, Y))
    assert str(told[0].message) in outcome.notes
    assert outcome.notes[-1].startswith("members: 1 ")
    diverging = settings(members=2, distance_weight=1e38, optimizer="sgd")
    with pytest.raises(TrainingDiverged, match=r"member 2 of the ensemble: .* Or lower distance_weight, 1e\+38"):
        FastEnsemble.from_seed(seed, (X, Y), **diverging)
    harmless = FastEnsemble(epochs=0, **settings())(seed, (X, Y), validation=(X, Y))
    assert len(harmless.notes) == 1  # what the members are like, and no warning


def test_a_seed_that_knows_nothing_of_the_data_is_told(seed):
    with pytest.warns(TrustworthyWarning, match="the seed is no better on the rows of training than the best answer"):
        FastEnsemble.from_seed(network(), (X, Y), **settings(members=2))
    with pytest.raises(ModelContractError, match=r"does not take a row of data x, of shape \(4,\)"):
        FastEnsemble.from_seed(seed, (X[:, :4], Y), **settings())
    with pytest.raises(InvalidInput, match="give a model"):
        FastEnsemble.from_seed(seed, (X, Y + 1), **settings())


def test_rows_that_are_sorted_by_class_tell_what_a_seed_knows(seed, monkeypatch):
    monkeypatch.setattr(fast, "LOOKED", 16)
    order = Y.argsort()
    outcome = FastEnsemble(epochs=0, **settings(members=2))(seed, (X[order], Y[order]), validation=(X, Y))
    assert len(outcome.notes) == 1  # what the members are like, and no warning
    monkeypatch.setattr(ensembling, "NUMBERS", 3 * X[0].numel())
    for most, rows in ((2, [0, 32]), (64, [0, 22, 44]), (None, range(64))):  # large images are few
        assert_close(ensembling.some_rows((X, Y), seed, most)[0], X[list(rows)])


def test_a_share_of_the_rows_is_drawn_without_replacement():
    rows = torch.arange(40)
    for data in ((rows, rows.numpy()), TensorDataset(rows, rows)):
        part = share_of(data, 0.3, 5)
        x, y = part if isinstance(part, tuple) else zip(*(part[number] for number in range(len(part))), strict=True)
        assert len(x) == len(set(map(int, x))) == 12
        assert [*map(int, x)] == [*map(int, y)] == [*map(int, share_of((rows, rows), 0.3, 5)[0])]
        assert share_of(data, 1.0, 5) is data
    one, other = (share_of(TensorDataset(rows), 0.3, seed).fingerprint for seed in (5, 6))
    assert one != other
    assert len(share_of((rows,), 0.001, 5)[0]) == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"members": 0}, "members must be >= 1"),
        ({"members": 1}, "members must be >= 2 where epochs is 0, got 1"),
        ({"epochs": -1}, "epochs must be >= 0"),
        ({"explore": 0.0}, "explore must be > 0"),
        ({"refine": -1.0}, "refine must be > 0"),
        ({"distance_weight": -1.0}, "distance_weight must be >= 0"),
        ({"anchors": "none"}, "anchors"),
        ({"begin": "first"}, "begin"),
    ],
)
def test_wrong_settings_are_named(changed, message):
    with pytest.raises(InvalidInput, match=message):
        FastEnsemble(**{"epochs": 0, **settings(**changed)})
