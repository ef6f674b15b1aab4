"""An interrupted audit goes on where it stopped and says the same; parts of another audit never get in."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from report import small_audit
from report.small_audit import SMALL, linear_of, table, values
from trustworthy.core.errors import DataError, TrustworthyWarning
from trustworthy.report.audit import audit
from trustworthy.report.finding import AuditRecord
from trustworthy.report.steps import STEPS

KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from report.small_audit import SMALL, linear_of, table
from trustworthy.report.audit import audit

def kill(model, step, share):
    if step == "robustness.l2" and share == 0.0:
        os.kill(os.getpid(), signal.SIGKILL)

x, y = table()
audit(linear_of(x), (x, y), {out!r}, plan=SMALL, on_progress=kill)
"""


@pytest.fixture(autouse=True)
def _without_page(monkeypatch):
    monkeypatch.setattr("trustworthy.report.audit.render", lambda folder: None)


@pytest.fixture
def counted(monkeypatch):
    """Names of the steps that were really measured."""
    names = []
    for name, step in STEPS.items():
        monkeypatch.setitem(STEPS, name, lambda case, name=name, step=step: names.append(name) or step(case))
    return names


def test_killed_and_started_again_it_says_the_same(tmp_path, counted):
    tests = str(Path(small_audit.__file__).parents[1])
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    script = KILLED.format(tests=tests, out=str(tmp_path))
    killed = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = {path.stem.removeprefix("0-") for path in (tmp_path / "parts").glob("*.npz")}
    assert "robustness.linf" in done
    assert not (tmp_path / "findings.json").exists()

    x, y = table()
    resumed = audit(linear_of(x), (x, y), tmp_path, plan=SMALL)
    assert set(counted) == set(STEPS) - done
    whole = audit(linear_of(x), (x, y), plan=SMALL)
    assert values(resumed) == values(whole)
    saved = AuditRecord.model_validate_json((tmp_path / "findings.json").read_text())
    assert values(saved) == values(AuditRecord.model_validate_json(whole.model_dump_json()))


def test_an_exception_in_a_step_loses_only_that_step(tmp_path, monkeypatch, counted):
    x, y = table()

    def interrupted(case):
        raise KeyboardInterrupt

    working = STEPS["robustness.distortion"]
    monkeypatch.setitem(STEPS, "robustness.distortion", interrupted)
    with pytest.raises(KeyboardInterrupt):
        audit(linear_of(x), (x, y), tmp_path, plan=SMALL)
    counted.clear()
    monkeypatch.setitem(STEPS, "robustness.distortion", working)
    audit(linear_of(x), (x, y), tmp_path, plan=SMALL)
    assert counted == ["robustness.distortion", "evaluation.diagnosis"]


@pytest.mark.parametrize("change", ["seed", "plan", "data", "weights"])
def test_parts_of_another_audit_are_not_used(tmp_path, counted, change):
    x, y = table()
    audit(linear_of(x), (x, y), tmp_path, plan=SMALL)
    counted.clear()
    model, data, plan, seed = linear_of(x), (x, y), SMALL, 0
    if change == "seed":
        seed = 1
    elif change == "plan":
        plan = {**SMALL, "resamples": 51}
    elif change == "data":
        data = (x + 0.001, y)
    else:
        model.weight.data *= 1.0001
    with pytest.warns(TrustworthyWarning, match="parts of another audit"):
        other = audit(model, data, tmp_path, plan=plan, seed=seed)
    assert counted == list(STEPS)
    assert values(other) == values(audit(model, data, plan=plan, seed=seed))


def test_a_damaged_part_is_measured_again(tmp_path, counted):
    x, y = table()
    first = audit(linear_of(x), (x, y), tmp_path, plan=SMALL)
    part = tmp_path / "parts" / "0-robustness.linf.npz"
    part.write_bytes(part.read_bytes()[:100])
    counted.clear()
    with pytest.warns(TrustworthyWarning, match=r"robustness\.linf\.npz is damaged"):
        again = audit(linear_of(x), (x, y), tmp_path, plan=SMALL)
    assert counted == ["robustness.linf"]
    assert values(again) == values(first)


@pytest.mark.parametrize(("code", "message"), [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "denied")])
def test_a_full_disk_is_told_and_finished_steps_stay(tmp_path, monkeypatch, counted, code, message):
    x, y = table()
    real, calls = os.fsync, []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) == 4:
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(DataError, match=message):
        audit(linear_of(x), (x, y), tmp_path, plan=SMALL)
    assert len(list((tmp_path / "parts").iterdir())) == 3
    assert len(counted) == 4
    counted.clear()
    audit(linear_of(x), (x, y), tmp_path, plan=SMALL)
    assert counted == list(STEPS)[3:]


def test_a_disk_that_is_full_for_the_page_alone_is_told(tmp_path, monkeypatch):
    x, y = table()

    def render(folder):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("trustworthy.report.audit.render", render)
    with pytest.raises(DataError, match=r"report\.html: the disk is full"):
        audit(linear_of(x), (x, y), tmp_path, plan=SMALL)
    assert (tmp_path / "findings.json").exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    x, y = table()
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        audit(linear_of(x), (x, y), tmp_path / "file" / "out", plan=SMALL)


def test_arrays_come_back_from_the_parts(tmp_path):
    x, y = table()
    audit(linear_of(x), (x, y), tmp_path, plan=SMALL)
    with np.load(tmp_path / "arrays.npz") as arrays:
        first = {name: arrays[name] for name in arrays.files}
    audit(linear_of(x), (x, y), tmp_path, plan=SMALL)
    with np.load(tmp_path / "arrays.npz") as arrays:
        assert first
        assert all(np.array_equal(first[name], arrays[name]) for name in first)
