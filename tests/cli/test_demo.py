"""`trustworthy demo` ends in one report about two models."""

import os

import pytest
import torch
from typer.testing import CliRunner

from trustworthy.cli.audit import idle_cores, set_threads
from trustworthy.cli.main import app
from trustworthy.report import demonstration, plan
from trustworthy.report.finding import AuditRecord


def test_the_demo_hands_what_it_trained_to_the_audit(tmp_path, monkeypatch):
    trained, measured = {"plain": object(), "adversarial": object()}, []
    monkeypatch.setattr(
        demonstration, "train_models", lambda data, seed: trained if (data.name, seed) == ("digits", 3) else {}
    )
    monkeypatch.setattr("trustworthy.cli.demo.measure", lambda *given, **named: measured.append((given, named)))
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path), "--profile", "quick", "--seed", "3"])
    assert result.exit_code == 0, result.stderr
    (((models, data, out), named),) = measured
    assert (models, data.name, out) == (trained, "digits", tmp_path)
    assert (named["profile"], named["seed"]) == ("quick", 3)


@pytest.mark.slow
def test_the_demo_compares_two_models_in_one_report(tmp_path, monkeypatch):
    monkeypatch.setattr(demonstration, "EPOCHS", {"plain": 1, "adversarial": 1})
    monkeypatch.setitem(plan.COMMON, "quick", plan.COMMON["quick"].model_copy(update={"rows": 20, "resamples": 10}))
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "report"), "--profile", "quick"])
    assert result.exit_code == 0, result.stderr
    record = AuditRecord.model_validate_json((tmp_path / "report" / "findings.json").read_text())
    assert [model["name"] for model in record.models] == ["plain", "adversarial"]
    kinds = {finding.kind for finding in record.findings}
    assert kinds >= {"robustness_curve", "distortion", "corruptions", "transfer", "diagnosis", "saliency"}
    assert (tmp_path / "report" / "report.html").stat().st_size > 10_000
    assert "plain" in result.stdout
    assert "adversarial" in result.stdout


@pytest.fixture
def _threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_threads_as_before")
@pytest.mark.parametrize(("load", "threads"), [(0.1, 6), (1.7, 4), (6.3, 1), (40.0, 1)])
def test_threads_are_the_idle_cores_unless_something_else_is_asked_for(monkeypatch, load, threads):
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 9.0, 9.0))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    set_threads(None)
    assert torch.get_num_threads() == 1
    monkeypatch.delenv("OMP_NUM_THREADS")
    set_threads(None)
    assert torch.get_num_threads() == threads
    set_threads(2)
    assert torch.get_num_threads() == 2


def test_half_of_the_cores_are_taken_to_be_idle_where_the_system_does_not_tell(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.delattr(os, "getloadavg")
    assert idle_cores() == 3
