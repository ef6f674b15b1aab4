import copy
import math
import pickle

import pytest
import torch
from torch import nn

from trustworthy.core.errors import CheckpointError, InvalidInput
from trustworthy.core.predictive import predict
from trustworthy.nn import BernoulliGaussianNoise, GaussianNoise, add_noise
from trustworthy.nn.backbones import MLP, ResNeXt, SmallConvNet
from trustworthy.training import Checkpoints, fit, load_weights, save_weights

LAYERS = (nn.Conv2d, nn.Linear)


def noises(model):
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, GaussianNoise)}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_noise_stands_before_every_convolution_and_only_the_first_has_sigma_init():
    model = add_noise(ResNeXt(image_size=4, width=2))
    found = noises(model)
    convolutions = [name for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)]
    assert list(found) == [f"{name}.noise" for name in convolutions]
    assert [layer.sigma for layer in found.values()] == [0.2] + [0.1] * (len(convolutions) - 1)


def test_linear_layers_get_noise_where_nothing_convolves():
    assert list(noises(add_noise(SmallConvNet(image_size=8, width=2)))) == ["layers.0.noise", "layers.4.noise"]
    model = add_noise(MLP(features=3, classes=2), sigma_init=0.5, sigma_inner=0.0)
    linear = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    assert {name: layer.sigma for name, layer in noises(model).items()} == {
        f"{name}.noise": sigma for name, sigma in zip(linear, (0.5, 0.0, 0.0), strict=False)
    }


def test_the_noise_of_a_linear_model_is_what_its_weights_make_of_it():
    # W2 (W1 (x + e1) + e2): covariance sigma1^2 W2 W1 W1' W2' + sigma2^2 W2 W2'
    plain = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).double()
    model, x, draws = add_noise(plain, sigma_init=0.7, sigma_inner=0.3), torch.rand(1, 3).double(), 40_000
    first, second = plain[0].weight.detach(), plain[1].weight.detach()
    covariance = 0.49 * second @ first @ first.T @ second.T + 0.09 * second @ second.T
    torch.manual_seed(0)
    answers = model(x.expand(draws, 3)).detach()
    std = covariance.diag().sqrt()
    assert bool(((answers.mean(0) - plain(x)[0]).abs() < 4 * std / math.sqrt(draws)).all())
    error = (torch.outer(std**2, std**2) + covariance**2).div(draws).sqrt()  # of an entry of a sample covariance
    assert bool(((answers.T.cov() - covariance).abs() < 4 * error).all())


def test_weights_of_the_plain_model_load_and_the_other_way_round(tmp_path):
    plain = SmallConvNet(image_size=8, width=2)
    noisy = add_noise(plain)
    assert list(noisy.state_dict()) == list(plain.state_dict())
    other = SmallConvNet(image_size=8, width=2)
    save_weights(noisy, tmp_path / "noisy.safetensors")
    load_weights(other, tmp_path / "noisy.safetensors")
    save_weights(other, tmp_path / "plain.safetensors")
    load_weights(add_noise(other), tmp_path / "plain.safetensors")
    assert torch.equal(other.layers[0].weight, plain.layers[0].weight)


def test_the_model_itself_is_left_alone():
    model, x = SmallConvNet(image_size=8, width=2), torch.rand(2, 1, 8, 8)
    noisy = add_noise(model)
    assert not noises(model)
    assert torch.equal(model.eval()(x), model(x))
    assert not torch.equal(noisy.eval()(x), noisy(x))


def test_copies_and_pickles_draw_from_their_own_layers():
    noisy, x = add_noise(SmallConvNet(image_size=8, width=2)).eval(), torch.rand(2, 1, 8, 8)
    for twin in (copy.deepcopy(noisy), pickle.loads(pickle.dumps(noisy))):
        a, b = (predict(model, x, draws=2, generator=seeded()).members for model in (noisy, twin))
        assert torch.equal(a, b)
        for layer in noises(twin).values():
            layer.sigma = 0.0
        assert torch.equal(twin(x), twin(x))
        assert all(layer.sigma > 0 for layer in noises(noisy).values())


