"""The command line: models from files and modules, exit codes, one line for every mistake."""

import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from report.small_audit import linear_of, table
from trustworthy import __version__
from trustworthy.cli.audit import _load as models_of
from trustworthy.cli.audit import command_line
from trustworthy.cli.main import app
from trustworthy.report.finding import AuditRecord
from trustworthy.training import save_weights

pytestmark = pytest.mark.usefixtures("_undrawn", "_without_parts")
MODELS = """
import sys
sys.path.insert(0, {tests!r})
import torch
from report.small_audit import Linear, linear_of, table

def linear():
    return linear_of(table()[0])

def blank():
    return Linear(torch.zeros(5), bias=linear().bias)

def wrong():
    return lambda x: x[:3]

def words():
    return "model"

def raising():
    raise ValueError("no weights\\nin sight")

number = 3
"""
PLAN = """
rows = 0
resamples = 20
skip = [
  "robustness.l2", "robustness.certificate", "robustness.distortion", "robustness.pictures", "robustness.corruptions",
  "robustness.exchange", "robustness.transfer", "robustness.poisoning", "evaluation.diagnosis", "interpretation",
  "interpretation.explanation",
  "uncertainty.selective", "uncertainty.temperature", "uncertainty.conformal", "uncertainty.ood",
]
[attacks]
tried = [{name = "PGD", steps = 5}]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with models, data and a plan."""
    from pathlib import Path

    from report import small_audit

    monkeypatch.chdir(tmp_path)
    tests = str(Path(small_audit.__file__).parents[1])
    (tmp_path / "models.py").write_text(MODELS.format(tests=tests))
    (tmp_path / "plan.toml").write_text(PLAN)
    x, y = table()
    np.savez(tmp_path / "data.npz", x_test=x, y_test=y)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def audit(*arguments, model="models.py:linear", data="data.npz", out="out"):
    return run("audit", model, "--data", data, "--out", out, "--plan", "plan.toml", *arguments)


def test_an_audit_writes_the_report_and_says_where(folder):
    result = audit("--seed", 4, "--title", "My model", "--limit", 20)
    assert result.exit_code == 0, result.stderr
    assert "report: out/report.html" in result.stdout
    assert "My model" in result.stdout
    record = AuditRecord.model_validate_json((folder / "out" / "findings.json").read_text())
    assert record.seed == 4
    assert record.data["rows"] == 20
    assert record.models[0]["name"] == "linear"
    assert record.models[0]["source"] == "models.py:linear"
    assert (folder / "out" / "report.html").read_text().startswith("<!")


def test_several_models_with_weights_from_files_and_modules(folder):
    save_weights(linear_of(table()[0]), folder / "w.safetensors")
    files = ("--weights", "w.safetensors", "--weights", "w.safetensors")
    result = audit("models:linear", *files, model="models.py:blank")
    assert result.exit_code == 0, result.stderr
    record = AuditRecord.model_validate_json((folder / "out" / "findings.json").read_text())
    assert [model["name"] for model in record.models] == ["blank", "linear"]
    accuracies = [finding.value for finding in record.findings if finding.name == "accuracy"]
    assert accuracies[0] == accuracies[1] > 0.8  # `blank` has no weights of its own


