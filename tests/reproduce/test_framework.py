import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from reproduce.claim import Claim, Comparison, Rule
from reproduce.plots import _by_size
from reproduce.render import _curves, render
from reproduce.runner import run
from reproduce.store import Measured, best, cell, store
from reproduce.verdict import agrees, compare, judge

from reproduce import claim as claims
from reproduce import intervals, plots
from trustworthy.core.errors import DataError, InvalidInput, UnknownName
from trustworthy.core.record import Record

FAKE = """
name = "table-9.1"
title = "a fake"
shows = "Nothing."
script = "fake_script"
plot = "ratios"
orderings = [["*.a", "*.b"]]
[[rules]]
kind = "relative"
tolerance = 0.1
[scales.small]
cells = ["one", "two", "gone"]
[scales.smoke]
cells = ["one"]
[values.one]
a = 1.05
b = 3.0
[values.gone]
a = 1.0
[notes]
"one.b" = "It is a fake."
[[comparisons]]
text = "a is below b."
smaller = "one.a"
larger = "one.b"
"""


@pytest.fixture
def script():
    path = Path(__file__).with_name("fake_script.py")
    spec = importlib.util.spec_from_file_location("fake_script", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fake_script"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["fake_script"]


@pytest.fixture
def root(tmp_path, script):
    folder = tmp_path / "ch9" / "claims"
    folder.mkdir(parents=True)
    (folder / "table-9.1.toml").write_text(FAKE)
    return tmp_path


def record(name, value, interval=None, **conditions):
    return Record(name=name, value=value, interval=interval, conditions=conditions, wall_time=0.0)


def test_finished_cells_are_not_measured_again_and_missing_data_are_tried_again(root, script):
    claim, folder = claims.find("table-9.1", root)
    kept = store(folder / "records", claim.name, "small")
    shares = []
    found = run(claim, "small", kept, watch=lambda name, share: shares.append(share))
    assert script.CALLS == ["one", "two", "gone"]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert found["gone"].common["conditions"]["reason"] == "gone: no source."
    first = kept.path.read_text()
    run(claim, "small", kept, only="[ot]*")
    assert script.CALLS == ["one", "two", "gone"]
    assert kept.path.read_text() == first
    run(claim, "small", kept)
    assert script.CALLS[3:] == ["gone"]
    run(claim, "small", kept, only="one", again=True)
    assert script.CALLS[4:] == ["one"]


def test_other_options_or_another_seed_are_measured_anew(root, script):
    claim, folder = claims.find("table-9.1", root)
    kept = store(folder / "records", claim.name, "small")
    run(claim, "small", kept, only="one")
    run(claim, "small", kept, only="one", seed=7)
    changed = claim.model_copy(update={"scales": {"small": claim.scales["small"] | {"points": 5}}})
    run(changed, "small", kept, only="one", seed=7)
    assert script.CALLS == ["one"] * 3


def test_an_interrupted_run_keeps_what_was_finished(root, script):
    claim, folder = claims.find("table-9.1", root)
    broken = claim.model_copy(update={"scales": {"small": {"cells": ["one", "broken", "two"]}}})
    kept = store(folder / "records", claim.name, "small")
    with pytest.raises(RuntimeError, match="power cut"):
        run(broken, "small", kept)
    assert list(kept.read()) == ["one"]
    assert [path.name for path in kept.path.parent.iterdir()] == ["table-9.1.small.json"]


def test_names_are_suggested_and_a_pattern_without_cells_is_an_error(root):
    with pytest.raises(UnknownName, match=r"did you mean 'table-9\.1'"):
        claims.find("table-9.2", root)
    claim, folder = claims.find("table-9.1", root)
    with pytest.raises(UnknownName, match="did you mean 'small'"):
        run(claim, "smal", store(folder, claim.name, "small"))
    with pytest.raises(InvalidInput, match="only must match a cell"):
        run(claim, "small", store(folder, claim.name, "small"), only="three")


def test_a_damaged_file_of_records_and_a_misnamed_claim_are_said(root):
    claim, folder = claims.find("table-9.1", root)
    kept = store(folder, claim.name, "small")
    kept.path.write_text("{")
    with pytest.raises(DataError, match="remove it"):
        kept.read()
    path = folder / "claims" / "table-9.3.toml"
    path.write_text(FAKE)
    with pytest.raises(DataError, match=r"must be called table-9\.1\.toml"):
        claims.read(path)


def test_records_survive_the_file(tmp_path):
    rows = [Measured(name="x@0.5", value=0.25, interval=(0.2, 0.3), unit="s", conditions={"points": 3})]
    packed = cell(rows, conditions={"scale": "small"}, seed=1, wall_time=2.0)
    kept = store(tmp_path, "table-9.1", "small")
    kept.save("x", packed.mark, packed)
    (read,) = kept.read()["x"].records()
    assert (read.name, read.value, read.interval, read.unit, read.seed) == ("x@0.5", 0.25, (0.2, 0.3), "s", 1)
    assert read.conditions == {"scale": "small", "points": 3}
    assert {"numpy", "trustworthy"} <= set(read.versions)


def test_the_papers_scale_is_shown_before_the_small_one(tmp_path):
    for scale, value in (("small", 1.0), ("paper", 2.0)):
        packed = cell([Measured(name="x", value=value)], conditions={}, seed=1, wall_time=0.0)
        store(tmp_path, "table-9.1", scale).save("x", packed.mark, packed)
    missing = cell([], conditions={"reason": "no data"}, seed=1, wall_time=0.0)
    store(tmp_path, "table-9.1", "paper").save("y", missing.mark, missing)
    store(tmp_path, "table-9.1", "small").save("y", packed.mark, packed)
    found = best(tmp_path, "table-9.1")
    assert [found[name][0] for name in "xy"] == ["paper", "small"]


@pytest.mark.parametrize(
    ("rule", "printed", "measured", "interval", "verdict"),
    [
        (Rule(kind="relative", tolerance=0.1), 1.0, 1.1004, None, True),
        (Rule(kind="relative", tolerance=0.1), 1.0, 1.101, None, False),
        # standard error 1, two samples of one size: 2.576 sqrt(2) = 3.643
        (Rule(kind="mean", points=100), 10.0, 13.6, (13.6 - 1.96, 13.6 + 1.96), True),
        (Rule(kind="mean", points=100), 10.0, 13.7, (13.7 - 1.96, 13.7 + 1.96), False),
        # standard error 1 of 100 splits, one more split: 2.576 sqrt(101) = 25.888
        (Rule(kind="splits"), 10.0, 35.8, (35.8 - 1.96, 35.8 + 1.96), True),
        (Rule(kind="splits"), 10.0, 36.0, (36.0 - 1.96, 36.0 + 1.96), False),
        # p about 0.5: 2.576 sqrt(.25 * 2 / 100) = 0.182
        (Rule(kind="binomial", points=100), 0.41, 0.59, None, True),
        (Rule(kind="binomial", points=100), 0.40, 0.60, None, False),
        (Rule(kind="binomial", points=100), 1.0, 1.0, None, True),
        (Rule(kind="at-most"), 1.0, 0.1, None, True),
        (Rule(kind="at-most"), 1.0, 1.1, None, False),
        (Rule(kind="ordering"), 1.0, 1.0, None, False),
    ],
)
def test_rules(rule, printed, measured, interval, verdict):
    assert agrees(rule, printed, record("x", measured, interval, points=100)) is verdict


@pytest.mark.parametrize(
    ("a", "b", "verdicts"),
    [
        (1.0, 2.0, ["match", "trend", "not run", "match"]),
        (2.0, 2.9, ["trend", "match", "not run", "match"]),
        (2.0, 1.0, ["off", "off", "not run", "off"]),
    ],
)
def test_a_trend_is_a_wrong_number_in_the_right_order(root, a, b, verdicts):
    claim, _ = claims.find("table-9.1", root)
    measured = {"one.a": record("one.a", a), "one.b": record("one.b", b)}
    assert [row.verdict for row in judge(claim, measured)] == verdicts


def test_curves_are_named_by_their_place_and_ordered_place_by_place():
    claim = Claim(
        name="table-9.2",
        title="",
        shows="",
        script="",
        axis={"d": [0.0, 0.5]},
        values={"d": {"low": [0.1, 0.2], "high": [0.2, 0.3]}},
        orderings=[["*.low", "*.high"]],
        scales={},
    )
    assert claim.printed() == {"d.low@0": 0.1, "d.low@0.5": 0.2, "d.high@0": 0.2, "d.high@0.5": 0.3}
    values = {"d.low@0": 0.0, "d.high@0": 0.5, "d.low@0.5": 0.9, "d.high@0.5": 0.5}
    found = judge(claim, {name: record(name, value) for name, value in values.items()})
    assert [row.verdict for row in found] == ["trend", "off", "trend", "off"]
    claim = claim.model_copy(update={"orderings": [["*.low@0", "*.high@0"], ["*.high@0.5", "*.low@0.5"]]})
    found = judge(claim, {name: record(name, value) for name, value in values.items()})
    assert [row.verdict for row in found] == ["trend"] * 4


def test_a_sentence_is_judged_where_it_was_measured():
    values = {f"{name}@{place}": value for place in range(4) for name, value in (("s", place), ("l", 2))}
    comparison = Comparison(text="", smaller="s", larger="l")
    assert compare(comparison, values) == ("trend", 3, 4)
    assert compare(comparison.model_copy(update={"between": (0.0, 2.0)}), values) == ("match", 3, 3)
    assert compare(comparison.model_copy(update={"factor": 10.0}), values) == ("off", 1, 4)
    assert compare(comparison, {}) == ("not run", 0, 0)
    places = Comparison(text="", smaller="s@1", larger="l@3")
    assert compare(places, values) == ("match", 1, 1)
    assert compare(places.model_copy(update={"smaller": "s@3"}), values) == ("off", 0, 1)
    assert compare(places.model_copy(update={"larger": "l@4"}), values) == ("not run", 0, 0)


def test_intervals_over_splits_are_students():
    found = intervals.splits("x", np.array([1.0, 2.0, 3.0]), seeds=[1, 2, 3])
    # mean 2, standard error 1 / sqrt(3), the 97.5 % point with 2 degrees of freedom is 4.302653
    assert found.value == 2.0
    assert found.interval == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), abs=1e-6)
    assert found.conditions == {"points": 3, "each": [1.0, 2.0, 3.0], "seeds": [1, 2, 3]}
    assert intervals.splits("x", np.array([1.0])).interval is None


