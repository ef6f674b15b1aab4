"""Bayesian layers and `to_bayesian`: what a conversion keeps, what is drawn, what is refused."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import vmap
from torch.testing import assert_close

from trustworthy.core.errors import InvalidInput, TrustworthyWarning
from trustworthy.core.guard import undisturbed
from trustworthy.nn.bayesian import BayesianConv2d, BayesianLayer, BayesianLinear, SpikeAndSlab, kl, to_bayesian
from trustworthy.nn.bayesian.layers import BAYESIAN
from trustworthy.nn.transforms import TRANSFORMS

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def small():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3))


@st.composite
def convolutions(draw):
    sides, groups = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2]))
    options = {"groups": groups, "bias": draw(st.booleans()), "dilation": draw(st.sampled_from([1, 2]))}
    if draw(st.booleans()):
        stride = draw(st.sampled_from([1, 2]))
        options |= {"stride": stride, "padding": draw(st.integers(0, 1)), "output_padding": stride - 1}
        return sides, TRANSPOSED[sides - 1](2, 4, 2, **options)
    options["padding_mode"] = draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
    options["padding"] = draw(st.sampled_from(["same", "valid", 0, 1]))
    options["stride"] = 1 if options["padding"] == "same" else draw(st.sampled_from([1, 2]))
    return sides, CONVOLUTIONS[sides - 1](2, 4, draw(st.sampled_from([1, 2, 3])), **options)


@st.composite
def norms(draw):
    sides = draw(st.integers(1, 3))
    options = {name: draw(st.booleans()) for name in ("affine", "track_running_stats")}
    options |= {"momentum": draw(st.sampled_from([None, 0.3])), "eps": draw(st.sampled_from([1e-5, 0.1]))}
    return sides, NORMS[sides - 1](2, **options)


@settings(max_examples=30)
@given(
    convolutions() | norms() | st.builds(lambda bias: (0, nn.Linear(2, 3, bias=bias)), st.booleans()),
    st.booleans(),
    st.sampled_from([torch.float32, torch.float64]),
    st.booleans(),
    st.booleans(),
)
def test_predictions_and_statistics_stay_as_the_spread_vanishes(sided, local, dtype, training, frozen):
    sides, layer = sided
    model = nn.Sequential(layer, nn.Flatten(1), nn.LazyLinear(2)).to(dtype)
    x = torch.randn(3, 2, *[5] * sides, dtype=dtype)
    model(x)
    for weight in layer.parameters():
        nn.init.normal_(weight)
    layer.requires_grad_(not frozen)
    model.train(training)
    random = to_bayesian(model, init_std=1e-14, local=local)
    tolerance = {torch.float32: 1e-5, torch.float64: 1e-10}[dtype]
    for _ in range(2):
        assert_close(random(x), model(x), rtol=tolerance, atol=tolerance)
    assert_close(dict(random.named_buffers()), dict(model.named_buffers()))
    assert {(weight.dtype, weight.requires_grad) for weight in random[0].parameters()} <= {(dtype, not frozen)}
    assert repr(random[0]).removeprefix("Bayesian").startswith(repr(layer)[:-1])


def test_the_model_is_left_alone_and_a_layer_in_two_places_stays_one():
    shared = nn.Linear(3, 3)
    model = nn.Sequential(shared, nn.ReLU(), shared, nn.Linear(3, 3))
    model[3].weight = shared.weight
    before = copy.deepcopy(model.state_dict())
    random = to_bayesian(model)
    assert [type(layer) for layer in model] == [nn.Linear, nn.ReLU, nn.Linear, nn.Linear]
    with torch.no_grad():
        random[0].weight_mean.zero_()
    assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert random[0] is random[2]
    assert random[0].weight_mean is random[3].weight_mean
    assert random[0].weight_log_std is random[3].weight_log_std
    alone = nn.Sequential(random[0], nn.ReLU())
    assert_close(kl(random) - kl(alone), to_bias_kl(random[3]))


def to_bias_kl(layer):
    std = layer.bias_log_std.exp()
    posterior, prior = torch.distributions.Normal(layer.bias_mean, std), torch.distributions.Normal(0.0, 0.1)
    return torch.distributions.kl_divergence(posterior, prior).sum()


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_every_pass_draws_and_every_posterior_parameter_moves_output_and_kl(local, training):
    model, x = small(), torch.rand(4, 1, 4, 4)
    for weight in model[1].parameters():
        nn.init.normal_(weight)  # away from its prior mean
    random = to_bayesian(model, local=local)
    assert not torch.equal(random.train(training)(x), random(x))
    names = [name for name, _ in random.named_parameters()]
    assert [name.split(".")[0] for name in names] == [*"0000", *"1111", *"4444"]
    assert {name.split(".")[1] for name in names} == {"weight_mean", "weight_log_std", "bias_mean", "bias_log_std"}
    for value in (random.eval()(x).square().sum(), kl(random)):
        assert all(gradient.abs().max() > 0 for gradient in torch.autograd.grad(value, list(random.parameters())))


def test_the_global_stream_alone_decides_what_is_drawn_and_looking_at_a_layer_draws_nothing():
    random, x = to_bayesian(small()).eval(), torch.rand(2, 1, 4, 4)
    torch.manual_seed(1)
    first = random(x)
    torch.manual_seed(1)
    repr(random), random.state_dict(), kl(random), copy.deepcopy(random)
    assert_close(random(x), first, rtol=0, atol=0)


@pytest.mark.parametrize("local", [False, True])
def test_draws_made_at_once_are_distributed_as_those_of_a_loop(local):
    random, x = to_bayesian(small(), local=local), torch.rand(5, 1, 4, 4)
    with undisturbed(random, x, None), torch.no_grad():
        answers = vmap(lambda _: random(x), randomness="different")(torch.zeros(200))
        loop = torch.stack([random(x) for _ in range(200)])
    error = (answers.var(0) + loop.var(0)).div(200).sqrt()
    assert ((answers.mean(0) - loop.mean(0)).abs() < 4 * error).all()
    assert_close(answers.std(0), loop.std(0), rtol=0.3, atol=0)


def test_local_draws_of_a_convolution_have_the_mean_and_the_variance_of_drawn_weights():
    """The output has the mean of the layer itself and the variance of a layer with weights s^2, at the input x^2."""
    layer = nn.Conv2d(4, 6, 3, padding=1, groups=2, padding_mode="reflect").double()
    x, std, draws = torch.randn(2, 4, 3, 3).double(), 0.3, 1000
    with torch.no_grad():
        spread = copy.deepcopy(layer)
        for weight in spread.parameters():
            weight.fill_(std**2)
        variance = spread(x.square())
        for local in (False, True):
            random = to_bayesian(layer, init_std=std, local=local)
            answers = vmap(lambda _, random=random: random(x), randomness="different")(torch.zeros(draws))
            assert ((answers.mean(0) - layer(x)).abs() < 5 * (variance / draws).sqrt()).all()
            assert ((answers.var(0) / variance - 1).abs() < 5 * math.sqrt(2 / draws)).all()


def test_rows_move_together_unless_draws_are_local():
    x = torch.randn(1, 8).expand(2, 8)
    for local in (False, True):
        random = BayesianLinear(8, 1, local=local, init_std=1.0)
        first, second = random(x)[:, 0]
        assert torch.equal(first, second) is not local


def test_rows_of_zeros_have_finite_gradients_when_draws_are_local():
    random = BayesianLinear(3, 2, bias=False, local=True)
    x = torch.zeros(2, 3, requires_grad=True)
    for gradient in torch.autograd.grad(random(x).sum(), [x, *random.parameters()]):
        assert gradient.isfinite().all()


def test_a_transposed_convolution_takes_the_size_that_it_shall_give():
    layer, x = nn.ConvTranspose2d(1, 1, 2, stride=2), torch.rand(1, 1, 3, 3)
    for local in (False, True):
        random = to_bayesian(layer, init_std=1e-12, local=local)
        assert_close(random(x, output_size=[7, 7]), layer(x, output_size=[7, 7]))
        assert_close(random(input=x), layer(x))


def test_a_fresh_draw_is_that_of_torch():
    model = small()
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(7.0)
    model(torch.rand(4, 1, 4, 4))
    random = to_bayesian(model, warm_start=False)
    bound = 1 / math.sqrt(8)
    assert 0.5 * bound < random[4].weight_mean.abs().max() < bound
    assert random[1].weight_mean.tolist() == [1, 1]
    assert random[1].running_mean.tolist() == [0, 0]
    assert model[1].running_mean.abs().min() > 0
    assert not torch.equal(to_bayesian(model, warm_start=False)[4].weight_mean, random[4].weight_mean)


def test_a_layer_is_reset_as_one_of_torch():
    random = to_bayesian(small())
    for layer in (random[0], random[1], random[4]):
        plain = getattr(nn, type(layer).__name__.removeprefix("Bayesian"))
        fresh = plain(*{nn.Conv2d: (1, 2, 3), nn.BatchNorm2d: (2,), nn.Linear: (8, 3)}[plain])
        for module in (layer, fresh):
            with torch.no_grad():
                getattr(module, "bias_mean" if module is layer else "bias").fill_(7.0)
            torch.manual_seed(3)
            module.reset_parameters()
        assert_close([layer.weight_mean, layer.bias_mean], [fresh.weight, fresh.bias], rtol=0, atol=0)


def test_what_is_not_covered_is_named_and_kept():
    class Own(nn.Linear):
        pass

    model = nn.ModuleDict(
        {
            "linear": nn.Linear(3, 3),
            "attention": nn.MultiheadAttention(4, 2),
            "lstm": nn.LSTM(3, 3),
            "own": Own(2, 2),
            "spectral": nn.utils.spectral_norm(nn.Linear(2, 2)),
            "normed": nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)),
        }
    )
    with pytest.warns(TrustworthyWarning, match="keeps the weights of attention") as caught:
        random = to_bayesian(model)
    message = str(caught[0].message)
    assert (
        "attention (MultiheadAttention), attention.out_proj (NonDynamicallyQuantizableLinear), lstm (LSTM)" in message
    )
    assert "own (Own), spectral (Linear) and 2 more fixed" in message
    assert [name for name, module in random.named_modules() if isinstance(module, BayesianLayer)] == ["linear"]
    assert_close(random["lstm"].state_dict(), model["lstm"].state_dict())
    again = to_bayesian(nn.Sequential(random["linear"], nn.Linear(3, 3)))  # in silence
    assert isinstance(again[0], BayesianLinear)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (nn.Sequential(nn.Flatten(), nn.ReLU()), "got none"),
        (nn.BatchNorm1d(3, affine=False), "got none"),
        (nn.Sequential(nn.Embedding(3, 2)), r"got only 0 \(Embedding\)"),
        (nn.PReLU(), r"got only the model \(PReLU\)"),
    ],
)
def test_a_model_with_nothing_to_randomise_is_refused(model, named):
    with pytest.raises(InvalidInput, match=f"model must have a linear layer, .*{named}; noise is another way"):
        to_bayesian(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior_std": 0}, "prior_std must be > 0, got 0"),
        ({"prior_std": math.nan}, "prior_std must be finite"),
        ({"init_std": -0.1}, "init_std must be > 0, got -0.1"),
        ({"prior": {"std": 1}}, "prior must be a Prior or a mapping such as"),
        ({"prior": {"kind": "mixtur", "stds": [1]}}, "did you mean 'mixture'"),
        ({"prior": {"kind": "mixture", "scale": 1}}, "prior of kind 'mixture' does not take these options: .*'scale'"),
    ],
)
@pytest.mark.usefixtures("_as_users_call_it")
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(InvalidInput, match=message):
        to_bayesian(small(), **options)


def test_a_saved_recipe_can_name_the_transform_and_its_prior():
    random = TRANSFORMS["to_bayesian"](small(), prior={"kind": "spike_and_slab", "slab_std": 0.2}, init_std=0.1)
    assert random[0].prior == SpikeAndSlab(slab_std=0.2)
    assert f"prior={random[0].prior}" in repr(random[0])
    copied = to_bayesian(small(), prior=random[0].prior)
    copied.load_state_dict(random.state_dict())
    assert_close(copied.state_dict(), random.state_dict(), rtol=0, atol=0)


@pytest.mark.usefixtures("_as_users_call_it")
def test_a_layer_takes_the_arguments_of_torch():
    layer = BayesianConv2d(2, 4, 3, padding="same", bias=False, init_std=0.2, dtype=torch.float64)
    assert [*layer.state_dict()] == ["weight_mean", "weight_log_std"]
    assert layer.weight_log_std.exp().unique().item() == pytest.approx(0.2)
    assert layer.bias is None
    with pytest.raises(InvalidInput, match="prior must be a Prior or a mapping"):
        BayesianLinear(1, 1, prior=0.1)
    assert layer(torch.rand(1, 2, 5, 5).double()).shape == (1, 4, 5, 5)
    assert all(issubclass(kind, plain) for plain, kind in BAYESIAN.items())


@pytest.mark.filterwarnings("ignore:to_bayesian keeps the weights of self_attn")
def test_a_transformer_block_draws_in_evaluation_too():
    """Where torch has a way for evaluation that passes by the layers of a block."""
    block, x = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), torch.randn(1, 5, 8).expand(2, 5, 8)
    with torch.no_grad():
        for local in (False, True):
            random = to_bayesian(block, local=local)
            answers = random(x)
            assert not torch.equal(answers, random(x))
            assert torch.equal(answers[0], answers[1]) is not local
            assert_close(to_bayesian(block, local=local, init_std=1e-12)(x), block(x))
