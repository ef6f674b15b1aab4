"""Adversarial training: what is trained on, closed forms, and the watch over the single step."""

import copy
import warnings
from dataclasses import replace

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from interrupted import Interruption
from trustworthy.attacks import FGSM, PGD, UniformFGSM
from trustworthy.attacks.adversarial_loss import AdversarialCrossEntropy
from trustworthy.attacks.goal import Largest
from trustworthy.core.errors import InvalidInput, TrustworthyWarning
from trustworthy.core.predictive import predict
from trustworthy.defenses import AdversarialTraining, CleanOrAdversarial, Trades, Watch
from trustworthy.defenses.adversarial_training import divergence
from trustworthy.defenses.watch import Later
from trustworthy.nn.backbones import SmallConvNet
from trustworthy.training import EpochRecord, Moment, Phases, cross_entropy, load_weights

X = torch.rand(24, 1, 4, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(24) % 3


def moment(seed=0):
    return Moment(0, 1, 0, 24, torch.Generator().manual_seed(seed))


def network(width=4):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Flatten(), nn.Linear(width * 16, 3)
    )


def test_batches_are_replaced_half_of_the_time_by_radii_from_the_whole_range():
    """A linear model in one dimension, where the loss says how far FGSM went."""
    model = nn.Linear(1, 2).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0], [1.0]]))
        model.bias.zero_()
    x, y = torch.zeros(1, 1, dtype=torch.float64), torch.tensor([0])
    loss = CleanOrAdversarial(attack=FGSM(eps=0.3, bounds=None), low=0.1)
    stream = moment()
    moved = torch.tensor([loss(model, (x, y), stream).detach().exp().sub(1).log() for _ in range(400)])
    clean = moved.abs() < 1e-9
    assert float(clean.double().mean()) == pytest.approx(0.5, abs=4 * 0.5 / 400**0.5)
    radii = moved[~clean].sort().values
    assert radii.min() >= 0.1 - 1e-9
    assert radii.max() <= 0.3 + 1e-9
    steps = torch.arange(1, len(radii) + 1) / len(radii)
    # Kolmogorov and Smirnov: beyond 1.95 / sqrt(n) once in a thousand seeds.
    assert ((radii - 0.1) / 0.2 - steps).abs().max() < 1.95 / len(radii) ** 0.5
    always = replace(loss, probability=1.0)
    assert all(always(model, (x, y), stream) > cross_entropy(model, (x, y), stream) for _ in range(20))


def test_trades_without_its_second_term_is_cross_entropy():
    model = network()
    trades = Trades(attack=PGD(eps=0.1, steps=2), beta=0.0)
    assert_close(trades(model, (X, Y), moment()), cross_entropy(network(), (X, Y), moment()), rtol=0, atol=0)


def test_trades_adds_beta_times_the_mean_divergence_at_the_point_where_it_is_largest():
    """A linear model of two classes: the divergence grows with the logit's distance, so both ends are candidates."""
    torch.manual_seed(1)
    model, x, y = nn.Linear(5, 2).double().requires_grad_(False), torch.rand(7, 5).double(), torch.arange(7) % 2
    attack = PGD(eps=0.2, bounds=None, steps=8, step_size=0.2)
    slope = 0.2 * (model.weight[1] - model.weight[0]).sign()
    clean = model(x).log_softmax(1)
    ends = [F.kl_div(model(x + end).log_softmax(1), clean, log_target=True, reduction="none").sum(1)
            for end in (slope, -slope)]  # fmt: skip
    found = Trades(attack=attack, beta=3.0)(model, (x, y), moment()) - F.cross_entropy(model(x), y)
    best = 3.0 * torch.maximum(*ends).mean()
    assert float(found) <= float(best) * (1 + 1e-9)
    assert float(found) >= 3.0 * float(torch.minimum(*ends).mean())
    moved = attack.seek(model, x, Largest(divergence, clean.exp().detach()), generator=torch.Generator().manual_seed(0))
    assert_close((moved - x).abs(), torch.full_like(x, 0.2))  # the divergence is convex: its maximum is a corner


@pytest.mark.parametrize("loss", [Trades(attack=FGSM(eps=0.1)), CleanOrAdversarial(attack=FGSM(eps=0.1), low=0.1)])
def test_the_loss_of_a_batch_is_the_mean_over_its_rows(loss):
    """Twice the same rows are the same loss: no sum over the batch hides in it."""
    model, twice = network().eval(), (X.repeat(2, 1, 1, 1), Y.repeat(2))
    assert_close(loss(model, twice, moment()), loss(model, (X, Y), moment()))


