"""`trustworthy compare`, and the gate `--baseline`: what got worse has exit code 1, and is named."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from trustworthy.cli.main import app

pytestmark = pytest.mark.usefixtures("_undrawn", "_without_parts")
MODELS = """
import torch

def of(wrong):
    def model(x):
        x = torch.as_tensor(x)
        logits = torch.stack([-x[:, 0], x[:, 0]], 1)
        return torch.where((x[:, 1] < wrong)[:, None], -logits, logits).detach().numpy()
    return lambda: model

good, bad, other = of(0.02), of(0.2), of(0.02)
"""
PLAN = """
resamples = 50
rows = 0
skip = [
  "robustness.linf", "robustness.l2", "robustness.certificate", "robustness.distortion", "robustness.pictures",
  "robustness.corruptions", "robustness.transfer", "robustness.poisoning", "evaluation.diagnosis", "interpretation",
  "interpretation.explanation",
  "uncertainty.scores", "robustness.exchange", "uncertainty.ood",
]
"""


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def audit(model, out, *arguments):
    given = ("--data", "data.npz", "--plan", "plan.toml", "--threads", 1)
    return run("audit", f"models.py:{model}", *given, "--out", out, *arguments)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with models, data, and audits of a good and of a bad model."""
    folder = tmp_path_factory.mktemp("audits")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "models.py").write_text(MODELS)
        (folder / "plan.toml").write_text(PLAN)
        random = np.random.default_rng(0)
        x = np.stack([random.choice([-1.0, 1.0], 200) * random.uniform(1, 3, 200), random.uniform(size=200)], 1)
        np.savez(folder / "data.npz", x_test=x.astype(np.float32), y_test=(x[:, 0] > 0).astype(np.int64))
        assert audit("good", "good").exit_code == 0
        assert audit("bad", "bad").exit_code == 0
    return folder


@pytest.fixture(autouse=True)
def _inside(saved, monkeypatch):
    monkeypatch.chdir(saved)


def flat(text):
    return re.sub(r"[\s│┃]+", " ", text)


def test_a_drop_beyond_the_interval_closes_the_gate_and_is_named():
    files = ("--markdown", "now.md", "--annex-iv", "annex.md", "--sarif", "now.sarif")
    closed = audit("bad", "now", "--baseline", "good", *files)
    assert closed.exit_code == 1
    assert "| **fails** | `accuracy not worse than 0.985 of good` | accuracy went from" in Path("now.md").read_text()
    assert "| not worse than 0.985 of good | 81.0% (" in Path("annex.md").read_text()
    assert "Worse than good: accuracy went from 98.5% to 81.0%" in Path("now.sarif").read_text()
    (line,) = (line for line in closed.stderr.splitlines() if line.startswith("worse than good: "))
    assert "worse than good: accuracy went from 98.5% to 81.0%: -17.5 points (-23.5 to -12.2); " in line
    assert "5 findings compared with good, 0 better, 5 worse" in closed.stdout


@pytest.mark.parametrize("baseline", ["bad", "bad/findings.json", "good"])
def test_what_is_better_or_the_same_opens_it(baseline):
    opened = audit("other", "now", "--baseline", baseline)
    assert opened.exit_code == 0, opened.stderr
    assert "0 worse" in opened.stdout
    assert f"findings compared with {baseline}, " in opened.stdout
    assert "not from pairs of rows" not in opened.stdout


def test_the_baseline_may_be_the_folder_that_is_written():
    assert audit("good", "same").exit_code == 0
    assert audit("bad", "same", "--baseline", "same").exit_code == 1


def test_it_closes_beside_limits():
    both = audit("bad", "now", "--baseline", "good", "--fail-under", "accuracy=0.1")
    assert (both.exit_code, "worse than good" in both.stderr, "falls short" in both.stderr) == (1, True, False)
    short = audit("good", "again", "--baseline", "good", "--fail-under", "accuracy=1")
    assert (short.exit_code, "worse than" in short.stderr, "falls short" in short.stderr) == (1, False, True)


def test_a_baseline_of_other_rows_is_not_paired_and_of_other_data_refused(tmp_path):
    fewer = audit("good", tmp_path / "fewer", "--limit", 100, "--baseline", "good")
    assert fewer.exit_code == 0
    assert (
        "not from pairs of rows: accuracy, accuracy.balanced, uncertainty.ece, uncertainty.aurc: the rows differ"
        in fewer.stdout
    )
    with np.load("data.npz") as data:
        np.savez(tmp_path / "elsewhere.npz", **data, x_train=data["x_test"] + 1, y_train=data["y_test"])
    other = audit("good", tmp_path / "other", "--data", tmp_path / "elsewhere.npz", "--baseline", "good")
    assert other.exit_code == 2
    assert "name of the data data and elsewhere" in flat(other.stderr)
    assert "error: --baseline good has no finding that can be compared" in flat(other.stderr)


def test_a_baseline_that_is_not_there_is_refused_before_anything_is_measured(tmp_path):
    refused = audit("good", tmp_path / "new", "--baseline", "nowhere")
    assert refused.exit_code == 2
    assert "nowhere/findings.json does not exist" in flat(refused.stderr)
    assert not (tmp_path / "new").exists()


def test_compare_shows_both_the_difference_and_what_it_means(saved):
    shown = run("compare", "good", "bad/findings.json")
    assert shown.exit_code == 0, shown.stderr
    table = flat(shown.stdout)
    record = json.loads((saved / "good" / "findings.json").read_text())
    (accuracy,) = (f for f in record["findings"] if f["name"] == "accuracy")
    assert f" accuracy {accuracy['value']:.1%} " in table
    assert " worse " in table
    assert "the audits differ in: models good and bad" in table
    assert " better " in flat(run("compare", "bad", "good").stdout)
    same = flat(run("compare", "good", "good").stdout)
    assert (" same " in same, " worse " in same, "differ" in same) == (True, False, False)


def test_an_audit_ends_with_three_lines_that_matter_and_the_page():
    ended = audit("bad", "now").stdout.splitlines()
    assert ended[-1] == "report: now/report.html"
    symbols = [line.split()[0] for line in ended[-4:-1]]
    assert set(symbols) <= {"✓", "!", "✗"}
    assert ended[-5].startswith("└")
