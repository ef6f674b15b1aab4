import importlib.util
import runpy
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from reproduce.__main__ import main
from reproduce.render import render
from reproduce.runner import run
from reproduce.store import Store, store
from reproduce.verdict import judge

from reproduce import claim as claims
from reproduce import plots

EVERY = claims.every()
NAMES = [claim.name for claim, _ in EVERY]
ROOT = claims.HERE.parent
RECORDS = sorted(claims.HERE.glob("ch*/records/*.json"))


@pytest.mark.parametrize(("claim", "folder"), EVERY, ids=NAMES)
def test_claims_are_complete(claim, folder):
    assert set(claim.scales) == set(claims.SCALES)
    assert importlib.util.find_spec(claim.script) is not None
    assert claim.printed() or claim.comparisons
    assert not claim.printed() or claim.rules
    script = Path(importlib.util.find_spec(claim.script).origin)
    assert len(script.read_text().splitlines()) <= 120


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_records_belong_to_a_claim_and_say_how_they_were_measured(path):
    name, _, scale = path.stem.rpartition(".")
    claim, folder = claims.find(name)
    assert path == store(folder / "records", name, scale).path
    for cell in Store(path).read().values():
        assert cell.common["conditions"]["scale"] == scale
        for record in cell.records():
            assert record.seed is not None
            assert record.versions["numpy"]
            assert record.wall_time > 0
    heads = {record.name for cell in Store(path).read().values() for record in cell.records()}
    printed = set(claim.printed())
    assert not heads or not printed or heads & printed


@pytest.mark.parametrize(("claim", "folder"), EVERY, ids=NAMES)
def test_the_smoke_scale_runs_without_downloads(claim, folder, tmp_path):
    found = run(claim, "smoke", store(tmp_path, claim.name, "smoke"))
    assert all(cell.finished for cell in found.values()), [cell.common for cell in found.values()]
    measured = {record.name: record for cell in found.values() for record in cell.records()}
    assert measured
    judge(claim, measured)


def test_the_committed_page_is_what_the_records_say(tmp_path, monkeypatch):
    monkeypatch.setattr(Figure, "savefig", lambda *arguments, **options: None)  # most of the time
    # Most of the rest: one figure of a kind is drawn, and none where the tests of a chapter draw one.
    kinds = {name: _first(kind) for name, kind in plots.KINDS.items()}
    monkeypatch.setattr(plots, "KINDS", kinds | dict.fromkeys(["boxes", "matrix"], lambda *given: Figure()))
    _compare(render(tmp_path), tmp_path)


def _first(kind):
    """The figure of the first claim of the kind, for all claims of it."""
    made = []

    def figure(claim, records):
        made.extend([kind(claim, records)] if not made else [])
        return made[0]

    return figure


@pytest.mark.slow
def test_the_pictures_of_the_committed_page_can_be_drawn(tmp_path):
    page = render(tmp_path)
    _compare(page, tmp_path)
    assert all(path.stat().st_size > 1000 for path in page.parent.rglob("*.svg"))


def _compare(page, tmp_path):
    assert page.read_text() == (ROOT / "docs" / "reproduction.md").read_text()
    for picture in page.parent.rglob("*.*"):
        if picture.suffix in (".svg", ".png"):
            assert (ROOT / "docs" / picture.relative_to(tmp_path)).exists(), picture.name


@pytest.mark.parametrize(("arguments", "said"), [(["list"], "table-3.4"), (["render", "--help"], "records")])
def test_the_command(arguments, said, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["reproduce", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    assert said in capsys.readouterr().out


def test_a_name_that_is_none_is_one_line_of_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["reproduce", "run", "table-3.44"])
    monkeypatch.delitem(sys.modules, "reproduce.__main__")
    with pytest.raises(SystemExit) as left:
        runpy.run_module("reproduce", run_name="__main__", alter_sys=True)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("error: unknown table or figure 'table-3.44'; did you mean 'table-3.4'?")