@pytest.mark.parametrize(
    "loss",
    [Trades(attack=PGD(eps=0.1, steps=2)), AdversarialTraining.pgd(eps=0.1, epochs=1).loss],
    ids=["trades", "pgd"],
)
def test_the_attack_inside_of_training_leaves_statistics_modes_and_flags_as_they_are(loss):
    model = network().train()
    model[1].eval()
    model[4].bias.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    flags = [weight.requires_grad for weight in model.parameters()]
    loss(model, (X, Y), moment()).backward()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert [weight.requires_grad for weight in model.parameters()] == flags
    assert model[4].bias.grad is None


def epoch(single, robust):
    metrics = {"single_step_accuracy": single, "robust_accuracy": robust}
    return EpochRecord(epoch=1, loss=0.0, learning_rate=0.1, seconds=0.0, metrics=metrics)


@pytest.mark.parametrize(
    ("earlier", "single", "robust", "before", "collapsed"),
    [
        ([], 0.9, 0.02, None, True),
        ([], 0.9, 0.29, None, True),
        ([], 0.9, 0.31, None, False),
        ([], 0.09, 0.0, None, False),  # too few rows withstand anything to tell
        ([], 0.9, 0.02, 0.05, False),  # a shorter step reaches less far: what it leaves is no measure
        ([0.5], 0.9, 0.16, 0.2, True),
        ([0.5], 0.9, 0.17, 0.2, False),
        ([0.2], 0.9, 0.16, 0.5, True),
        ([0.9], 0.3, 0.25, None, False),  # the model has become bad at everything
    ],
)
def test_a_collapse_is_a_fall_under_pgd_that_the_single_step_does_not_see(earlier, single, robust, before, collapsed):
    records = [*(epoch(0.9, each) for each in earlier), epoch(single, robust)]
    assert Watch().collapsed(records, before) is collapsed


@pytest.mark.slow
def test_a_run_that_collapses_is_caught_in_the_first_epoch_that_does():
    """FGSM without a random start at a large radius, which on these pictures never learns to withstand PGD."""
    pixels, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(pixels / 16, dtype=torch.float32).reshape(-1, 1, 8, 8), torch.tensor(labels)
    torch.manual_seed(0)
    defense = AdversarialTraining(
        loss=AdversarialCrossEntropy(attack=UniformFGSM(eps=0.3, start=0.0, step=1.0)),
        examined_by=PGD(eps=0.3, steps=10), watch=Watch(), epochs=10, learning_rate=0.003, batch_size=32,
        schedule="constant",
    )  # fmt: skip
    with pytest.warns(TrustworthyWarning, match="catastrophic overfitting") as warned:
        defended = defense(
            SmallConvNet(image_size=8, channels=1, classes=10), (x[:1000], y[:1000]),
            validation=(x[1000:1200], y[1000:1200]),
        )  # fmt: skip
    assert [str(each.message) for each in warned] == [*defended.notes]
    records = defended.history.records
    first = next(k for k in range(1, 11) if Watch().collapsed(records[:k]))
    assert defended.notes[0].startswith(f"catastrophic overfitting in epoch {first}:")
    assert "goes on with a step of 0.7 radii" in defended.notes[0]
    assert "Training goes back to the weights of epoch" in defended.notes[-1]
    assert "and ends: the single step does not hold" in defended.notes[-1]
    assert len(records) < 10
    assert defended.best.metrics["robust_accuracy"] == max(record.metrics["robust_accuracy"] for record in records)


class Rigged(Watch):
    """Finds a collapse in the second and the third epoch of all stages, known again by their losses."""

    def collapsed(self, records, before=None):
        if records[-1].loss not in order:
            order.append(records[-1].loss)
        return order.index(records[-1].loss) in (1, 2)


order: list[float] = []


@pytest.fixture(autouse=True)
def _from_the_first_epoch():
    order.clear()


def fast(epochs=5):
    defense = AdversarialTraining.fast(eps=0.1, epochs=epochs, batch_size=8, watch=Rigged())
    return replace(defense, examined_by=PGD(eps=0.1, steps=3))


def trained(defense, folder=None):
    with pytest.warns(TrustworthyWarning) as warned:
        found = defense(network(), (X, Y), validation=(X, Y), checkpoints=folder)
    return found, [str(warning.message) for warning in warned]


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """What a run came to that collapsed twice, what it told, the weights that its stages began with, its folder."""
    begun, fitted, folder = [], AdversarialTraining.fitted, tmp_path_factory.mktemp("watched")

    def noted(self, model, *given, **settings):
        begun.append(copy.deepcopy(model.state_dict()))
        return fitted(self, model, *given, **settings)

    order.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AdversarialTraining, "fitted", noted)
        return *trained(fast(), folder), begun, folder


