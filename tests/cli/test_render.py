"""`trustworthy render` writes a saved audit in other forms, and the guide to gates shows options that there are."""

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from report.synthetic_audit import image_audit, table_audit
from trustworthy.cli.main import app
from trustworthy.report import renderings
from trustworthy.report.saved import read

pytestmark = pytest.mark.usefixtures("_undrawn", "_without_parts")
GUIDE = Path(__file__).parents[2] / "docs" / "gate.md"
OPTIONS = {name: f"--{name.replace('_', '-')}" for name in ("junit", "sarif", "markdown", "card", "annex_iv")}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return image_audit(tmp_path_factory.mktemp("saved")), table_audit(tmp_path_factory.mktemp("table"))


def render(*arguments):
    return CliRunner().invoke(app, ["render", *map(str, arguments)])


def test_every_rendering_is_written_from_a_saved_audit(saved, tmp_path):
    folder = saved[1]
    files = {name: tmp_path / name for name in OPTIONS}
    (folder / "report.html").unlink(missing_ok=True)
    result = render(folder, *(text for name, path in files.items() for text in (OPTIONS[name], path)))
    assert result.exit_code == 0, result.stderr
    record = read(folder).record
    assert (folder / "report.html").read_text().startswith("<!")
    assert f"report: {folder / 'report.html'}" in result.stdout.replace("\n", "")
    assert files["annex_iv"].read_text() == renderings.annex_iv(record, [])
    assert files["card"].read_text() == renderings.card(record, [])
    assert files["junit"].read_text() == renderings.junit(record, [])
    assert files["sarif"].read_text() == renderings.sarif(record, [])
    assert files["markdown"].read_text() == renderings.markdown(record, [], str(folder / "report.html"))


def test_the_gate_of_a_saved_audit_has_the_codes_of_an_audit(saved, tmp_path):
    _, folder = saved
    junit = tmp_path / "junit.xml"
    assert render(folder, "--fail-under", "robustness.l2.accuracy=0.01", "robustness.linf.accuracy=0.01").exit_code == 0
    closed = render(
        "--fail-under", "robustness.l2.accuracy=0.01", "robustness.linf.accuracy=0.99", folder, "--junit", junit
    )
    assert closed.exit_code == 1
    assert "falls short: robustness.linf.accuracy is" in closed.stderr
    assert "<failure" in junit.read_text()
    value = next(f.value for f in read(folder).record.findings if f.name == "robustness.linf.accuracy")
    near = ["--fail-under", f"robustness.linf.accuracy={value}", "--junit", junit]
    assert render(folder, *near).exit_code == 3
    assert "<failure" not in junit.read_text()
    assert render(folder, *near, "--strict").exit_code == 1
    assert "<failure" in junit.read_text()


def test_what_got_worse_than_the_baseline_fails_in_the_renderings(saved, tmp_path):
    _, folder = saved
    content = json.loads((folder / "findings.json").read_text())
    for finding in content["findings"]:
        if finding["name"] == "robustness.linf.accuracy":
            finding |= {"value": 0.99, "interval": [0.98, 1.0]}
    (tmp_path / "earlier.json").write_text(json.dumps(content))
    files = {name: tmp_path / name for name in ("junit", "sarif")}
    options = [text for name, path in files.items() for text in (OPTIONS[name], path)]
    result = render(folder, "--baseline", tmp_path / "earlier.json", *options)
    assert result.exit_code == 1
    assert "robustness.linf.accuracy went from 99.0%" in result.stderr
    assert 'failure message="robustness.linf.accuracy went from 99.0%' in files["junit"].read_text()
    assert '"level": "error"' in files["sarif"].read_text()
    assert render(folder, "--baseline", folder, *options).exit_code == 0
    assert "<failure" not in files["junit"].read_text()


def test_mistakes_are_refused_before_anything_is_written(saved, tmp_path):
    folder, _ = saved
    taken = tmp_path / "taken"
    taken.mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    new = tmp_path / "new"
    for arguments, message in (
        ((folder, "--card", new), "--card describes one model, the audit is of 2 (plain, adversarially trained)"),
        ((folder, "--sarif", new, "--annex-iv", taken), f"--annex-iv must name a file, got {taken}, a folder, link or"),
        ((folder, "--sarif", new, "--markdown", tmp_path / "link"), "--markdown must name a file"),
        ((folder, "--sarif", new, "--junit", new), f"must have a file of its own, got {new} twice"),
        ((folder, "--sarif", new, "--fail-under", "acuracy=1"), "did you mean 'accuracy'"),
        ((tmp_path, "--sarif", new), "the folder holds no finished audit"),
        ((folder, tmp_path, "--sarif", new), "one folder is needed, got 2"),
    ):
        result = render(*arguments)
        assert result.exit_code == 2
        assert message in " ".join(result.stderr.replace("│", "").split())
        assert not new.exists()


def test_the_workflow_of_the_guide_is_yaml_and_names_options_that_there_are():
    (block,) = re.findall(r"```yaml\n(name:.*?)```", GUIDE.read_text(), re.DOTALL)
    workflow = yaml.safe_load(block)
    steps = workflow["jobs"]["audit"]["steps"]
    assert all(("run" in step) != ("uses" in step) for step in steps)
    (command,) = [shlex.split(step["run"]) for step in steps if step.get("run", "").startswith("trustworthy")]
    written = {command[place + 1] for place, word in enumerate(command) if word in OPTIONS.values()}
    read_later = {
        step["with"][key] for step in steps for key in ("sarif_file", "report_paths") if key in step.get("with", {})
    }
    assert read_later < written
    assert any("$GITHUB_STEP_SUMMARY" in step.get("run", "") for step in steps)


def test_the_guide_names_only_options_that_there_are_and_every_rendering():
    commands = get_command(app).commands
    known = {option for name in ("audit", "render", "demo") for each in commands[name].params for option in each.opts}
    text = GUIDE.read_text()
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    assert named <= known
    assert set(OPTIONS.values()) <= named
    for command in ("audit", "render"):
        assert set(OPTIONS.values()) <= {option for each in commands[command].params for option in each.opts}
