"""A benchmark in its folder: `benchmark.json`, `results.csv`, `arrays.npz`, the figures, and the page."""

from __future__ import annotations

import csv
from pathlib import Path

from trustworthy.core.study import Arrays, writing
from trustworthy.report.benchmark.record import BenchmarkRecord
from trustworthy.report.folder import Saved

SAVED, ROWS = Saved("benchmark.json", BenchmarkRecord, "benchmark"), "results.csv"
COLUMNS = ("trial", "test", "method", "seed", "score", "value", "higher_is_better", "weights")


def write(folder: Path, record: BenchmarkRecord, arrays: Arrays) -> None:
    """Save a benchmark, with a line of the table for each score of each run, and draw its page and figures."""
    from trustworthy.report.benchmark.page import render

    SAVED.write(folder, record, arrays)
    with writing(folder / ROWS) as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(
            (run.trial, test, run.method, run.seed, name, "" if value is None else repr(value),
             record.metrics[name]["higher_is_better"], run.weights)
            for run in record.runs for test, scores in run.tests.items() for name, value in scores.values.items()
        )  # fmt: skip
    render(folder)
