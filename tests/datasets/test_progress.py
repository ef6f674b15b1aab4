"""The bar while a package arrives."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import pytest

from trustworthy.datasets import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_silent_where_there_is_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with progress.growing(tmp_path, "toy", 10):
        pass
    assert capsys.readouterr() == ("", "")


def test_shows_how_much_has_arrived_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "INTERVAL", 0.01)
    monkeypatch.setenv("TERM", "xterm")
    (tmp_path / "half").write_bytes(b"0" * 5_000)
    with progress.growing(tmp_path, "toy (npm)", 10_000):
        time.sleep(0.3)
    assert "toy (npm)" in screen.getvalue()
    assert "5.0/10.0 kB" in screen.getvalue()


def test_arrived_counts_files_and_survives_vanishing_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"123")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert progress.arrived(tmp_path) == 3
    monkeypatch.setattr(Path, "is_file", lambda self: True)
    assert progress.arrived(tmp_path) == 3 + (tmp_path / "deep").stat().st_size
