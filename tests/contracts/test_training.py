"""What every loss, augmentation, schedule and optimizer must keep, so that a checkpoint is resumed by meaning.

A new loss, augmentation or schedule of the library enters `SETTINGS` with a value of it and, where it has settings,
another that differs in one of them; the last test finds those that are missing.
"""

import importlib
import inspect
import re
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

import trustworthy
from interrupted import BreaksOff, Interruption
from trustworthy import training
from trustworthy.attacks import FGSM, PGD
from trustworthy.attacks.adversarial_loss import AdversarialCrossEntropy
from trustworthy.core.errors import CheckpointError
from trustworthy.defenses.adversarial_training import CleanOrAdversarial, Trades
from trustworthy.defenses.distillation import Tempered
from trustworthy.defenses.noise import InTurn
from trustworthy.defenses.watch import Later
from trustworthy.nn.bayesian import to_bayesian
from trustworthy.training import AbstractSchedule, Checkpoints, Engine, fit
from trustworthy.uncertainty.fast import Apart
from trustworthy.uncertainty.variational import EvidenceLoss

SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.9)
TEACHER, OTHER_TEACHER = (nn.Sequential(nn.Flatten(), nn.Linear(16, 3)) for _ in range(2))
ANCHORS = tuple(torch.zeros(1, *shape) for shape in ((4, 16), (4,), (4,), (4,), (3, 4), (3,)))  # of `network`
AWAY = partial(Apart, loss=training.cross_entropy, anchors=ANCHORS)
SETTINGS = {
    "loss": [
        (training.cross_entropy,),
        (training.Categorical(),),
        (AdversarialCrossEntropy(attack=PGD(eps=0.1, steps=2)), AdversarialCrossEntropy(attack=PGD(eps=0.9, steps=2))),
        (CleanOrAdversarial(attack=FGSM(eps=0.3), low=0.1), CleanOrAdversarial(attack=FGSM(eps=0.3), low=0.2)),
        (Trades(attack=PGD(eps=0.1, steps=2)), Trades(attack=PGD(eps=0.1, steps=2), beta=1.0)),
        (Tempered(temperature=2.0), Tempered(temperature=3.0)),
        (Tempered(teacher=TEACHER, temperature=2.0), Tempered(teacher=OTHER_TEACHER, temperature=2.0)),
        (EvidenceLoss(alpha=0.5), EvidenceLoss(alpha=0.5, warmup=0.5)),
        (AWAY(weight=0.1), AWAY(weight=0.2)),
    ],
    "augment": [
        (training.CropAndFlip(padding=1), training.CropAndFlip(padding=2)),
        (training.SameCropAndTurn(), training.SameCropAndTurn(size=4)),
        (training.GaussianNoise(sigma=0.1), training.GaussianNoise(sigma=0.2)),
        (InTurn(parts=(training.CropAndFlip(padding=1),)), InTurn(parts=(training.GaussianNoise(sigma=0.1),))),
    ],
    "schedule": [
        (training.Constant(),),
        (training.Linear(warmup=0.3), training.Linear(warmup=0.3, final=0.1)),
        (training.Cosine(warmup=0.3), training.Cosine(warmup=0.7)),
        (training.CyclicCosine(cycles=2), training.CyclicCosine(cycles=3)),
        (training.Phases(lengths=(1, 1)), training.Phases(lengths=(1, 1), divisor=2.0)),
        (Later(schedule=training.Linear(), skipped=2), Later(schedule=training.Linear(), skipped=3)),
    ],
    "optimizer": [
        (SGD, partial(SGD, momentum=0.5)),
        (partial(torch.optim.Adam, lr=0.1), partial(torch.optim.Adam, lr=0.2)),
        (lambda weights: torch.optim.RMSprop(weights, lr=0.1), partial(torch.optim.RMSprop, lr=0.1, alpha=0.5)),
    ],
    "engine": [(Engine(accumulate=2), Engine(accumulate=3)), (Engine(clip=0.5), Engine(clip=1.0))],
    "seed": [(1, 2)],
    "batch_size": [(4, 6)],
    "epochs": [(2, 3)],
}
KINDS = [(name, values) for name, kinds in SETTINGS.items() for values in kinds]
PAIRS = [(name, *values) for name, values in KINDS if len(values) == 2] + [
    (name, kinds[0][0], kinds[1][0]) for name, kinds in SETTINGS.items() if len(kinds) > 1
]
NUMBERS = ("seed", "batch_size", "epochs")
"""Settings of every run, whose values a checkpoint need only tell apart."""
CALLED_WITH = {"loss": ["model", "batch", "moment"], "augment": ["batch", "moment"]}

