"""`harden`: where training begins, what is saved, going on after a kill, units, and what cannot be hardened."""

import dataclasses
import json
import re
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import trustworthy
from report.small_audit import plan_of
from report.toys import LOGIT
from trustworthy import datasets, uncertainty
from trustworthy.core.errors import InvalidInput, TrustworthyWarning
from trustworthy.core.predictive import predict
from trustworthy.defenses import AdversarialTraining, RandomSelfEnsemble
from trustworthy.models import Recipe, load_model
from trustworthy.report.hardening.harden import harden
from trustworthy.report.hardening.harden import plan_of as plan_of_harden
from trustworthy.report.hardening.methods import METHODS, PlainTraining, methods_of
from trustworthy.report.hardening.network import in_attacked_units
from trustworthy.report.hardening.rows import parts, read_parted
from trustworthy.report.hardening.words import chosen_epochs
from trustworthy.report.plan import make_plan
from trustworthy.training import save_weights

pytestmark = pytest.mark.usefixtures("_undrawn")

KINDS = [LOGIT]
PLAN = plan_of(KINDS)
NET = """
import torch
from torch import nn

def net(width=4):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

def remembered():
    torch.manual_seed(3)
    return net()
"""
ROWS_NET = """
from torch import nn

def net():
    return nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))
"""


class Killed(Exception):
    """Stands for a kill."""


@pytest.fixture
def file(tmp_path):
    """The factories of `NET`."""
    (tmp_path / "net.py").write_text(NET)
    return tmp_path / "net.py"


@pytest.fixture(scope="module")
def digits():
    """A few digits, 64 to train on and choose by, and 20 to audit."""
    found = datasets.load("digits")
    few = {"x_train": found.x_train[:64], "y_train": found.y_train[:64]}
    return dataclasses.replace(found, **few, x_test=found.x_test[:20], y_test=found.y_test[:20])


def table(scale=(1.0, 1.0)):
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 2)) * scale + 5.0
    return x.astype(np.float32), (x[:, 0] > 5.0).astype(np.int64)


def run(model, data, out=None, **given):
    return harden(model, data, out, **({"methods": "rse", "epochs": 2, "plan": PLAN, "kinds": KINDS} | given))


def weights(loaded):
    return torch.cat([value.flatten() for value in loaded.model.state_dict().values()])


def mlp(features=2, classes=2):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(features, 4), nn.ReLU(), nn.Linear(4, classes))


def test_a_factory_without_weights_is_trained_plainly_first_and_every_network_loads_from_its_folder(
    file, digits, tmp_path
):
    told = []
    found = run(
        f"{file}:net", digits, tmp_path / "out", methods=["rse", "brelu"], options={"width": 6}, epochs=3,
        on_progress=lambda *step: told.append(step),
    )  # fmt: skip
    assert found.record.names == list(found.models) == ["plain", "rse", "brelu"]
    assert found.of_methods.names == ["rse", "brelu"]
    assert {finding.model for finding in found.of_methods.findings} == {"rse", "brelu"}
    trained = [(name, share) for name, step, share in told if step == "training"]
    assert trained == [(name, share / 3) for name in found.models for share in range(4)]
    x = torch.from_numpy(digits.x_test)
    for name, loaded in found.models.items():
        again = load_model(tmp_path / "out" / name, trust=True)
        answers = [
            predict(m, x, draws=3, generator=torch.Generator().manual_seed(1)).members
            for m in (loaded.model, again.model)
        ]
        assert torch.equal(*answers)
        assert torch.equal(answers[0][0], answers[0][1]) == (name != "rse")
        assert again.about == json.loads(json.dumps(loaded.about))
        assert again.model[1].out_features == 6
    about = found.models["rse"].about["training"]
    assert about["begins_from"] == "plain"
    assert found.models["plain"].about["training"]["begins_from"] == "scratch"
    assert (about["rows"], about["rows_that_choose"], about["epochs"], about["eps"]) == (54, 10, 3, 0.5)
    assert about["last"]["epoch"] == 3
    assert about["best"]["accuracy"] >= about["last"]["accuracy"]
    assert about["defense"].startswith("RandomSelfEnsemble(epochs=3, ")
    assert (tmp_path / "out" / "report.html").is_file()


