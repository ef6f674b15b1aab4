"""A catalogue of what people give that is wrong: one line says what it is, what was found and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.wrong_data import ARRAYS, PATHS, PICTURES, TABLES
from contracts.wrong_explanations import EXPLANATIONS
from contracts.wrong_hardening import HARDENING
from contracts.wrong_inputs import REMEDY
from contracts.wrong_models import ANSWERS, MODELS
from contracts.wrong_runs import COMMANDS, GATE, PLANS, RUNS
from contracts.wrong_saved import SAVED

SECTIONS = {
    "table": TABLES, "path": PATHS, "array": ARRAYS, "pictures": PICTURES, "model": MODELS, "answer": ANSWERS,
    "saved": SAVED, "plan": PLANS, "gate": GATE, "run": RUNS, "command": COMMANDS, "harden": HARDENING,
    "explain": EXPLANATIONS,
}  # fmt: skip
WRONG = {f"{section}: {name}": entry for section, entries in SECTIONS.items() for name, entry in entries.items()}


def test_there_are_as_many_as_are_promised() -> None:
    assert len(WRONG) >= 120


def test_every_remedy_is_tried_or_says_why_it_is_not() -> None:
    assert [name for name, wrong in WRONG.items() if wrong.right is None and not wrong.untried] == []


@pytest.mark.usefixtures("_as_users_call_it", "_undrawn", "_without_parts")
@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_told_in_one_line_and_what_it_says_to_do_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = WRONG[case]
    said = wrong.made()
    short = said.replace(f"{tmp_path}/", "")
    assert "\n" not in said
    assert len(short) <= 400, short
    assert [part for part in wrong.says if part not in said] == []
    assert REMEDY.search(short), short
    assert not Path("out").is_dir()
    if wrong.right is not None:
        wrong.right(said)
