"""The members of a BatchEnsemble, in training and in prediction.

The code of the dissertation gave every `nn.Conv2d` a single member, and asked the members about blocks of a batch in
which the images stood image by image, so that an image met some members twice and others never.
"""

import copy
import pickle
import sys

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.predictive import predict
from trustworthy.core.protocols import Posterior, drawn
from trustworthy.nn import batch_ensemble
from trustworthy.nn.batch_ensemble import RankOne, shared_out

LAYERS = {
    "Linear": (lambda: nn.Linear(4, 6), (4,)),
    "Linear of a sequence, no bias": (lambda: nn.Linear(4, 6, bias=False), (3, 4)),
    "Conv1d": (lambda: nn.Conv1d(4, 6, 3, padding="same", padding_mode="reflect"), (4, 5)),
    "Conv2d in groups": (lambda: nn.Conv2d(4, 6, 3, stride=2, groups=2), (4, 5, 5)),
    "Conv3d": (lambda: nn.Conv3d(2, 3, 2, dilation=2), (2, 3, 3, 3)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(4, 6, 3, stride=2, output_padding=1), (4, 3)),
    "ConvTranspose2d in groups": (lambda: nn.ConvTranspose2d(4, 6, 2, groups=2, bias=False), (4, 3, 3)),
    "ConvTranspose3d": (lambda: nn.ConvTranspose3d(2, 3, 2), (2, 2, 2, 2)),
}
each_layer = pytest.mark.parametrize("layer", LAYERS, ids=LAYERS)
MODULE = sys.modules["trustworthy.nn.batch_ensemble"]  # nn has a function of that name
SIZES = (1, 2, 7, 8)  # batches smaller and larger than three members, and primes


def net():
    """A network of images with all that is shared, in evaluation its batch normalisation too."""
    body = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.SiLU(), nn.ConvTranspose2d(4, 3, 2, stride=2), nn.Tanh()]
    model = nn.Sequential(*body, nn.Flatten(), nn.Linear(108, 3)).double()
    model[1].running_mean.normal_()
    return model


def factored(of=net, members=3, spread=0.5, seed=0):
    """An ensemble whose members have biases of their own too, in evaluation mode."""
    torch.manual_seed(seed)
    model = batch_ensemble(of(), members=members, spread=spread)
    with torch.no_grad():
        for layer in layers(model):
            if layer.bias is not None:
                layer.bias.normal_()
    return model.eval()


def layers(model):
    return [module for module in model.modules() if isinstance(module, RankOne)]


