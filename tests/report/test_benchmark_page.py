"""The page of a benchmark, its table in the terminal, and its files, from invented numbers."""

import csv
import io
import re
import statistics

import pytest
from rich.console import Console

from report import synthetic_benchmark
from trustworthy.core.errors import DataError
from trustworthy.report.benchmark import figures, saved
from trustworthy.report.benchmark.columns import Cell, Column, cells, columns, costs, ranked
from trustworthy.report.benchmark.words import answer, tables

FEW = {name: synthetic_benchmark.METHODS[name] for name in ("single", "naive", "mc-dropout")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("benchmark")
    synthetic_benchmark.write(place, FEW)
    return place


@pytest.fixture(scope="module")
def record():
    return synthetic_benchmark.benchmark(FEW)


def test_the_page_is_one_file_with_a_figure_for_each_file_and_a_map_for_each_method(folder):
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)="(?!data:|#)', html)
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    figures = sorted(file.name for file in folder.glob("*.svg"))
    assert figures == [
        "digits-accuracy.svg", "digits-ece.svg", "local-clean-sparsification.svg", "local-impurities-roc.svg",
        "local-second-cell-type-roc.svg", "shift-a-pearson.svg",
    ]  # fmt: skip
    assert html.count('class="plot"') == len(figures)
    assert html.count('at each pixel"') == 2 * len(FEW)  # of two fields
    assert "mc-dropout failed to train on digits." in html
    assert "<dt>Seeds</dt><dd>2</dd>" in html
    assert "mc-dropout" in (folder / "digits-accuracy.svg").read_text()  # alone, a figure has its legend within


def test_what_was_saved_is_read_and_what_is_damaged_is_told(folder, record, tmp_path):
    assert saved.SAVED.read(folder)[0] == record
    with pytest.raises(DataError, match="holds no finished benchmark"):
        saved.SAVED.read(tmp_path)
    (tmp_path / saved.SAVED.file).write_text("{}")
    with pytest.raises(DataError, match="damaged benchmark"):
        saved.SAVED.read(tmp_path)


def test_every_score_of_every_run_is_a_line(folder, record):
    with (folder / saved.ROWS).open() as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == sum(len(scores.values) for run in record.runs for scores in run.tests.values())
    run = record.runs[2]
    (line,) = (
        line for line in lines
        if (line["trial"], line["test"], line["method"], line["seed"], line["score"])
        == (run.trial, "impurities", run.method, str(run.seed), "auroc")
    )  # fmt: skip
    assert float(line["value"]) == run.tests["impurities"].values["auroc"]
    assert (line["weights"], line["higher_is_better"]) == (run.weights, "True")


def test_columns_say_first_what_a_trial_asks(record):
    titles = {trial: [(column.title, column.metric) for column in columns(record, trial)] for trial in record.trials}
    assert titles["local"][:3] == [
        ("impurities", "partial_auroc"), ("second cell type", "partial_auroc"), ("Pearson", "pearson")
    ]  # fmt: skip
    assert titles["shift-a"] == [(density, "pearson") for density in synthetic_benchmark.DENSITIES]
    assert titles["digits"][-2:] == [("corrupted", "ece"), ("noise", "auroc_foreign")]


def test_a_cell_is_the_mean_over_tests_and_then_over_seeds(record):
    (column,) = (each for each in columns(record, "digits") if (each.title, each.metric) == ("corrupted", "ece"))
    values = [
        [run.tests[test].values["ece"] for test in column.tests]
        for run in record.runs if (run.trial, run.method) == ("digits", "naive")
    ]  # fmt: skip
    each = [statistics.fmean(seed) for seed in values]
    assert cells(record, "digits", column)["naive"] == Cell(statistics.fmean(each), statistics.stdev(each))
    assert cells(record, "digits", column)["mc-dropout"].deviation == 0.0  # one of its two trainings failed


def test_a_run_without_a_score_on_one_of_the_tests_is_not_in_their_mean(record):
    (column,) = (each for each in columns(record, "digits") if (each.title, each.metric) == ("corrupted", "ece"))
    run = next(run for run in record.runs if (run.trial, run.method, run.seed) == ("digits", "naive", 0))
    test = column.tests[0]
    without = run.tests[test].model_copy(update={"values": run.tests[test].values | {"ece": None}})
    partial = run.model_copy(update={"tests": run.tests | {test: without}})
    seen = record.model_copy(update={"runs": [partial if each is run else each for each in record.runs]})
    (other,) = (each for each in record.runs if (each.trial, each.method, each.seed) == ("digits", "naive", 1))
    expected = statistics.fmean(other.tests[test].values["ece"] for test in column.tests)
    assert cells(seen, "digits", column)["naive"] == Cell(expected, 0.0)


def test_a_figure_is_a_file_whatever_its_test_is_called():
    assert figures._file("mine", "20x / 40x", "roc") == "mine-20x---40x-roc"


def test_methods_are_ranked_by_the_way_that_is_better():
    found = {"a": Cell(1.0, 0.0), "b": Cell(2.0, 0.0)}
    assert ranked(Column("", "auroc", []), found) == ["b", "a"]
    assert ranked(Column("", "ece", []), found) == ["a", "b"]
    assert ranked(Column("", "coverage", []), found) == []
    assert ranked(Column("", "auroc", []), dict.fromkeys("ab", Cell(1.0, 0.0))) == []


def test_the_terminal_says_what_the_page_says(folder, record):
    stream, html = io.StringIO(), (folder / "report.html").read_text(encoding="utf-8")
    for table in tables(record):
        Console(file=stream, width=80).print(table)
    assert "…" not in stream.getvalue()
    assert [table.title.plain for table in tables(record)] == [
        f"synthetic cells: {trial.title[0].lower()}{trial.title[1:]}" for trial in record.trials.values()
    ]
    lines = [line.split() for line in stream.getvalue().splitlines() if line.strip()]
    naive = next(line for line in lines if line[0] == "naive")
    assert naive[-1] == "5×"
    assert costs(record)["naive"] == 5.0
    for value in naive[1:-1]:
        assert f"<td>{value}" in html or f"<b>{value}</b>" in html
    for said in answer(record):
        assert said in html


def test_an_order_under_one_seed_is_called_so(record):
    warned = "Trained under one seed: under another the order may be another; more seeds tell."
    assert warned not in answer(record)
    assert warned in answer(record.model_copy(update={"seeds": [0]}))
