import dataclasses
import time

import pytest
import tifffile
from sqlalchemy import select

from trustworthy.core.errors import DataUnavailable, UnknownName
from trustworthy.datasets.pairs import load_pairs
from trustworthy.studio import examples
from trustworthy.studio.db.tables import Image, Pair, Project
from trustworthy.studio.examples import EXAMPLES, QUICK, use_example
from trustworthy.studio.jobs.submitting import submit_training
from trustworthy.studio.training.attempt import attempt
from trustworthy.studio.training.record import load_result
from trustworthy.studio.training.task import Orders, Task


def test_an_example_becomes_a_project_with_pairs_and_a_split(database, storage, settings, monkeypatch):
    small = dataclasses.replace(EXAMPLES["cells/msc-sparse"], settings={"fields": 3, "size": 32})
    monkeypatch.setitem(EXAMPLES, small.name, small)
    project = use_example(database, storage, settings, small.name)
    drawn = load_pairs(small.name, **small.settings)
    with database.reading() as session:
        pairs = session.scalars(select(Pair).where(Pair.project_id == project.id).order_by(Pair.name)).all()
        assert [pair.name for pair in pairs] == list(drawn.names)
        assert {pair.part for pair in pairs} == {"train", "validation", "test"}
        first = pairs[0]
        assert (first.source.role, first.target.role) == ("source", "target")
        assert first.target.description["pixel_size"] == {"Y": 1.3, "X": 1.3}
        assert first.target.description["channel_names"] == ["fluorescence"]
        file = storage.image(project.id, first.source_id, first.source.suffix)
    assert tifffile.imread(file) == pytest.approx(100 + 4000 * drawn.source[0, 0], abs=0.51)
    assert list(storage.root.glob("tmp*")) == []


def test_what_goes_wrong_leaves_nothing(database, storage, settings, monkeypatch):
    monkeypatch.delenv("TRUSTWORTHY_DATA", raising=False)
    with pytest.raises(DataUnavailable, match="set TRUSTWORTHY_DATA"):
        use_example(database, storage, settings, "ecoli")
    with pytest.raises(UnknownName, match="unknown example 'cells/msc-spars'; did you mean"):
        use_example(database, storage, settings, "cells/msc-spars")
    small = dataclasses.replace(EXAMPLES["cells/msc-sparse"], settings={"fields": 1, "size": 32})
    monkeypatch.setitem(EXAMPLES, small.name, small)
    monkeypatch.setattr(examples, "save_pairs", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        use_example(database, storage, settings, small.name)
    with database.reading() as session:
        assert not session.scalars(select(Project)).all() + session.scalars(select(Image)).all()
    assert list((storage.root / "projects").iterdir()) == []


def test_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("TRUSTWORTHY_DATA", str(tmp_path))
    assert "put its files into microscopy/ebimage" in EXAMPLES["ebimage"].missing
    assert EXAMPLES["cells/msc-dense"].missing == ""


@pytest.mark.slow
def test_a_quick_training_is_clearly_better_than_the_source(database, storage, settings):
    project = use_example(database, storage, settings, "cells/msc-sparse")
    with database.session() as session:
        job = submit_training(session, storage, project.id, QUICK)
    orders = Orders(task=Task.model_validate(job.settings), attempt=1, data_dir=storage.root, device="cpu")
    orders.save()
    start = time.process_time()
    assert attempt(orders) == 0
    result = load_result(orders.folder / "result")
    pearson, identity = result.summary["pearson"], result.baselines["identity"]["pearson"]
    assert pearson > abs(identity) + 0.1
    assert len(result.images) == 4
    assert time.process_time() - start < 90  # 24 s when it was measured
