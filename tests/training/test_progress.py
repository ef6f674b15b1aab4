import sys

import pytest
import torch
from torch import nn

from trustworthy.core.progress import bar
from trustworthy.training import Engine, fit

DATA = (torch.rand(6, 2), torch.tensor([0, 1] * 3))


@pytest.mark.parametrize("asked", [None, False])
def test_nothing_is_printed_where_there_is_no_terminal(asked, capfd):
    fit(nn.Linear(2, 2), DATA, epochs=1, engine=Engine(progress=asked))
    assert capfd.readouterr() == ("", "")


def test_progress_goes_to_standard_error_when_asked(capfd):
    fit(nn.Linear(2, 2), DATA, epochs=2, batch_size=2, validation=DATA, engine=Engine(progress=True))
    out, err = capfd.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0].startswith("epoch 1/2  loss ")
    assert "accuracy " in lines[0]
    assert lines[1].startswith("epoch 2/2  loss ")
    assert "6/6" in lines[-1]
    assert "left: 0:00:00" in lines[-1]


def test_a_terminal_gets_progress_unasked(monkeypatch, capfd):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fit(nn.Linear(2, 2), DATA, epochs=1)
    assert "epoch 1/1" in capfd.readouterr().err


def test_a_resumed_run_begins_where_it_was(capfd):
    with bar("training", 10, completed=7, show=True) as display:
        pass
    assert "7/10" in capfd.readouterr().err
    assert display.shown
