import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from trustworthy import metrics
from trustworthy.core.errors import InvalidInput
from trustworthy.training import OfDraws, PerExample, evaluate, fit

X = torch.rand(11, 3, generator=torch.Generator().manual_seed(0))
Y = torch.randint(2, (11,), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("batch_size", [1, 4, 11, 50])
@pytest.mark.parametrize("data", [(X, Y), (X.numpy(), Y.numpy()), TensorDataset(X, Y)])
def test_metrics_are_of_all_examples_together(batch_size, data):
    model = nn.Linear(3, 2)
    kept = {}

    def keep(outputs, targets):
        kept["outputs"], kept["targets"] = outputs, targets
        return 3.0

    got = evaluate(model, data, metrics={"accuracy": metrics.accuracy, "mine": keep}, batch_size=batch_size)
    assert got == {"accuracy": float((model(X).argmax(1) == Y).double().mean()), "mine": 3.0}
    np.testing.assert_allclose(kept["outputs"], model(X).softmax(1).detach().numpy(), rtol=1e-6)
    assert kept["targets"].tolist() == Y.tolist()


class Recorder(nn.Module):
    def __init__(self):
        super().__init__()
        self.frozen = nn.BatchNorm1d(3).eval()
        self.seen = []

    def forward(self, x):
        self.seen.append((self.training, self.frozen.training, torch.is_grad_enabled()))
        return self.frozen(x)


def test_the_model_is_evaluated_without_gradients_and_gets_its_modes_back():
    model = Recorder()
    model.training = True
    before = model.frozen.running_mean.clone()
    evaluate(model, (X, Y))
    assert model.seen == [(False, False, False)]
    assert (model.training, model.frozen.training) == (True, False)
    assert torch.equal(model.frozen.running_mean, before)


def test_the_modes_come_back_after_an_error():
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout())
    with pytest.raises(ZeroDivisionError):
        evaluate(model, (X, Y), metrics={"bad": lambda outputs, targets: 1 / 0})
    with pytest.raises(RuntimeError):
        evaluate(model, (torch.rand(4, 7), Y[:4]))
    assert model.training
    assert model[1].training


def test_bad_arguments_are_refused():
    with pytest.raises(InvalidInput, match="batch_size must be >= 1"):
        evaluate(nn.Linear(3, 2), (X, Y), batch_size=0)
    with pytest.raises(InvalidInput, match="data must pair"):
        evaluate(nn.Linear(3, 2), (X, Y[:5]))


@pytest.mark.parametrize("name", ["accuracy", "nll", "brier", "ece"])
def test_metrics_of_a_classifier_see_its_probabilities(name):
    model, metric = nn.Linear(3, 2), getattr(metrics, name)
    probabilities = model(X).softmax(1).detach().numpy()
    got = evaluate(model, (X, Y), metrics={name: metric}, batch_size=4)
    assert got[name] == pytest.approx(metric(probabilities, Y.numpy()), rel=1e-6)
    history = fit(model, (X, Y), epochs=1, validation=(X, Y), metrics={name: metric})
    assert history.records[0].metrics == pytest.approx(evaluate(model, (X, Y), metrics={name: metric}))


IMAGES = torch.rand(5, 1, 12, 12, generator=torch.Generator().manual_seed(2))


def squared_error(model, batch, moment):
    return (model(batch[0]) - batch[1]).square().mean()


@pytest.mark.parametrize("name", ["psnr", "ssim", "pearson"])
def test_metrics_of_images_are_means_over_the_images(name):
    model, metric, targets = nn.Conv2d(1, 1, 3, padding=1), getattr(metrics, name), IMAGES.square()
    expected = np.mean([metric(p, t) for p, t in zip(model(IMAGES).detach().numpy(), targets.numpy(), strict=True)])
    for given in (metric, PerExample(metric)):
        got = evaluate(model, (IMAGES, targets), metrics={name: given}, batch_size=2)
        assert got[name] == pytest.approx(expected, rel=1e-5)
    history = fit(
        model, (IMAGES, targets), epochs=1, loss=squared_error, validation=(IMAGES, targets),
        metrics={name: PerExample(metric), "all": metric},
    )  # fmt: skip
    assert history.records[0].metrics[name] == pytest.approx(history.records[0].metrics["all"], rel=1e-6)


