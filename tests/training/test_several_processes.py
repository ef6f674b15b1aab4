"""Two processes on the CPU, launched as a user would."""

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

SCRIPT = Path(__file__).with_name("several_processes.py")
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def script():
    spec = importlib.util.spec_from_file_location("several_processes", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run([*LAUNCH, SCRIPT, folder], check=False, capture_output=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr.decode()
    return folder


@pytest.mark.slow
# Of 1, the second process has no row of any batch; 5 comes in two parts a process: 2 + 1 and 1 + 1 rows.
@pytest.mark.parametrize("batch_size", [4, 1, 5])
def test_two_processes_train_as_one(batch_size, folder):
    model, history = script().run(batch_size)
    for process in (0, 1):
        weights = load_file(folder / f"batch{batch_size}-process{process}.safetensors")
        for name, value in model.state_dict().items():
            assert_close(weights[name], value, rtol=0, atol=1e-12)
        losses = ast.literal_eval((folder / f"batch{batch_size}-process{process}.txt").read_text())
        assert losses == pytest.approx([record.loss for record in history.records], abs=1e-6)


@pytest.mark.slow
def test_two_processes_resume_to_the_same_weights(folder):
    whole, resumed = (load_file(folder / f"{name}-process1.safetensors") for name in ("batch4", "resumed"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.slow
def test_a_loss_that_breaks_in_one_process_stops_both(folder):
    assert {path.name for path in folder.glob("diverged*")} == {"diverged-process0", "diverged-process1"}


@pytest.mark.slow
def test_the_best_weights_are_there_for_every_process_when_the_run_is_over(folder):
    """Written slowly, by the first one; the last epoch is the best."""
    for process in (0, 1):
        weights = load_file(folder / f"best-process{process}.safetensors")
        for name, value in load_file(folder / "best" / "best.safetensors").items():
            assert torch.equal(weights[name], value)
