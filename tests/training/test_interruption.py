"""A run that is interrupted ends with the weights of one that is not, bit by bit."""

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from trustworthy import training
from trustworthy.core.errors import CheckpointError, TrustworthyWarning

SCRIPT = Path(__file__).with_name("interrupted_run.py")


def script():
    spec = importlib.util.spec_from_file_location("interrupted_run", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return script().run(tmp_path_factory.mktemp("whole"))


def assert_same_run(got, expected):
    (model, history), (other, whole) = got, expected
    for name, value in other.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    assert [(r.epoch, r.loss, r.learning_rate, r.metrics) for r in history.records] == [
        (r.epoch, r.loss, r.learning_rate, r.metrics) for r in whole.records
    ]


def test_a_run_killed_in_mid_epoch_resumes_to_the_same_weights(tmp_path, uninterrupted):
    # The tenth step of 24 is the fourth of the second epoch; the last checkpoint is that of step 8.
    killed = subprocess.run([sys.executable, SCRIPT, tmp_path, "10"], check=False, capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert sorted(path.name for path in tmp_path.iterdir())[-1] == "step-0000000008.safetensors"
    resumed = script().run(tmp_path)
    assert resumed[1].resumed_from == 8
    assert_same_run(resumed, uninterrupted)


class Interruption(Exception):
    pass


@pytest.mark.parametrize("call", [1, 3, 12, 13, 14, 24])
def test_an_interruption_at_any_step_changes_nothing(call, tmp_path, uninterrupted, monkeypatch):
    # Steps 12 and 18 begin a new phase of the schedule, each with a fresh optimizer; 6, 12 and 18 a new epoch.
    module = script()
    monkeypatch.setattr(module, "killed_at", call)
    monkeypatch.setattr(module.os, "kill", lambda *_: (_ for _ in ()).throw(Interruption))
    with pytest.raises(Interruption):
        module.run(tmp_path)
    resumed = module.run(tmp_path)
    assert resumed[1].resumed_from == (None if call == 1 else 2 * ((call - 1) // 2))
    assert_same_run(resumed, uninterrupted)


def test_a_finished_run_is_not_trained_again(tmp_path, monkeypatch):
    module = script()
    first = module.run(tmp_path)
    monkeypatch.setattr(module, "killed_at", module.calls + 1)
    again = module.run(tmp_path)
    assert again[1].resumed_from == again[1].steps == 24
    assert_same_run(again, first)


def interrupted(tmp_path, monkeypatch, call=10):
    module = script()
    monkeypatch.setattr(module, "killed_at", call)
    monkeypatch.setattr(module.os, "kill", lambda *_: (_ for _ in ()).throw(Interruption))
    with pytest.raises(Interruption):
        module.run(tmp_path)
    return module, sorted(tmp_path.glob("*.safetensors"))


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut_short, flip_a_bit, empty])
def test_a_damaged_checkpoint_gives_way_to_the_one_before_with_a_warning(damage, tmp_path, uninterrupted, monkeypatch):
    module, paths = interrupted(tmp_path, monkeypatch)
    damage(paths[-1])
    with pytest.warns(TrustworthyWarning, match=f"{paths[-1].name}.*Trying the checkpoint before"):
        resumed = module.run(tmp_path)
    assert resumed[1].resumed_from == 6
    assert_same_run(resumed, uninterrupted)


@pytest.mark.filterwarnings("ignore::trustworthy.core.errors.TrustworthyWarning")
def test_without_a_whole_checkpoint_the_error_says_what_to_do(tmp_path, monkeypatch):
    module, paths = interrupted(tmp_path, monkeypatch)
    for path in paths:
        cut_short(path)
    with pytest.raises(CheckpointError, match=r"none of the 2 checkpoints .* resume=False"):
        module.run(tmp_path)


def test_weights_alone_are_not_a_checkpoint(tmp_path):
    model = torch.nn.Linear(2, 2)
    training.save_weights(model, tmp_path / "step-0000000001.safetensors")
    data = (torch.zeros(8, 2), torch.zeros(8, dtype=torch.long))
    with (
        pytest.warns(TrustworthyWarning, match="holds weights but is not a checkpoint"),
        pytest.raises(CheckpointError, match="none of the 1 checkpoints"),
    ):
        training.fit(model, data, epochs=1, checkpoint_dir=tmp_path)


def test_what_a_kill_leaves_half_written_is_swept_away(tmp_path, monkeypatch):
    module, _ = interrupted(tmp_path, monkeypatch)
    torn = tmp_path / ".step-0000000010.safetensors.x7.part"
    torn.write_bytes(b"half")
    module.run(tmp_path)
    assert not torn.exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"epochs": 5}, "epochs was 3, is 5"),
        ({"batch_size": 5}, "batch_size was 4, is 5"),
        ({"seed": 1}, "seed was 0, is 1"),
        ({"schedule": training.Cosine()}, r"schedule was 'Constant\(\)', is 'Cosine"),
        ({"optimizer": lambda p: torch.optim.AdamW(p, lr=0.5)}, "optimizer was .*lr.*0.001.*0.5"),
        ({"augment": lambda batch, generator: batch}, "augment was 'None', is .*lambda"),
        ({"loss": lambda model, batch, generator: model(batch[0]).sum()}, "loss was 'cross_entropy'"),
        ({"data": (torch.ones(8, 2), torch.zeros(8, dtype=torch.long))}, "data was"),
        ({"model": torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 2))}, "model was"),
    ],
)
def test_another_run_is_refused_and_told_what_differs(changed, message, tmp_path):
    settings = {
        "model": torch.nn.Linear(2, 2),
        "data": (torch.zeros(8, 2), torch.zeros(8, dtype=torch.long)),
        "epochs": 3,
        "batch_size": 4,
        "checkpoint_dir": tmp_path,
    }
    training.fit(**settings)
    with pytest.raises(CheckpointError, match=message) as refusal:
        training.fit(**{**settings, **changed})
    assert "resume=False" in str(refusal.value)
    training.fit(**{**settings, **changed, "resume": False})
    assert training.fit(**{**settings, **changed}).resumed_from is not None
