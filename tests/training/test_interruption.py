"""A run that is interrupted ends with the weights of one that is not, bit by bit."""

import importlib.util
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from interrupted import Interruption
from trustworthy import training
from trustworthy.core.errors import CheckpointError, InvalidInput, TrustworthyWarning
from trustworthy.training import checkpoint

SCRIPT = Path(__file__).with_name("interrupted_run.py")


def script():
    spec = importlib.util.spec_from_file_location("interrupted_run", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["interrupted_run"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run that was not interrupted."""
    return tmp_path_factory.mktemp("whole")


@pytest.fixture(scope="module")
def uninterrupted(finished):
    return script().run(finished)


def assert_same_run(got, expected):
    (model, history), (other, whole) = got, expected
    for name, value in other.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    assert [(r.epoch, r.loss, r.learning_rate, r.metrics) for r in history.records] == [
        (r.epoch, r.loss, r.learning_rate, r.metrics) for r in whole.records
    ]


# Fast runs have the same interruption by an exception below; here the process itself dies.
@pytest.mark.slow
def test_a_run_killed_in_mid_epoch_resumes_to_the_same_weights(tmp_path, uninterrupted):
    # The tenth step of 24 is the fourth of the second epoch; the last checkpoint is that of step 8.
    killed = subprocess.run([sys.executable, SCRIPT, tmp_path, "10"], check=False, capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert sorted(path.name for path in tmp_path.iterdir())[-1] == "step-0000000008.safetensors"
    resumed = script().run(tmp_path)
    assert resumed[1].resumed_from == 8
    assert_same_run(resumed, uninterrupted)


@pytest.mark.parametrize("call", [1, 12, 13, 24])
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


def test_a_finished_run_is_not_trained_again(finished, uninterrupted):
    module = script()
    again = module.run(finished)
    assert module.calls == 0
    assert again[1].resumed_from == again[1].steps == 24
    assert_same_run(again, uninterrupted)


@pytest.fixture(scope="module")
def broken_off(tmp_path_factory):
    """The folder of a run that was interrupted in its tenth step."""
    folder, module = tmp_path_factory.mktemp("broken"), script()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "killed_at", 10)
        patch.setattr(module.os, "kill", lambda *_: (_ for _ in ()).throw(Interruption))
        with pytest.raises(Interruption):
            module.run(folder)
    return folder


@pytest.fixture
def interrupted(broken_off, tmp_path):
    """A copy of that folder, and the checkpoints in it."""
    shutil.copytree(broken_off, tmp_path, dirs_exist_ok=True)
    return sorted(tmp_path.glob("*.safetensors"))


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut_short, flip_a_bit, empty])
def test_a_damaged_checkpoint_gives_way_to_the_one_before_with_a_warning(damage, tmp_path, uninterrupted, interrupted):
    damage(interrupted[-1])
    with pytest.warns(TrustworthyWarning, match=f"{interrupted[-1].name}.*Trying the checkpoint before"):
        resumed = script().run(tmp_path)
    assert resumed[1].resumed_from == 6
    assert_same_run(resumed, uninterrupted)


@pytest.mark.filterwarnings("ignore::trustworthy.core.errors.TrustworthyWarning")
def test_without_a_whole_checkpoint_the_error_says_what_to_do(tmp_path, interrupted):
    for path in interrupted:
        cut_short(path)
    with pytest.raises(CheckpointError, match=r"none of the 2 checkpoints .* resume=False"):
        script().run(tmp_path)


def test_weights_alone_are_not_a_checkpoint(tmp_path):
    model = torch.nn.Linear(2, 2)
    training.save_weights(model, tmp_path / "step-0000000001.safetensors")
    data = (torch.zeros(8, 2), torch.zeros(8, dtype=torch.long))
    with (
        pytest.warns(TrustworthyWarning, match="holds weights but is not a checkpoint"),
        pytest.raises(CheckpointError, match="none of the 1 checkpoints"),
    ):
        training.fit(model, data, epochs=1, checkpoints=tmp_path)


@pytest.mark.usefixtures("interrupted")
def test_what_a_kill_leaves_half_written_is_swept_away(tmp_path):
    torn = tmp_path / ".step-0000000010.safetensors.x7.part"
    torn.write_bytes(b"half")
    script().run(tmp_path)
    assert not torn.exists()


DATA = (torch.zeros(8, 2), torch.zeros(8, dtype=torch.long))


def test_a_checkpoint_of_the_first_format_is_refused_with_the_remedy(tmp_path):
    training.fit(torch.nn.Linear(2, 2), DATA, epochs=1, checkpoints=tmp_path)
    (path,) = tmp_path.iterdir()
    old = checkpoint.read(path)
    names = {**old.state["identity"], "loss": "cross_entropy", "model": "Linear 5f0c"}
    state = {name: value for name, value in old.state.items() if name != "format"} | {"identity": names}
    checkpoint.write(path, old.tensors, state)
    with pytest.raises(CheckpointError, match=r"has format 1 .* reads 2.*resume=False.*load_weights reads its weights"):
        training.fit(torch.nn.Linear(2, 2), DATA, epochs=1, checkpoints=tmp_path)
    training.load_weights(torch.nn.Linear(2, 2), path)
    again = training.Checkpoints(tmp_path, resume=False)
    assert training.fit(torch.nn.Linear(2, 2), DATA, epochs=1, checkpoints=again).resumed_from is None
    assert training.fit(torch.nn.Linear(2, 2), DATA, epochs=1, checkpoints=tmp_path).resumed_from == 1


@pytest.mark.parametrize("argument", ["loss", "augment", "schedule"])
def test_a_closure_is_refused_with_a_checkpoint_folder_and_welcome_without(argument, tmp_path):
    class Half(training.AbstractSchedule):
        def factor(self, step, steps):
            return 0.5

    closure = {
        "loss": lambda model, batch, moment: model(batch[0]).sum(),
        "augment": lambda batch, moment: batch,
        "schedule": Half(),
    }[argument]
    with pytest.raises(InvalidInput, match=rf"{argument} must be .* frozen dataclass .* or train without checkpoints"):
        training.fit(torch.nn.Linear(2, 2), DATA, epochs=1, checkpoints=tmp_path, **{argument: closure})
    assert list(tmp_path.iterdir()) == []
    training.fit(torch.nn.Linear(2, 2), DATA, epochs=1, **{argument: closure})
