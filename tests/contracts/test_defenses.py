"""What every defence guarantees. A new one is a line of METHODS, and of OTHER here for a setting that differs."""

import dataclasses
import warnings

import pytest
import torch
from torch import nn

from interrupted import BreaksOff, Interruption
from trustworthy import attacks, defenses, training
from trustworthy.attacks.adversarial_loss import AdversarialCrossEntropy
from trustworthy.core.errors import CheckpointError, InvalidInput
from trustworthy.defenses import METHODS
from trustworthy.nn.transforms import TRANSFORMS
from trustworthy.training import Checkpoints

OTHER = {
    "rse": {"sigma_init": 0.3},
    "brelu": {"sigma": 0.3},
    "distillation": {"temperature": 3.0},
    "adv-bnn": {"steps": 1},
    "adversarial": {"steps": 1},
    "adversarial-fgsm": {"probability": 0.1},
    "adversarial-fast": {"step": 0.9},
    "trades": {"beta": 1.0},
}
FEW = ("rse", "adv-bnn", "distillation", "adversarial-fast")
each = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in METHODS]
)
every = pytest.mark.parametrize("name", METHODS)
NAMES = {**vars(defenses), **vars(attacks), **vars(training), "AdversarialCrossEntropy": AdversarialCrossEntropy}
IMAGES = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
ROWS = 2 * torch.randn(64, 5, generator=torch.Generator().manual_seed(1))
Y = torch.arange(64) % 3


def images():
    torch.manual_seed(0)
    body = [nn.Conv2d(1, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)]
    return nn.Sequential(BreaksOff(), *body)


def table():
    torch.manual_seed(0)
    return nn.Sequential(BreaksOff(), nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)).double()


def built(name, epochs=1, **settings):
    if "steps" not in settings and name in ("adversarial", "trades", "adv-bnn"):
        settings["steps"] = 2
    return METHODS[name](eps=0.1, epochs=epochs, batch_size=32, **settings)


def run(defense, model, folder=None, passes=None, data=(IMAGES, Y)):
    BreaksOff.left = passes
    checkpoints = None if folder is None else Checkpoints(folder, every=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a tiny network may collapse in many ways
        return defense(model, data, validation=(data[0][:16], Y[:16]), checkpoints=checkpoints)


def same(model, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())


@every
def test_it_trains_a_copy_that_answers_logits_in_evaluation_mode(name):
    model = images().train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    defended = run(built(name), model)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(module.training for module in defended.model.modules())
    assert defended.model(IMAGES[:5]).shape == (5, 3)
    assert [*defended.history.records[-1:]] == [defended.last]
    assert defended.best in defended.history.records
    assert defended.seconds >= sum(record.seconds for record in defended.history.records) > 0
    judged = "robust_accuracy" if name in ("adv-bnn", "trades") or name.startswith("adversarial") else "accuracy"
    assert list(defended.best.metrics)[-1] == judged
    again = model
    for transform, options in defended.transforms:
        again = TRANSFORMS[transform](again, **options)
    again.load_state_dict(defended.model.state_dict())  # a saved model is built from what was done to it


@every
def test_a_table_of_standardised_numbers_is_defended_too(name):
    defended = run(built(name, bounds=None), table(), data=(ROWS.double(), Y))
    assert defended.model(ROWS[:5].double()).dtype == torch.float64


@each
def test_stopped_in_mid_run_and_resumed_by_the_same_setting_alone_it_ends_with_the_same_weights(name, tmp_path):
    """In the last epoch; what is kept in memory without checkpoints is what is kept with them."""
    passes = {"distillation": 7, "trades": 6}.get(name, 3)
    defense = built(name, epochs=2)
    whole = run(defense, images())
    with pytest.raises(Interruption):
        run(defense, images(), tmp_path, passes)
    resumed = run(defense, images(), tmp_path)
    assert same(resumed.model, whole.model)
    assert [dataclasses.replace(record, seconds=0.0) for record in resumed.history.records] == [
        dataclasses.replace(record, seconds=0.0) for record in whole.history.records
    ]
    assert dataclasses.replace(resumed.best, seconds=0.0) == dataclasses.replace(whole.best, seconds=0.0)
    assert same(run(defense, images(), tmp_path).model, whole.model)  # once more, when nothing is left to do
    with pytest.raises(CheckpointError, match="belongs to another run"):
        run(built(name, epochs=2, **OTHER[name]), images(), tmp_path)


@every
def test_its_words_are_its_value(name):
    for defense in (built(name), built(name, bounds=None, augment="crop-and-flip", **OTHER[name])):
        assert eval(repr(defense), NAMES) == defense
        assert hash(defense) is not None
    assert built(name) != built(name, **OTHER[name])


@every
def test_data_with_a_class_that_the_model_does_not_know_are_refused_before_any_training(name, tmp_path):
    known = (IMAGES, Y)
    for given in ({"data": (IMAGES, Y + 1)}, {"data": known, "validation": (IMAGES, Y + 1)}):
        with pytest.raises(InvalidInput, match=r"y must lie in 0\.\.2 for 3 logits, got 3; give a model"):
            built(name)(images(), checkpoints=tmp_path / "run", **given)
    with pytest.raises(InvalidInput, match="y must hold classes"):
        built(name)(images(), (IMAGES, Y.float()), checkpoints=tmp_path / "run")
    assert not (tmp_path / "run").exists()
