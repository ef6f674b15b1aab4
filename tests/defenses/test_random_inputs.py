"""RSE and BReLU: what is put into the network and what is done to the inputs."""

import pytest
import torch
from torch import nn

from trustworthy.core.errors import InvalidInput
from trustworthy.core.predictive import predict
from trustworthy.core.seeds import torch_generator
from trustworthy.defenses import BoundedReLUTraining, RandomSelfEnsemble
from trustworthy.defenses.noise import InTurn
from trustworthy.nn.bounded_relu import BoundedReLU
from trustworthy.training import CropAndFlip, Moment, fit

X = torch.rand(24, 1, 4, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(24) % 3


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


def test_an_ensemble_without_noise_is_plain_training():
    plain = network()
    fit(plain, (X, Y), epochs=2, optimizer=lambda weights: torch.optim.Adam(weights, lr=1e-2), seed=3)
    defense = RandomSelfEnsemble(epochs=2, sigma_init=0.0, sigma_inner=0.0, learning_rate=1e-2, schedule="constant")
    defended = defense(network(), (X, Y), seed=3)
    assert torch.equal(defended.model(X), plain(X))
    assert defended.transforms == (("add_noise", {"sigma_init": 0.0, "sigma_inner": 0.0}),)


def test_an_ensemble_is_random_after_training_and_judged_by_the_mean_of_its_draws():
    defended = RandomSelfEnsemble(epochs=1, sigma_init=3.0, draws=4)(network(), (X, Y), validation=(X, Y))
    assert not torch.equal(defended.model(X), defended.model(X))
    told = defended.last.metrics["accuracy"]
    answers = predict(defended.model, X, draws=4, generator=torch_generator(0, "judged"))
    assert told == float((answers.logits.argmax(1) == Y).double().mean())
    assert told != float((answers.members[0].argmax(1) == Y).double().mean())
    assert RandomSelfEnsemble(epochs=1).draws == 10


def test_noise_on_the_inputs_comes_after_the_usual_augmentation():
    plain, cropped = BoundedReLUTraining(epochs=1, sigma=0.5), BoundedReLUTraining(epochs=1, augment="crop-and-flip")
    moment = Moment(0, 1, 0, 24, torch.Generator().manual_seed(0))
    assert float((plain.augmentation((X, Y), moment)[0] - X).std()) == pytest.approx(0.5, rel=0.1)
    assert isinstance(cropped.augmentation, InTurn)
    assert cropped.augmentation.parts[0] == CropAndFlip()
    padded = cropped.augmentation((X, Y), moment)[0]
    assert float((padded == 0).double().mean()) < 0.01  # the zeros of the crop have noise on them


def test_bounded_activations_are_part_of_the_trained_model_and_noise_is_not():
    defended = BoundedReLUTraining(epochs=1, high=2.0)(network(), (X, Y))
    assert isinstance(defended.model[1], BoundedReLU)
    assert torch.equal(defended.model(X), defended.model(X))
    assert defended.transforms == (("bound_relu", {"high": 2.0}),)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: RandomSelfEnsemble(epochs=1, sigma_init=-0.1), "sigma_init must be >= 0"),
        (lambda: RandomSelfEnsemble(epochs=1, sigma_inner=-0.1), "sigma_inner must be >= 0"),
        (lambda: RandomSelfEnsemble(epochs=1, draws=0), "draws must be >= 1"),
        (lambda: BoundedReLUTraining(epochs=1, sigma=-1), "sigma must be >= 0"),
        (lambda: BoundedReLUTraining(epochs=1, high=0), "high must be > 0"),
        (lambda: RandomSelfEnsemble(epochs=1)(nn.Flatten(), (X, Y)), "model must have"),
        (lambda: BoundedReLUTraining(epochs=1)(nn.Linear(4, 3), (X, Y)), "ReLU"),
    ],
)
def test_wrong_settings_and_models_are_named(build, message):
    with pytest.raises(InvalidInput, match=message):
        build()
