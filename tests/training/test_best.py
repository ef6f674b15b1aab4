"""The weights of the best epoch, and metrics of the model itself."""

import pytest
import torch
from torch import nn

from interrupted import Interruption
from trustworthy.core.errors import CheckpointError, InvalidInput, TrustworthyWarning, UnknownName
from trustworthy.training import Checkpoints, OfModel, evaluate, fit, load_weights

X = torch.rand(12, 3, generator=torch.Generator().manual_seed(0))
Y = torch.arange(12) % 2
SCORES = [0.2, 0.7, 0.7, 0.1]


class Scored(OfModel):
    """Gives the numbers of SCORES in turn, of the bias, which counts the epochs."""

    def __init__(self):
        super().__init__(lambda model, data: SCORES[round(float(model[1].bias[0])) - 1])


class Counter(nn.Module):
    """Its bias is the number of epochs that it was trained for."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1), requires_grad=False)

    def forward(self, x):
        return x


def count(model, history):
    model[1].bias.fill_(history.records[-1].epoch + 1)


def run(folder, epochs=4, callbacks=(), metrics=None, **checkpoints):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), Counter())
    model[1].bias.fill_(1)
    given = {"score": Scored()} if metrics is None else metrics
    history = fit(
        model, (X, Y), epochs=epochs, batch_size=4, validation=(X, Y), metrics=given, callbacks=[count, *callbacks],
        checkpoints=Checkpoints(folder, **checkpoints),
    )  # fmt: skip
    return model, history


def of_best(folder):
    model = nn.Sequential(nn.Linear(3, 2), Counter())
    load_weights(model, Checkpoints(folder).best_path)
    return model


def test_the_weights_of_the_first_of_the_best_epochs_are_kept(tmp_path):
    kept = []
    _, history = run(tmp_path, callbacks=[lambda m, h: kept.append(m[0].weight.detach().clone())], best="score")
    assert history.best == history.records[1]
    assert torch.equal(of_best(tmp_path)[0].weight, kept[1])
    assert not torch.equal(kept[1], kept[2])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The model with the best weights of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder, best="score")
    return of_best(folder)


@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
def test_a_resumed_run_knows_the_best_epoch(epoch, tmp_path, whole):
    """Interrupted after the best weights of an epoch may have been written, and before its checkpoint is."""

    def stop(model, history):
        if history.records[-1].epoch == epoch:
            raise Interruption

    with pytest.raises(Interruption):
        run(tmp_path, callbacks=[stop], best="score")
    _, history = run(tmp_path, best="score")
    assert history.best == history.records[1]
    assert torch.equal(of_best(tmp_path)[0].weight, whole[0].weight)
    assert run(tmp_path, best="score")[1].best.epoch == 2  # a finished run too


def test_another_metric_to_choose_by_is_no_other_run(tmp_path):
    both = {"score": Scored(), "less": OfModel(lambda model, data: -SCORES[round(float(model[1].bias[0])) - 1])}

    def stop(model, history):
        if history.records[-1].epoch == 3:
            raise Interruption

    with pytest.raises(Interruption):
        run(tmp_path, callbacks=[stop], metrics=both, best="score")
    with pytest.warns(TrustworthyWarning, match="best weights by less are sought from epoch 3 on"):
        _, history = run(tmp_path, metrics=both, best="less")
    assert history.best.epoch == 4
    assert run(tmp_path, metrics=both)[1].best is None
    assert [list(record.metrics) for record in history.records] == [["score", "less"]] * 4  # in order, resumed or not


def test_nothing_is_kept_where_nothing_was_asked_for_or_all_is_deleted(tmp_path):
    assert run(tmp_path)[1].best is None
    with pytest.raises(CheckpointError, match="not a file"):
        of_best(tmp_path)
    run(tmp_path, best="score", resume=False)
    (tmp_path / ".best.safetensors.0.part").touch()
    assert run(tmp_path, resume=False)[1].best is None
    assert not [*tmp_path.glob("*best*")]


def test_a_metric_that_is_never_a_number_keeps_nothing(tmp_path):
    assert run(tmp_path, metrics={"nan": OfModel(lambda model, data: float("nan"))}, best="nan")[1].best is None


def test_what_is_best_must_be_measured(tmp_path):
    model, folder = nn.Linear(3, 2), Checkpoints(tmp_path, best="acuracy")
    with pytest.raises(UnknownName, match="unknown best 'acuracy'; did you mean 'accuracy'"):
        fit(model, (X, Y), epochs=1, validation=(X, Y), checkpoints=folder)
    with pytest.raises(InvalidInput, match="validation must hold the data that 'acuracy' is measured on, got None"):
        fit(model, (X, Y), epochs=1, checkpoints=folder)


def test_a_metric_of_the_model_gets_all_rows_in_evaluation_mode_with_gradients():
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout())
    model[0].eval()
    seen = []

    def metric(given, data):
        seen.append((given is model, given.training, given[1].training, torch.is_grad_enabled()))
        assert torch.equal(data[0], X)
        assert torch.equal(data[1], Y)
        return torch.rand(()).item()

    def asked(seed):
        return evaluate(model, (X, Y), metrics={"m": OfModel(metric)}, batch_size=5, generator=seed)["m"]

    before = torch.get_rng_state()
    first = asked(torch.Generator().manual_seed(1))
    assert first == asked(torch.Generator().manual_seed(1)) != asked(torch.Generator().manual_seed(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert seen == [(True, False, False, True)] * 3
    assert (model.training, model[0].training, model[1].training) == (True, False, True)


def test_metrics_of_the_model_stand_among_others_in_order():
    of_model = OfModel(lambda model, data: 3.0)
    got = evaluate(nn.Linear(3, 2), (X, Y), metrics={"m": of_model, "hits": lambda p, y: p.argmax(1) == y})
    assert list(got) == ["m", "hits"]
    assert got["m"] == 3.0