X = torch.rand(12, 1, 4, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(12) % 3


def network(p=0.3, activation=nn.ReLU):
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(16, 4), nn.BatchNorm1d(4), activation(), nn.Dropout(p), nn.Linear(4, 3)]
    return nn.Sequential(BreaksOff(), *layers)


def run(folder, passes=None, **settings):
    BreaksOff.left = passes
    model = to_bayesian(network()) if isinstance(settings.get("loss"), EvidenceLoss) else network()
    given = {"model": model, "data": (X, Y), "epochs": 2, "batch_size": 4, "optimizer": SGD, **settings}
    history = fit(checkpoints=Checkpoints(folder, every=2), **given)
    return given["model"].state_dict(), history


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run with one setting, trained once: its folder, weights and history."""
    done = {}

    def of(name, value):
        key = name, id(value)
        if key not in done:
            folder = tmp_path_factory.mktemp(name)
            done[key] = folder, *run(folder, **{name: value})
        return done[key]

    return of


def words(value):
    return re.sub(r"functools\.|<|>| at 0x\w+", "", str(value))[:50]


@pytest.mark.parametrize(
    ("name", "values"),
    [pytest.param(*kind, marks=pytest.mark.slow if kind[0] in NUMBERS else ()) for kind in KINDS],
    ids=words,
)
def test_a_run_stopped_on_the_way_and_resumed_ends_with_the_same_weights(name, values, tmp_path, whole):
    setting = {name: values[0]}
    _, expected, history = whole(name, values[0])
    with pytest.raises(Interruption):
        run(tmp_path, passes=5, **setting)
    weights, resumed = run(tmp_path, **setting)
    assert 0 < resumed.resumed_from < history.steps
    for part, value in expected.items():
        assert torch.equal(weights[part], value), part
    assert [(r.loss, r.learning_rate) for r in resumed.records] == [(r.loss, r.learning_rate) for r in history.records]


@pytest.mark.parametrize(("name", "one", "other"), PAIRS, ids=words)
def test_another_setting_refuses_to_resume_and_is_named(name, one, other, whole):
    folder, *_ = whole(name, one)
    with pytest.raises(CheckpointError) as refusal:
        run(folder, **{name: other})
    of_another_run = re.fullmatch(r".* belongs to another run: (.*)\. Use the settings of that.*", str(refusal.value))
    told = re.findall(r"(?:^|; )(\w+)(?: group \d)? was .*?, is ", of_another_run[1])
    assert set(told) <= ({"accumulate", "clip"} if name == "engine" else {name})
    assert told
    assert run(folder, **{name: one})[1].resumed_from is not None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": network(p=0.9)}, r"model 5 was .*Dropout\(p=0.3, .*, is .*Dropout\(p=0.9"),
        ({"model": network(activation=nn.Tanh)}, r"model 4 was .*ReLU\(.*, is .*Tanh\("),
        ({"data": (X, Y.flip(0))}, r"data was float32 \(12, 1, 4, 4\).*int64 \(12,\)"),
    ],
)
def test_another_model_or_other_data_refuse_to_resume(changed, message, tmp_path):
    run(tmp_path)
    with pytest.raises(CheckpointError, match=rf"belongs to another run: {message}"):
        run(tmp_path, **changed)
    assert run(tmp_path)[1].resumed_from == 6


def public():
    """Every function and class that a module of the library defines for others, where it speaks of these families."""
    root = Path(trustworthy.__file__).parent
    for path in root.rglob("*.py"):
        if re.search(r"\bMoment\b|\bAbstractSchedule\b", path.read_text()):
            name = ".".join(["trustworthy", *path.relative_to(root).with_suffix("").parts])
            for attribute, value in vars(importlib.import_module(name)).items():
                if not attribute.startswith("_") and callable(value) and getattr(value, "__module__", "") == name:
                    yield value


def kind(value):
    """The argument of `fit` that `value`, or a value of the class `value`, is made for."""
    if isinstance(value, type) and issubclass(value, AbstractSchedule):
        return "schedule"
    called = value.__call__ if isinstance(value, type) and "__call__" in vars(value) else value
    try:
        names = [name for name in inspect.signature(called).parameters if name != "self"]
    except (TypeError, ValueError):
        return None
    return next((argument for argument, expected in CALLED_WITH.items() if names == expected), None)


def test_every_loss_augmentation_and_schedule_of_the_library_is_held_to_this():
    held = {value if inspect.isfunction(value) else type(value) for _, values in KINDS for value in values}
    found = {value for value in public() if kind(value) and not inspect.isabstract(value)}
    assert found >= {training.cross_entropy, AdversarialCrossEntropy, training.Cosine, training.CropAndFlip}
    assert found <= held