def test_after_a_collapse_training_goes_on_from_the_best_weights_with_a_shorter_step(watched):
    defended, told, begun, folder = watched
    best = network()
    load_weights(best, folder / "stage-1" / "best.safetensors")
    assert "the weights of epoch 1 and goes" in told[0]
    assert all(torch.equal(value, begun[1][name]) for name, value in best.state_dict().items())
    assert "the weights before epoch 3 and goes" in told[1]  # no epoch before was better under PGD
    assert all(torch.equal(value, begun[1][name]) for name, value in begun[2].items())
    assert [message.split(":")[0] for message in told] == [f"catastrophic overfitting in epoch {k}" for k in (2, 3)]
    assert told == [*defended.notes]
    assert "and goes on with a step of 0.875 radii for" in told[0]
    assert "with a step of 0.612 radii" in told[1]
    assert [record.epoch for record in defended.history.records] == [1, 2, 3, 4, 5]
    assert sorted(path.name for path in folder.iterdir()) == ["stage-1", "stage-2", "stage-3"]
    robust = [record.metrics["robust_accuracy"] for record in defended.history.records]
    assert defended.best.epoch == 1 + robust.index(max(robust))
    found = float((predict(defended.model, X).logits.argmax(1) == Y).double().mean())
    assert found == pytest.approx(defended.best.metrics["accuracy"])
    again, _ = trained(fast())
    assert all(
        torch.equal(value, again.model.state_dict()[name]) for name, value in defended.model.state_dict().items()
    )


def test_a_collapse_in_the_last_epoch_promises_no_further_ones():
    _, told = trained(fast(epochs=2))
    assert len(told) == 1
    assert "and ends, as no epochs are left" in told[0]


@pytest.mark.parametrize("call", [pytest.param(4, marks=pytest.mark.slow), 8, pytest.param(14, marks=pytest.mark.slow)])
def test_a_watched_run_stopped_in_any_stage_resumes_to_the_same_weights(call, tmp_path, monkeypatch, watched):
    whole, told, *_ = watched
    calls, perturb = [], UniformFGSM.search

    def breaks_off(self, problem, generator):
        calls.append(1)
        if len(calls) == call:
            raise Interruption
        return perturb(self, problem, generator)

    monkeypatch.setattr(UniformFGSM, "search", breaks_off)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Interruption):
            fast()(network(), (X, Y), validation=(X, Y), checkpoints=tmp_path)
    resumed, again = trained(fast(), tmp_path)
    assert again == told
    assert replace(resumed.best, seconds=0.0) == replace(whole.best, seconds=0.0)
    assert all(torch.equal(value, whole.model.state_dict()[name]) for name, value in resumed.model.state_dict().items())


def test_a_later_part_of_a_schedule_goes_on_where_the_part_before_it_ended():
    whole = Phases(lengths=(2, 1, 1))
    rest = Later(schedule=whole, skipped=3)
    assert [rest.factor(k, 5) for k in range(5)] == [whole.factor(k + 3, 8) for k in range(5)]
    assert [rest.phase(k, 5) for k in range(5)] == [whole.phase(k + 3, 8) for k in range(5)]


def test_the_watch_needs_rows_and_a_single_step():
    with pytest.raises(InvalidInput, match="validation must hold rows for the watch"):
        fast()(network(), (X, Y))
    with pytest.raises(InvalidInput, match="watch is for a loss whose attack is UniformFGSM"):
        AdversarialTraining.pgd(eps=0.1, epochs=1, watch=Watch())
    for wrong, message in (({"shrink": 1.0}, "shrink must be < 1"), ({"left": 0.0}, "left must be > 0")):
        with pytest.raises(InvalidInput, match=message):
            Watch(**wrong)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: AdversarialTraining.pgd(eps=-0.1, epochs=1), "eps must be >= 0"),
        (lambda: AdversarialTraining.fgsm(low=0.3, high=0.1, epochs=1), r"low must be <= 0\.1, got 0\.3"),
        (lambda: AdversarialTraining.fgsm(low=0.1, high=0.3, probability=2, epochs=1), "probability must be <= 1"),
        (lambda: AdversarialTraining.trades(eps=0.1, beta=-1, epochs=1), "beta must be >= 0"),
        (lambda: AdversarialTraining.fast(eps=0.1, step=0, epochs=1), "step must be > 0"),
        (lambda: AdversarialTraining.pgd(eps=0.1, epochs=0), "epochs must be >= 1"),
        (lambda: AdversarialTraining.pgd(eps=0.1, epochs=1, optimizer="sdg"), "did you mean 'sgd'"),
        (lambda: CleanOrAdversarial(attack=FGSM(eps=torch.ones(2)), low=0.1), "must have one radius"),
    ],
)
def test_wrong_settings_are_named(build, message):
    with pytest.raises(InvalidInput, match=message):
        build()
