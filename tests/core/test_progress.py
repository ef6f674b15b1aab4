"""What is running is shown on standard error, as a bar where that is a terminal."""

import io
import sys

import pytest

from trustworthy.core.progress import portion, shares, tracked


class Terminal(io.StringIO):
    def isatty(self):
        return True


def parts(**options):
    with shares(**options) as tell:
        for share in (0.0, 0.5, 1.0):
            tell("model: robustness.linf", share)
        tell("model: robustness.l2", 0.25)


def test_a_line_for_each_part_where_it_is_no_terminal(capsys):
    parts()
    assert capsys.readouterr().err.splitlines() == ["model: robustness.linf ...", "model: robustness.l2 ..."]


@pytest.mark.parametrize("of_all", [False, True])
def test_a_bar_on_a_terminal(monkeypatch, of_all):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    parts(of_all=of_all)
    assert "model: robustness.l2" in terminal.getvalue()
    assert "left:" in terminal.getvalue()


def test_items_pass_through_and_are_counted_on_standard_error_if_asked(capsys):
    assert list(tracked(iter("abc"), "letters", 3, show=False)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")
    assert list(tracked(iter("abc"), "letters", 3, show=True)) == ["a", "b", "c"]
    out, err = capsys.readouterr()
    assert out == ""
    assert "3/3" in err


def test_a_portion_tells_the_share_of_all():
    told = []
    tell = portion(portion(told.append, 1, 2), 3, 4)
    for share in (0.0, 0.5, 1.0, 1.5):
        tell(share)
    assert told == [0.875, 0.9375, 1.0, 1.0]