def test_two_checkpoints_of_one_factory_are_compared_by_names(folder):
    import torch

    torch.save(linear_of(table()[0]).state_dict(), folder / "a.pt")
    save_weights(linear_of(table()[0][:, :5]), folder / "b.safetensors")
    files = ("--weights", "a.pt", "--weights", "b.safetensors")
    refused = audit("models.py:blank", *files, model="models.py:blank")
    assert refused.exit_code == 2
    said = " ".join(refused.stderr.split())
    assert "write NAME=MODEL: model1=models.py:blank model2=models.py:blank." in said
    result = audit("after=models.py:blank", *files, "--fail-under", "accuracy=0.5", model="before=models.py:blank")
    assert result.exit_code == 0, result.stderr
    record = AuditRecord.model_validate_json((folder / "out" / "findings.json").read_text())
    assert [(m["name"], m["source"]) for m in record.models] == [(n, "models.py:blank") for n in ("before", "after")]
    equal = [{**f.model_dump(exclude={"model", "wall_time"})} for f in record.findings]
    assert equal[: len(equal) // 2] == equal[len(equal) // 2 :]


def test_an_equals_sign_in_the_path_of_a_file_is_no_name(folder):
    (folder / "lr=0.1").mkdir()
    places = ["lr=0.1/models.py", "lr=0.1.py"]
    for place in places:
        (folder / place).write_text((folder / "models.py").read_text())
    specs = [f"{place}:linear" for place in places]
    assert list(models_of(specs, [], trust=False)) == specs


def test_the_gate_is_read_in_both_spellings(folder):
    assert audit("--fail-under", "accuracy=0.5", "uncertainty.ece=0.9").exit_code == 0
    closed = audit("--fail-under", "accuracy=0.5", "robustness.linf.accuracy=0.99", "--fail-under", "accuracy=0.999")
    assert closed.exit_code == 1
    (line,) = (line for line in closed.stderr.splitlines() if line.startswith("falls short"))
    assert "accuracy is" in line
    assert "robustness.linf.accuracy is" in line


def test_what_cannot_be_told_has_a_code_of_its_own(folder):
    assert audit("--limit", 40).exit_code == 0
    record = AuditRecord.model_validate_json((folder / "out" / "findings.json").read_text())
    (accuracy,) = (f for f in record.findings if f.name == "accuracy")
    inside = f"accuracy={(accuracy.interval[0] + accuracy.value) / 2}"
    unclear = audit("--limit", 40, "--fail-under", inside)
    assert unclear.exit_code == 3
    (line,) = (line for line in unclear.stderr.splitlines() if line.startswith("cannot tell: accuracy is"))
    assert line.endswith("--strict makes it a failure.")
    assert audit("--limit", 40, "--strict", "--fail-under", inside).exit_code == 1
    assert audit("--limit", 40, "--fail-under", inside, "uncertainty.brier=0").exit_code == 1


def test_an_audit_is_rendered_as_the_saved_one_is(folder):
    gate = ("--fail-under", "accuracy=0.999", "uncertainty.ece=0.9")
    files = (
        "--junit",
        "a.xml",
        "--sarif",
        "a.sarif",
        "--markdown",
        "a.md",
        "--card",
        "README.md",
        "--annex-iv",
        "a4.md",
    )
    assert audit(*gate, *files).exit_code == 1
    again = ("--junit", "b.xml", "--sarif", "b.sarif", "--markdown", "b.md", "--card", "B.md", "--annex-iv", "b4.md")
    assert run("render", "out", *gate, *again).exit_code == 1
    for first, second in zip(files[1::2], again[1::2], strict=True):
        assert (folder / first).read_text() == (folder / second).read_text()
    assert "models.py" in (folder / "a.sarif").read_text()
    refused = audit("models:blank", "--card", "card.md", out="never")
    assert refused.exit_code == 2
    assert "--card describes one model" in refused.stderr
    assert not (folder / "never").exists()


def test_the_place_of_an_error_in_a_factory_is_told(folder):
    result = audit(model="models.py:raising")
    line = MODELS.splitlines().index('    raise ValueError("no weights\\nin sight")') + 1
    assert f"models.py, line {line}" in result.stderr.replace("\n", "")


def test_limits_are_no_models(folder):
    only_limits = run("audit", "accuracy=1", "--data", "d", "--out", "o", "--fail-under", "accuracy=1")
    assert only_limits.exit_code == 2
    assert "at least one MODEL" in only_limits.stderr


def test_a_model_that_cannot_be_imported_says_where(folder):
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("def make():\n    return undefined\n")
    assert "raised NameError" in audit(model="package:make").stderr


def test_the_path_of_imports_is_as_before(folder):
    before = list(sys.path)
    audit(model="models.py:wrong")
    audit(model="nowhere.at.all:linear")
    assert [entry for entry in sys.path if entry == str(folder)] == [entry for entry in before if entry == str(folder)]


def broken(*given, **named):
    raise IndexError("out of\nrange")


def test_a_crash_has_a_code_of_its_own_and_one_line(folder, monkeypatch):
    monkeypatch.setattr("trustworthy.report.audit._Run._measured", broken)
    result = audit("--fail-under", "accuracy=0.1")
    assert result.exit_code == 4
    said = [line for line in result.stderr.splitlines() if not line.endswith("...")]
    assert said == ["crashed: IndexError: out of range. TRUSTWORTHY_TRACEBACK=1 shows where."]


def test_the_traceback_is_shown_where_it_is_asked_for(folder, monkeypatch):
    monkeypatch.setenv("TRUSTWORTHY_TRACEBACK", "1")
    expected = audit(data="digist")
    assert expected.exit_code == 2
    assert "Traceback" in expected.stderr
    assert "error: there is no file or folder digist, and no data set of that name" in expected.stderr
    monkeypatch.setattr("trustworthy.report.audit._Run._measured", broken)
    crashed = audit()
    assert crashed.exit_code == 4
    assert "in broken" in crashed.stderr
    assert "crashed: IndexError: out of range." in crashed.stderr


def test_an_interrupt_says_how_to_go_on(folder, monkeypatch):
    def interrupted(*given, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr("trustworthy.report.audit._Run._measured", interrupted)
    result = audit()
    assert result.exit_code == 130
    assert "goes on where it stopped" in result.stderr


def test_warnings_are_one_line(folder):
    audit("--seed", "1")
    result = audit("--seed", "2")
    assert result.exit_code == 0
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("warning: "))
    assert "parts of another audit" in line


def test_version_and_help():
    assert run("--version").stdout.strip() == __version__
    shown = run("--help").stdout
    assert all(command in shown for command in ("audit", "demo", "poison", "data", "Exit codes"))


def test_help_needs_no_heavy_library():
    heavy = ("torch", "numpy", "scipy", "sklearn", "pydantic", "rich.progress")
    code = f"import sys, trustworthy.cli.main; print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_the_command_that_repeats_an_audit_runs_in_a_shell(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/lib/trustworthy/__main__.py", "audit", "a b.joblib"])
    assert command_line() == "python -m trustworthy audit 'a b.joblib'"
    monkeypatch.setattr(sys, "argv", ["/bin/trustworthy", "demo"])
    assert command_line() == "trustworthy demo"


def test_python_m_trustworthy_is_the_command():
    shown = subprocess.run(
        [sys.executable, "-m", "trustworthy", "--version"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == __version__