def test_a_table_of_places_leaves_out_those_that_nothing_is_printed_for():
    claim = Claim.model_validate(
        {
            "name": "figure-9.1",
            "title": "",
            "shows": "",
            "script": "",
            "axis": {"d": [0.0, 0.5, 1.0]},
            "values": {"d.a@0.5": 1.0},
            "scales": {},
        }
    )
    assert "| a | 1.000 / – |" in _curves(claim, judge(claim, {}))


def test_curves_of_numbers_of_labels_are_in_their_order():
    assert _by_size(["d.n1000", "d.n50", "d.n50-bound"]) == ["d.n50", "d.n50-bound", "d.n1000"]
    assert _by_size(["d.n50", "d.attack", "d.n5"]) == ["d.n50", "d.attack", "d.n5"]


def test_what_averages_draws_is_dashed_in_the_colour_of_what_does_not():
    claim = Claim(name="figure-9.1", title="", shows="", script="", axis_label="c", log_axis=True, scales={})
    names = ("d.rse@0", "d.rse@0.01", "d.rse-eot@0", "d.rse-eot@0.01", "d.none@0", "d.none@0.01")
    figure = plots._curves(claim, {name: record(name, 0.5) for name in names})
    (axis,) = figure.axes
    drawn = [(line.get_color(), line.get_linestyle()) for line in axis.lines]
    colours = dict.fromkeys(colour for colour, _ in drawn)
    assert len(colours) == 2
    assert sorted(style for _, style in drawn) == ["-", "-", "--"]
    assert axis.get_xscale() == "symlog"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "rse",
        "none",
        "attacked by the mean of draws",
    ]


def test_the_page_says_verdicts_reasons_and_notes_and_is_the_same_each_time(root, tmp_path):
    claim, folder = claims.find("table-9.1", root)
    run(claim, "small", store(folder / "records", claim.name, "small"))
    pages = []
    for name in ("first", "second"):
        page = render(tmp_path / name, root)
        pages.append([page.read_bytes(), *(path.read_bytes() for path in sorted(page.parent.rglob("*.svg")))])
    assert pages[0] == pages[1]
    assert len(pages[0]) == 2
    text = pages[0][0].decode()
    assert "**4 claims: 2 match, 1 trend, 0 off, 1 not run.**" in text
    assert "| one.b | 3 | 2.000 |  | trend |" in text
    assert "Not run, gone: gone: no source." in text
    assert "It is a fake." in text
    assert json.loads(store(folder / "records", claim.name, "small").path.read_text())