def test_training_begins_at_the_weights_that_are_given_unless_it_shall_begin_from_scratch(file, digits, tmp_path):
    starts = []

    class Looks(PlainTraining):
        def changed(self, model):
            starts.append(torch.cat([value.flatten() for value in model.state_dict().values()]).clone())
            return super().changed(model)

    save_weights(nn.Sequential(nn.Flatten(), mlp(64, 10)), tmp_path / "w.safetensors")
    given = nn.Sequential(nn.Flatten(), mlp(64, 10))
    mine = torch.cat([value.flatten() for value in given.state_dict().values()])
    methods = {"a": Looks(epochs=1), "b": Looks(epochs=1)}
    found = run(given, digits, methods=methods)
    assert list(found.models) == ["before", "a", "b"]
    assert all(torch.equal(start, mine) for start in starts)
    assert torch.equal(weights(found.models["before"]), mine)
    assert found.models["a"].about["training"]["begins_from"] == "before"
    assert torch.equal(torch.cat([value.flatten() for value in given.state_dict().values()]), mine)  # left as it was
    starts.clear()
    found = run(given, digits, methods=methods, from_scratch=True)
    assert torch.equal(weights(found.models["before"]), mine)
    drawn = starts[-1]
    assert torch.equal(starts[-2], drawn)
    assert not torch.isclose(drawn, mine).any()
    assert found.models["a"].about["training"]["begins_from"] == "scratch"


def test_a_factory_that_brings_its_weights_is_taken_at_its_word(file, digits):
    assert list(run(f"{file}:remembered", digits, epochs=1).models) == ["before", "rse"]


