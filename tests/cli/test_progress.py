"""What is running is shown on standard error, as a bar where that is a terminal."""

import io
import sys

from trustworthy.cli.progress import audit_progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def steps():
    with audit_progress() as tell:
        for share in (0.0, 0.5, 1.0):
            tell("model", "robustness.linf", share)
        tell("model", "robustness.l2", 0.0)


def test_lines_where_it_is_no_terminal(capsys):
    steps()
    assert capsys.readouterr().err.splitlines() == ["model: robustness.linf ...", "model: robustness.l2 ..."]


def test_a_bar_on_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    steps()
    assert "model: robustness.l2" in terminal.getvalue()
    assert "left:" in terminal.getvalue()
