"""An interrupted audit goes on where it stopped and says the same; parts of another audit never get in."""

import errno
import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from report import small_audit
from report.small_audit import linear_of, table, values
from report.toys import ATTACKS, LOGIT, MEASURED, MODELS, ORDER, SIZE, TOYS
from trustworthy.core import study
from trustworthy.core.errors import DataError, InvalidInput, TrustworthyWarning
from trustworthy.report.audit import audit
from trustworthy.report.finding import AuditRecord
from trustworthy.report.plan import make_plan
from trustworthy.report.render import REPORT, render

KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from report.small_audit import linear_of, table
from report.toys import TOYS
from trustworthy.report.audit import audit

def kill(model, step, share):
    if step == "robustness.size" and share == 0.0:
        os.kill(os.getpid(), signal.SIGKILL)

x, y = table()
audit(linear_of(x), (x, y), {out!r}, kinds=TOYS, on_progress=kill)
"""


@pytest.fixture(autouse=True)
def _without_page(monkeypatch):
    monkeypatch.setattr("trustworthy.report.audit.render", lambda folder: None)


@pytest.fixture(autouse=True)
def measured():
    MEASURED.clear()
    return MEASURED


def toys(out=None, *, model=None, data=None, kinds=TOYS, plan=None, **given):
    x, y = table()
    return audit(model or linear_of(x), data or (x, y), out, kinds=kinds, plan=plan, **given)


@pytest.mark.slow
def test_killed_and_started_again_it_says_the_same(tmp_path, measured):
    tests = str(Path(small_audit.__file__).parents[1])
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    script = KILLED.format(tests=tests, out=str(tmp_path))
    killed = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [path.stem for path in (tmp_path / "parts").glob("*.npz")] == ["0-uncertainty.logit"]
    assert not (tmp_path / "findings.json").exists()

    resumed = toys(tmp_path)
    assert measured == ORDER[1:]
    whole = toys()
    assert values(resumed) == values(whole)
    saved = AuditRecord.model_validate_json((tmp_path / "findings.json").read_text())
    assert values(saved) == values(AuditRecord.model_validate_json(whole.model_dump_json()))


def test_an_exception_in_a_kind_loses_only_that_kind(tmp_path, measured):
    def interrupted(case, settings):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toys(tmp_path, kinds=(LOGIT, replace(SIZE, measure=interrupted), ATTACKS))
    assert measured == ["uncertainty.logit"]
    measured.clear()
    toys(tmp_path)
    assert measured == ORDER[1:]


@pytest.mark.parametrize("change", ["seed", "level", "batch", "data", "weights", "draws"])
def test_parts_of_another_audit_are_not_used(tmp_path, measured, change):
    x, y = table()
    toys(tmp_path)
    measured.clear()
    model, data, plan, seed = linear_of(x), (x, y), {}, 0
    if change == "seed":
        seed = 1
    elif change == "data":
        data = (x + 0.001, y)
    elif change == "weights":
        model.weight.data *= 1.0001
    else:
        plan = {change: {"level": 0.9, "batch": 10, "draws": 3}[change]}
    given = {"model": model, "data": data, "plan": plan, "seed": seed}
    if change == "draws":  # a fixed model is asked once, whatever the plan says
        toys(tmp_path, **given)
        assert measured == []
        return
    with pytest.warns(TrustworthyWarning, match="parts of another audit"):
        other = toys(tmp_path, **given)
    assert measured == ORDER
    assert values(other) == values(toys(**given))


@pytest.mark.filterwarnings("ignore:.*parts of another audit")
@pytest.mark.parametrize(
    ("plan", "again"),
    [
        ({"size": {"size": 7}}, ["robustness.size"]),
        ({"attacks": {"decision_rows": 3}}, ["evaluation.arms"]),
        ({"skip": ["uncertainty.logit"]}, []),
        ({"profile": "quick", "rows": 300, "size": {"size": 3}, "attacks": make_plan().model_dump()["attacks"]}, []),
    ],
)
def test_a_changed_setting_measures_again_only_what_depends_on_it(tmp_path, measured, plan, again):
    toys(tmp_path)
    measured.clear()
    toys(tmp_path, plan=plan)
    assert measured == again


def test_another_model_of_the_same_name_is_compared_anew(tmp_path, measured):
    x, _ = table()
    models = {"a": linear_of(x), "b": linear_of(x)}
    toys(tmp_path, model=models, kinds=(MODELS,))
    toys(tmp_path, model=models, kinds=(MODELS,))
    assert measured == ["robustness.models"]
    models["b"].weight.data *= 1.1
    with pytest.warns(TrustworthyWarning, match="parts of another audit"):
        record = toys(tmp_path, model=models, kinds=(MODELS,))
    assert measured == ["robustness.models"] * 2
    assert [(finding.model, finding.value) for finding in record.findings] == [("all models", 2.0)]


def test_a_damaged_part_is_measured_again(tmp_path, measured):
    first = toys(tmp_path)
    part = tmp_path / "parts" / "0-robustness.size.npz"
    part.write_bytes(part.read_bytes()[:100])
    measured.clear()
    with pytest.warns(TrustworthyWarning, match=r"robustness\.size\.npz is damaged"):
        again = toys(tmp_path)
    assert measured == ["robustness.size"]
    assert values(again) == values(first)


@pytest.mark.parametrize(("code", "message"), [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "denied")])
def test_a_full_disk_is_told_and_finished_kinds_stay(tmp_path, monkeypatch, measured, code, message):
    real, calls = os.fsync, []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(DataError, match=message):
        toys(tmp_path)
    assert len(list((tmp_path / "parts").glob("*.npz"))) == 2
    assert measured == ORDER
    measured.clear()
    toys(tmp_path)
    assert measured == ORDER[2:]


def test_a_disk_that_is_full_for_the_page_alone_is_told(tmp_path, monkeypatch):
    real = study.atomic_write

    def full_for_the_page(path, mode):
        if path.name == REPORT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, mode)

    monkeypatch.setattr(study, "atomic_write", full_for_the_page)
    monkeypatch.setattr("trustworthy.report.audit.render", render)
    with pytest.raises(DataError, match=r"report\.html: the disk is full"):
        toys(tmp_path)
    assert (tmp_path / "findings.json").exists()


def test_arrays_come_back_from_the_parts(tmp_path, measured):
    kept = []
    for _ in range(2):
        toys(tmp_path)
        with np.load(tmp_path / "arrays.npz") as arrays:
            kept.append({name: arrays[name].tolist() for name in arrays.files})
    assert measured == ORDER
    assert kept[0] == kept[1] == {"model/size": [0, 1, 2]}


def test_progress_begins_and_ends_every_kind_once():
    told = []
    toys(on_progress=lambda *given: told.append(given))
    assert told == [("model", step, share) for step in ORDER for share in (0.0, 1.0)]


@pytest.mark.filterwarnings("ignore:all .* labels of arrays are the same")
def test_what_does_not_apply_is_an_omission_with_its_reason(tmp_path):
    x, y = table()
    wrong = linear_of(x)
    wrong.weight.data *= 0.0
    record = partial(toys, model=wrong, data=(x[y == 1], y[y == 1]))(plan={"skip": ["robustness.size"]})
    reasons = {omission.part: omission.reason for omission in record.omissions}
    assert reasons == {"robustness.size": "the plan skips it.", "evaluation.arms": "there is nothing to attack."}


def test_a_plan_of_other_kinds_is_refused():
    x, y = table()
    with pytest.raises(InvalidInput, match=r"made for the kinds of this audit; .*kinds="):
        audit(linear_of(x), (x, y), plan=make_plan(), kinds=TOYS)