def test_streamed_metrics_see_one_batch_at_a_time_and_nothing_is_kept(monkeypatch):
    sizes = []

    def ones(outputs, targets):
        sizes.append((len(outputs), len(targets)))
        return np.ones(len(outputs))

    monkeypatch.setattr(torch, "cat", lambda tensors, dim=0: tensors[0] if len(tensors) == 1 else pytest.fail("joined"))
    assert evaluate(nn.Linear(3, 2), (X, Y), metrics={"one": PerExample(ones)}, batch_size=4) == {"one": 1.0}
    assert sizes == [(4, 4), (4, 4), (3, 3)]


class Noisy(nn.Module):
    """Adds a number of its own to each draw."""

    def forward(self, x):
        return torch.cat([x.sum(1, keepdim=True) + torch.randn(()), torch.zeros(len(x), 1)], 1)


def test_draws_are_averaged_and_the_generator_decides_them():
    kept = []

    def keep(answers, targets):
        kept.append((answers, targets))
        return float(answers.std.mean())

    def asked(seed, **more):
        generator = torch.Generator().manual_seed(seed)
        given = {"spread": OfDraws(keep), "nll": metrics.nll, **more}
        return evaluate(Noisy(), (X, Y), metrics=given, draws=3, batch_size=4, generator=generator)

    before = torch.get_rng_state()
    first, again, other = asked(0), asked(0), asked(1)
    assert torch.equal(torch.get_rng_state(), before)
    assert first == again
    assert first != other
    answers, targets = kept[0]
    assert answers.members.shape == (3, 11, 2)
    assert torch.equal(targets, Y)
    assert first["spread"] == pytest.approx(float(answers.members.std(0, correction=0).mean()))
    mean = answers.members.softmax(2).mean(0).numpy()
    assert first["nll"] == pytest.approx(metrics.nll(mean, Y.numpy()), rel=1e-6)


def test_what_a_model_draws_in_validation_shifts_no_training_and_repeats():
    def trained(**validation):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 2), Noisy())
        history = fit(model, (X, Y), epochs=2, batch_size=4, **validation)
        return model[0].weight, [record.metrics for record in history.records]

    whole, scores = trained(validation=(X, Y), metrics={"nll": metrics.nll})
    assert torch.equal(whole, trained()[0])
    torch.rand(3)
    assert scores == trained(validation=(X, Y), metrics={"nll": metrics.nll})[1]
    assert scores[0] != scores[1]


def test_tokens_and_a_collate_of_ones_own_are_evaluated():
    class Items(torch.utils.data.Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, row):
            return {"tokens": [row, row + 1], "label": row % 2}

    def collate(items):
        return torch.tensor([item["tokens"] for item in items]), torch.tensor([item["label"] for item in items])

    model = nn.Sequential(nn.Embedding(7, 2), nn.Flatten(), nn.Linear(4, 2))
    tokens = torch.stack([torch.arange(6), torch.arange(1, 7)], 1)
    expected = evaluate(model, (tokens, torch.arange(6) % 2))
    assert evaluate(model, Items(), collate=collate) == expected
    history = fit(model, Items(), epochs=1, validation=Items(), collate=collate)
    assert 0.0 <= history.records[0].metrics["accuracy"] <= 1.0


@pytest.mark.parametrize(
    ("model", "data", "metric", "message"),
    [
        (nn.Linear(3, 1), (X, Y), metrics.accuracy, "at least two logits where the targets are class labels"),
        (nn.Linear(3, 2), (X, Y), PerExample(metrics.accuracy), r"metric m: PerExample takes .*\(11,\) here, got"),
        (nn.Linear(3, 2), (X,), metrics.accuracy, "data must hold inputs and targets"),
        (nn.Flatten(0), (X, Y), metrics.accuracy, "one row for each of 11 inputs"),
    ],
)
def test_what_cannot_be_measured_is_refused(model, data, metric, message):
    with pytest.raises(InvalidInput, match=message):
        evaluate(model, data, metrics={"m": metric})