def test_noise_takes_on_the_mode_of_its_layer():
    model = nn.Sequential(nn.Linear(2, 2).eval(), nn.Linear(2, 2))
    noisy = add_noise(model)
    assert [noisy[0].noise.training, noisy[1].noise.training] == [False, True]


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3, bias=False)
        self.again = self.first

    def forward(self, x):
        return self.first(x), self.again(input=x)


def test_a_layer_in_two_places_has_one_noise_layer_that_draws_at_every_call():
    noisy, x = add_noise(Shared()), torch.rand(2, 3)
    assert noisy.first is noisy.again
    assert list(noises(noisy)) == ["first.noise"]
    first, again = noisy(x)
    assert not torch.equal(first, again)
    noisy.first.weight.data = torch.eye(3)
    torch.manual_seed(0)
    spread = noisy(torch.zeros(20_000, 3))[1].std()  # twice the same noise would give 0.28
    assert abs(float(spread.detach()) - 0.2) < 0.005


def test_an_attention_block_is_made_noisy_where_its_layers_are_called():
    block = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True).eval()
    noisy, x = add_noise(block), torch.rand(2, 3, 4)
    assert list(noises(noisy)) == ["linear1.noise", "linear2.noise"]
    with torch.no_grad():  # in evaluation torch has another way through the block
        assert not torch.equal(noisy(x), noisy(x))


def test_a_run_with_another_sigma_does_not_resume(tmp_path):
    data = torch.rand(8, 3), torch.randint(2, (8,))
    train = lambda model: fit(model, data, epochs=1, batch_size=4, checkpoints=Checkpoints(tmp_path))  # noqa: E731
    plain = MLP(features=3, classes=2)
    train(add_noise(plain))
    train(add_noise(plain))
    with pytest.raises(
        CheckpointError, match=r"noise was .*GaussianNoise\(sigma=0.1\), is .*GaussianNoise\(sigma=0.3\)"
    ):
        train(add_noise(plain, sigma_inner=0.3))


def test_p_below_one_gives_bernoulli_gaussian_noise():
    model = add_noise(MLP(features=3, classes=2), p=0.5)
    layers = [layer for layer in model.modules() if isinstance(layer, BernoulliGaussianNoise)]
    assert [(layer.sigma, layer.p) for layer in layers[:2]] == [(0.2, 0.5), (0.1, 0.5)]
    assert not noises(model)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_bernoulli_gaussian_noise_leaves_exactly_the_entries_that_it_does_not_hit(dtype):
    torch.manual_seed(0)
    n, p = 200_000, 0.002
    hit = BernoulliGaussianNoise(0.3, p)(torch.zeros(n, dtype=dtype)) != 0
    assert abs(int(hit.sum()) - n * p) < 4 * math.sqrt(n * p * (1 - p))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianNoise(-0.1), "sigma must be >= 0, got -0.1"),
        (lambda: GaussianNoise(math.nan), "sigma must be finite, got nan"),
        (lambda: BernoulliGaussianNoise(-1, 0.5), "sigma must be >= 0"),
        (lambda: BernoulliGaussianNoise(0.1, 0), "p must be > 0, got 0"),
        (lambda: BernoulliGaussianNoise(0.1, 1.5), "p must be <= 1, got 1.5"),
        (lambda: add_noise(nn.Linear(2, 2), sigma_init=-0.1), "sigma_init must be >= 0, got -0.1"),
        (lambda: add_noise(nn.Linear(2, 2), sigma_inner=math.nan), "sigma_inner must be finite, got nan"),
        (lambda: add_noise(nn.Linear(2, 2), p=0), "p must be > 0, got 0"),
        (lambda: add_noise(nn.Sequential(nn.Flatten())), "Sequential has none; put GaussianNoise into it"),
        (lambda: add_noise(nn.Sequential(nn.LazyLinear(2))), "no 0.weight yet, as its layer is lazy; ask the model"),
        (lambda: add_noise(add_noise(nn.Sequential(nn.Linear(2, 2)))), "0 has noise already"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


def test_a_lazy_layer_that_has_seen_a_batch_gets_noise():
    model = nn.Sequential(nn.LazyLinear(2))
    model(torch.rand(1, 3))
    assert list(noises(add_noise(model))) == ["0.noise"]