def images(n, seed=1):
    return torch.rand(n, 1, 5, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@each_layer
def test_without_spread_every_member_is_the_layer_itself(layer):
    make, shape = LAYERS[layer]
    plain = make().double()
    x = torch.rand(5, *shape, dtype=torch.float64)
    for predictor in drawn(batch_ensemble(plain, members=2, spread=0).eval(), 2):
        assert_close(predictor(x), plain(x), rtol=1e-13, atol=1e-13)


def test_without_spread_a_network_is_one_network_with_the_gradients_of_one():
    plain = net().train()
    one = batch_ensemble(plain, members=3, spread=0).train()
    x = images(8)
    assert_close(one(x), plain(x))
    one(x).square().sum().backward()
    plain(x).square().sum().backward()
    ours = {name.replace(".layer", "").removeprefix("net."): value.grad for name, value in one.named_parameters()}
    for name, value in plain.named_parameters():
        members_have_theirs = ours[name].shape != value.shape
        assert_close(ours[name].sum(0) if members_have_theirs else ours[name], value.grad)


@each_layer
def test_a_member_is_a_layer_with_the_rank_one_weights(layer):
    make, shape = LAYERS[layer]
    model = factored(lambda: make().double())
    x, (ours,) = torch.rand(5, *shape, dtype=torch.float64), layers(model)
    for k, predictor in enumerate(drawn(model, 3)):
        separate = copy.deepcopy(ours.layer)
        transposed, groups = "Transpose" in layer, getattr(separate, "groups", 1)
        weight = separate.weight.data
        for i in range(ours.r.shape[1]):  # entry by entry: input i reaches output o within its group alone
            for o in range(ours.s.shape[1]):
                inputs, outputs = ours.r.shape[1] // groups, ours.s.shape[1] // groups
                if i // inputs == o // outputs:
                    place = (i, o % outputs) if transposed else (o, i % inputs)
                    weight[place] *= ours.s[k, o].item() * ours.r[k, i].item()
        separate.bias = None if ours.bias is None else nn.Parameter(ours.bias[k])
        assert_close(predictor(x), separate(x))
        assert type(model.member(k)) is type(separate)
        assert_close(model.member(k)(x), separate(x))


@pytest.mark.parametrize("n", SIZES)
def test_every_row_sees_all_members_whether_they_are_asked_in_turn_or_at_once(n):
    model, x = factored(), images(n)
    members = torch.stack([model.member(k)(x) for k in range(3)])
    assert bool((members[0] != members[1]).flatten(1).all())
    assert_close(predict(model, x, draws=7).members, members[[0, 1, 2, 0, 1, 2, 0]])
    assert_close(model.together()(x, 7), members[[0, 1, 2, 0, 1, 2, 0]])
    assert_close(predict(model, x, draws=3, batch_size=2).members, members)


def test_every_layer_has_factors_of_every_member():
    model = factored(members=6)
    assert isinstance(model, Posterior)
    assert len(model) == 6
    assert len(layers(model)) == 3
    for layer in layers(model):
        assert (len(layer.r), len(layer.s), len(layer.bias)) == (6, 6, 6)
        assert layer.r.unique(dim=0).shape == layer.r.shape


@pytest.mark.parametrize("n", SIZES)
def test_rows_are_shared_out_evenly_and_anew_at_each_pass(n):
    torch.manual_seed(0)
    shares = torch.stack([shared_out(n, 3, torch.device("cpu")) for _ in range(300)])
    counts = torch.stack([(shares == k).sum(1) for k in range(3)])
    assert int((counts.amax(0) - counts.amin(0)).max()) <= 1
    assert bool(((counts.double().mean(1) - n / 3).abs() < 4 * (2 / 9 / 300) ** 0.5).all())
    assert bool((((shares == 0).double().mean(0) - 1 / 3).abs() < 4 * (2 / 9 / 300) ** 0.5).all())
    if n > 3:
        assert 0 < int((shares[:, 0] == shares[:, 3]).sum()) < 300  # no two rows always meet the same member


def test_in_training_a_row_is_answered_by_its_member_and_trains_it_alone(monkeypatch):
    model, x = factored().train(), images(7)
    who = torch.tensor([0, 2, 1, 1, 0, 2, 0])
    monkeypatch.setattr(MODULE, "shared_out", lambda *_: who)
    model.net[1].eval()  # batch normalisation would tie the rows to each other
    answers = model(x)
    assert_close(answers, torch.stack([model.member(int(k)).eval()(x[i : i + 1])[0] for i, k in enumerate(who)]))
    answers[who == 1].sum().backward()
    for layer in layers(model):
        for factor in (layer.r, layer.s, layer.bias):
            assert bool(factor.grad[1].any())
            assert not bool(factor.grad[[0, 2]].any())


def test_gradients_of_factors_and_shared_weights_are_those_of_differences(monkeypatch):
    model, x = factored(lambda: nn.Sequential(nn.Conv2d(1, 2, 4), nn.Flatten(), nn.Linear(8, 2)).double()), images(4)
    monkeypatch.setattr(MODULE, "shared_out", lambda *_: torch.tensor([0, 2, 1, 0]))
    names, values = zip(*model.train().named_parameters(), strict=True)
    call = lambda *given: torch.func.functional_call(model, dict(zip(names, given, strict=True)), (x,))  # noqa: E731
    assert torch.autograd.gradcheck(call, values)


class Patches(nn.Module):
    """Answers for each half of a row, as rows of their own."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(2, 3)

    def forward(self, x):
        return self.net(x.reshape(2 * len(x), 2)).reshape(len(x), 6)


def test_a_batch_axis_that_changes_inside_is_told_in_training_and_right_in_prediction():
    model, x = batch_ensemble(Patches(), members=2), torch.rand(4, 4)
    with pytest.raises(ModelContractError, match=r"net must get one row for each of 4 inputs.*got shape \(8, 2\): the"):
        model(x)
    assert_close(predict(model, x, draws=2).members[1], model.member(1)(x))
    alone = batch_ensemble(nn.Conv1d(2, 2, 1), members=2)
    with pytest.raises(ModelContractError, match=r"the layer must get one row .* got shape \(2, 5\)"):
        alone(torch.rand(2, 5))


def test_copies_and_pickles_answer_alike_and_the_model_is_left_as_it_was():
    plain = net()
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    model, x = factored(lambda: plain), images(2)
    expected = predict(model, x, draws=3).members
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(predict(twin, x, draws=3).members, expected)
    assert all(torch.equal(value, before[name]) for name, value in plain.state_dict().items())


def test_a_layer_in_two_places_has_one_set_of_factors():
    shared = nn.Linear(3, 3)
    model = batch_ensemble(nn.Sequential(shared, nn.ReLU(), shared), members=2)
    assert model.net[0] is model.net[2]
    assert model.member(0)[0] is not model.net[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: batch_ensemble(nn.Linear(1, 1), members=0), "members must be >= 1, got 0"),
        (lambda: batch_ensemble(nn.Linear(1, 1), spread=-1), "spread must be >= 0, got -1"),
        (lambda: batch_ensemble(nn.Sequential(nn.Linear(1, 1), nn.LSTM(1, 1))), r"got 1 \(LSTM\); train an ensemble"),
        (lambda: batch_ensemble(nn.TransformerEncoderLayer(4, 2)), r"got self_attn \(MultiheadAttention\); train"),
        (lambda: batch_ensemble(nn.Bilinear(1, 1, 1)), r"got the model \(Bilinear\)"),
        (lambda: batch_ensemble(nn.LazyLinear(1)), r"got the model \(LazyLinear\)"),
        (
            lambda: batch_ensemble(nn.utils.parametrizations.weight_norm(nn.Linear(1, 1))),
            r"got the model \(ParametrizedLinear\)",
        ),
        (lambda: batch_ensemble(nn.BatchNorm1d(2)), "got none; train"),
        (lambda: batch_ensemble(nn.Linear(1, 1), members=2).member(2), "k must be <= 1, got 2"),
        (lambda: batch_ensemble(nn.Linear(1, 1)).eval()(torch.rand(1, 1)), r"has 6 answers to each row.*predict"),
        (lambda: batch_ensemble(nn.Linear(1, 1)).net(torch.rand(1, 1)), "the layer is asked outside of its"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


def test_layers_with_hooks_are_refused():
    layer = nn.Linear(1, 1)
    layer.register_forward_pre_hook(lambda *_: None)
    with pytest.raises(InvalidInput, match=r"got the model \(Linear with hooks\)"):
        batch_ensemble(layer)