def test_a_hardening_that_was_killed_goes_on_to_the_same_weights(file, digits, tmp_path):
    given = {"methods": ["rse", "adversarial"], "epochs": 3}

    def kill(model, step, share):
        if (model, step) == ("adversarial", "training") and share > 0.5:
            raise Killed

    whole = run(f"{file}:net", digits, tmp_path / "whole", **given)
    with pytest.raises(Killed):
        run(f"{file}:net", digits, tmp_path / "out", on_progress=kill, **given)
    assert (tmp_path / "out" / "rse" / "model.json").is_file()
    assert not (tmp_path / "out" / "adversarial" / "model.json").exists()
    assert not (tmp_path / "out" / "report.html").exists()
    told = []
    again = run(f"{file}:net", digits, tmp_path / "out", on_progress=lambda *step: told.append(step), **given)
    trained = [(name, share) for name, step, share in told if step == "training"]
    assert trained == [("plain", 0), ("rse", 0), ("adversarial", 0), ("adversarial", 2 / 3), ("adversarial", 1)]
    for name, loaded in whole.models.items():
        assert torch.equal(weights(again.models[name]), weights(loaded))
    assert [again.models[name].about["training"]["best"] for name in again.models] == [
        m.about["training"]["best"] for m in whole.models.values()
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the seed is no better")
@pytest.mark.parametrize("of_a_table", [False, True])
def test_every_method_of_the_command_trains_saves_and_loads(file, digits, tmp_path, of_a_table):
    (tmp_path / "rows.py").write_text(ROWS_NET)
    model, data = (f"{tmp_path}/rows.py:net", table()) if of_a_table else (f"{file}:net", digits)
    found = run(model, data, tmp_path / "out", methods=list(METHODS), epochs=2)
    assert list(found.models) == ["plain", *METHODS]
    for name, loaded in found.models.items():
        again = load_model(tmp_path / "out" / name, trust=True)
        assert torch.equal(weights(again), weights(loaded))
        assert again.about["training"]["seconds"] > 0
        judged = "robust_accuracy" if name.startswith("adv") or name == "trades" else "accuracy"
        assert list(again.about["training"]["best"])[-1] == judged


def test_a_fast_ensemble_grows_from_the_network_that_is_there(file, digits, tmp_path):
    given, told = nn.Sequential(nn.Flatten(), mlp(64, 10)), []
    method = {"fast": uncertainty.FastEnsemble(epochs=0, members=2)}
    with pytest.warns(TrustworthyWarning, match="the seed is no better on the rows of training"):
        found = run(given, digits, methods=method, on_progress=lambda *step: told.append(step))
    ensemble = found.models["fast"].model
    assert all(torch.equal(ensemble.members[0].state_dict()[key], value) for key, value in given.state_dict().items())
    assert [share for name, step, share in told if (name, step) == ("fast", "training")] == [0.0, 0.5, 1.0]
    assert found.models["fast"].about["training"]["members"] == 2
    said = r"fast: members: 1 [\d.e-]+ per weight from the others, accuracy .*; 2 "
    assert re.match(said, chosen_epochs(found)[0])
    rows = parts(read_parted(digits, 0, 0), {}, given, 0)
    assert methods_of("fast", rows.domain, 0.1, 9, trained=True)["fast"].epochs == 0
    assert methods_of("fast", rows.domain, 0.1, 9)["fast"].epochs == 9


def test_members_of_one_run_have_its_epoch_and_what_is_told_of_members_is_no_warning(digits):
    methods = {
        "batch": uncertainty.BatchEnsemble(epochs=1, members=2),
        "snap": uncertainty.SnapshotEnsemble(epochs=2, members=2),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch, snap = chosen_epochs(run(nn.Sequential(nn.Flatten(), mlp(64, 10)), digits, methods=methods))
    assert batch.startswith("batch: epoch 1 of 1 was chosen by accuracy")
    assert snap.startswith("snap: members: 1 accuracy")


def test_a_folder_of_other_settings_is_refused_with_the_difference(file, digits, tmp_path):
    run(f"{file}:net", digits, tmp_path, epochs=1)
    before = (tmp_path / "plain" / "model.json").read_text()
    with pytest.raises(
        InvalidInput,
        match=r"plain holds a network of other settings: seed was 0, is 1; other rows; other weights to beg",
    ):
        run(f"{file}:net", digits, tmp_path, epochs=1, seed=1)
    assert (tmp_path / "plain" / "model.json").read_text() == before
    run(f"{file}:net", digits, tmp_path, epochs=1, methods=["rse", "brelu"])  # one more method is added


def test_networks_are_trained_in_the_units_of_the_attacks_on_a_table_and_take_the_rows_as_they_are():
    x, y = table(scale=(1000.0, 0.01))
    rows = parts(dataclasses.replace(datasets.read((x, y)), x_train=x, y_train=y), {}, mlp(), 0)
    model = mlp().double()
    moved = in_attacked_units(model, rows.domain)(rows.train[0].double())
    given = model(rows.domain.as_given(rows.train[0].double()))
    assert torch.allclose(moved, given, rtol=1e-5)
    found = methods_of("adversarial", rows.domain, 0.1, 1)["adversarial"]
    assert (found.loss.attack.eps, found.loss.attack.bounds) == (0.1, None)
    assert methods_of("adversarial", rows.domain, 0.1, 1) == {
        "adversarial": AdversarialTraining.pgd(eps=0.1, bounds=None, epochs=1)
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrustworthyWarning)
        loaded = run(mlp(), (x, y), methods="adversarial", epochs=1).models["adversarial"]
    assert [type(layer) for layer in loaded.model] == [nn.Linear, nn.ReLU, nn.Linear]


def test_noise_that_some_columns_drown_in_is_warned_of():
    with pytest.warns(
        TrustworthyWarning, match=r"deviation 0.2 is added to columns that vary by 0.01.* to 1.*Normalize"
    ):
        run(mlp(), table(scale=(1000.0, 0.01)), methods={"mine": RandomSelfEnsemble(epochs=1)})
    whitened = nn.Sequential(trustworthy.nn.Normalize([5.0, 5.0], [1000.0, 0.01]), mlp())
    run(whitened, table(scale=(1000.0, 0.01)), methods={"mine": RandomSelfEnsemble(epochs=1)})


def test_what_a_method_cannot_change_is_told_once(file, digits, tmp_path):
    (tmp_path / "named.py").write_text(NET.replace("nn.Flatten()", "nn.Flatten(), nn.LayerNorm(64)"))
    with pytest.warns(TrustworthyWarning, match=r"keeps the weights of 1 \(LayerNorm\) fixed") as told:
        run(f"{tmp_path}/named.py:net", digits, tmp_path / "out", methods="svi", epochs=1)
    assert len(told) == 1


def test_the_radius_is_that_of_the_audit_that_follows(digits):
    models = run(nn.Sequential(nn.Flatten(), mlp(64, 10)), digits, methods="adversarial", epochs=1)
    assert models.models["adversarial"].about["training"]["eps"] == 0.5  # of the plan
    mine = run(nn.Sequential(nn.Flatten(), mlp(64, 10)), digits, methods="adversarial", epochs=1, eps=0.25)
    assert "eps=0.25" in mine.models["adversarial"].about["training"]["defense"]
    assert mine.record.plan["attacks"]["linf"] == 0.25


def test_a_module_is_saved_where_it_is_said_how_it_is_built(file, digits, tmp_path):
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 10))
    with pytest.raises(InvalidInput, match="out needs to know how the network is built again; give model as"):
        run(module, digits, tmp_path / "out")
    run(module, digits, tmp_path / "out", recipe=Recipe(f"{file}:net"), epochs=1)
    assert load_model(tmp_path / "out" / "rse", trust=True).about["training"]["begins_from"] == "before"


def test_the_plan_is_quick_with_gradients_over_64_draws_unless_a_profile_or_such_a_number_is_given():
    plan = dict(plan_of_harden(None, {"rows": 3}))
    assert (plan["profile"], plan["rows"], plan["randomness"].eot) == ("quick", 3, [1, 8, 64])
    assert plan["randomness"].rows == 3  # the rows on which fixed networks are attacked
    assert plan["skip"] == ["robustness.poisoning"]
    assert plan_of_harden("standard", None) == make_plan("standard")
    assert plan_of_harden(None, {"profile": "thorough"}) == make_plan("thorough")
    mine = {"randomness": {"eot": [1, 2]}}
    assert plan_of_harden(None, mine | {"skip": []}) == make_plan("quick", mine)
