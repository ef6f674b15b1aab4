"""`trustworthy harden`: the table, the folders, the gate, and what it says to type next."""

import json
import shlex

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from trustworthy.cli.main import app
from trustworthy.models import load_model
from trustworthy.report import formatting
from trustworthy.report.finding import AuditRecord
from trustworthy.report.findings import KINDS

pytestmark = pytest.mark.usefixtures("_undrawn", "_without_parts")

NET = """
from torch import nn

def net(width=8):
    return nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 2))
"""
FEW = "[randomness]\neot = [1, 4]\ndraws = [1, 4]\nrows = 6\n"
MEASURED = ("accuracy", "uncertainty.scores", "robustness.randomness", "robustness.defenses")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working directory with a network, sixty rows of two classes, and a plan of what the table shows."""
    place = tmp_path_factory.mktemp("harden")
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 2))
    rows = pd.DataFrame(x, columns=["a", "b"]).assign(ill=np.where(x[:, 0] > 0, "yes", "no"))
    rows.to_csv(place / "rows.csv", index=False)
    (place / "net.py").write_text(NET)
    skipped = [kind.step for kind in KINDS if kind.step not in MEASURED]
    (place / "plan.toml").write_text(f"rows = 0\nresamples = 20\nskip = {json.dumps(skipped)}\n{FEW}")
    return place


def run(*arguments):
    return CliRunner().invoke(app, ["harden", *map(str, arguments)], env={"COLUMNS": "80"})


@pytest.fixture(scope="module")
def ran(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = run(
            "net.py:net", "--option", "width=6", "--data", "rows.csv", "--method", "rse", "--method", "brelu",
            "--epochs", 4, "--plan", "plan.toml", "--out", "out", "--fail-under", "accuracy=0.0", "accuracy=0.01",
        )  # fmt: skip
    assert result.exit_code == 0, result.output
    return result


def test_one_line_for_each_network_has_what_the_record_and_the_folder_say(ran, folder):
    record = AuditRecord.model_validate_json((folder / "out" / "findings.json").read_text())
    accuracy = {finding.model: finding.value for finding in record.findings if finding.name == "accuracy"}
    nll = {finding.model: finding.value for finding in record.findings if finding.name == "uncertainty.nll"}
    lines = {line.split()[0]: line for line in ran.stdout.splitlines() if line.strip()}
    assert "38 rows to train on, 7 to choose the epoch by, 15 to audit" in ran.stderr
    assert "Rows split at random (seed 0), classes in proportion; a quarter is audited." in ran.stderr
    for name in ("plain", "rse", "brelu"):
        about = load_model(folder / "out" / name, trust=True).about["training"]
        assert lines[name].split()[1:3] == [f"{100 * accuracy[name]:.1f}%", formatting.number(nll[name])]
        assert f"{about['seconds']:.1f}\u00a0s" in lines[name]
        chosen = f"epoch {about['best']['epoch']} of 4 was chosen by accuracy, {100 * about['best']['accuracy']:.1f}%"
        assert f"{name}: {chosen}; after the last epoch {100 * about['last']['accuracy']:.1f}%" in ran.stdout
    assert "…" not in ran.stdout
    assert "report: out/report.html" in ran.stdout
    assert "Most accurate under attack" not in ran.stdout  # of one network alone it was measured
    prediction = {name: line.split()[-2] for name, line in lines.items() if name in ("plain", "rse", "brelu")}
    assert all(float(number) > 0 for number in prediction.values())
    (stochastic,) = (found for found in record.findings if found.name == "robustness.linf.randomness")
    assert stochastic.model == "rse"
    assert f"{100 * stochastic.series['attacks'][0]['accuracy']:.1f}%" in lines["rse"]
    assert f"{100 * stochastic.value:.1f}%" in lines["rse"]


def test_the_command_that_it_ends_with_audits_one_network(ran, folder, monkeypatch):
    monkeypatch.chdir(folder)
    (line,) = (line for line in ran.stdout.splitlines() if line.startswith("audit one alone: "))
    said = shlex.split(line.partition(": ")[2])
    assert said == ["trustworthy", "audit", "out/brelu", "--trust", "--data", "ROWS", "--out", "out/brelu-audit"]
    again = ["rows.csv" if word == "ROWS" else word for word in said[1:]]
    result = CliRunner().invoke(app, [*again, "--plan", "plan.toml"])
    assert result.exit_code == 0, result.output


def test_limits_hold_for_the_hardened_networks_alone(ran, folder, monkeypatch):
    monkeypatch.chdir(folder)
    given = ("net.py:net", "--data", "rows.csv", "--method", "rse", "--method", "brelu", "--epochs", 4)
    limits = ("--option", "width=6", "--plan", "plan.toml", "--out", "out", "--fail-under", "accuracy=1.1")
    assert "must be a share from 0 to 1" in run(*given, *limits).stderr
    result = run(*given, *limits[:-1], "accuracy=1.0", "--strict")
    assert result.exit_code == 1
    assert "accuracy of rse" in result.stderr
    assert "accuracy of plain" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("a.py:a", "b.py:b"), "one MODEL is hardened, got 2"),
        (("net.py:net", "--option", "width"), "option must be NAME=VALUE, an argument of the factory, such as width=8"),
        (("net.py:net", "--option", "height=8"), "unexpected keyword argument 'height'"),
        (("net.py:net", "--weights", "none.safetensors"), "none.safetensors is not a file"),
        (("none.py:net",), "there is no file none.py"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(folder, monkeypatch, arguments, says):
    monkeypatch.chdir(folder)
    result = run(*arguments, "--data", "rows.csv", "--method", "rse", "--out", "none")
    assert result.exit_code == 2
    assert says in result.stderr
    assert not (folder / "none").exists()
