"""Which numbers of a trial stand in its table: the same in the terminal and on the page."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from trustworthy.report import formatting
from trustworthy.report.benchmark.meaning import CLEAN, METRICS, Metric
from trustworthy.report.benchmark.record import BenchmarkRecord


@dataclass(frozen=True)
class Column:
    """A score on one test, or its mean over several."""

    title: str
    metric: str
    tests: Sequence[str]

    @property
    def about(self) -> Metric:
        return METRICS[self.metric]

    @property
    def below(self) -> str:
        """What stands below the title: the score, where the title is that of the test."""
        return "" if self.title == self.about.title else self.about.title

    def written(self, value: float) -> str:
        """A value as it is read."""
        return formatting.percent(value) if self.about.percent else formatting.score(value)


@dataclass(frozen=True)
class Cell:
    """Mean over the seeds, and the deviation from seed to seed; 0 for one seed."""

    mean: float
    deviation: float


def columns(record: BenchmarkRecord, trial: str) -> list[Column]:
    """What is told of a trial first, by what its tests measure."""
    tests = list(record.trials[trial].tests)

    def those(metric: str) -> list[str]:
        return [test for test in tests if record.values(trial, test, metric)]

    if those("accuracy"):
        return _of_classes(those("accuracy"), those("auroc_foreign"))
    foreign = those("partial_auroc")
    if not foreign and len(tests) > 1:
        return [Column(test, "pearson", [test]) for test in tests]
    shown = [Column(test, "partial_auroc", [test]) for test in foreign]
    clean = [test for test in tests if test not in foreign]
    own = ("pearson", "error_uncertainty", "sparsification", "coverage")
    return shown + [
        Column(METRICS[name].title, name, clean) for name in own if clean and set(clean) <= set(those(name))
    ]


def _of_classes(known: Sequence[str], foreign: Sequence[str]) -> list[Column]:
    own = ("accuracy", "nll", "ece", "auroc_wrong")
    corrupted = [test for test in known if test != CLEAN]
    under = [Column("corrupted", name, corrupted) for name in ("accuracy", "ece")]
    return [
        *(Column(METRICS[name].title, name, [CLEAN]) for name in own),
        *(under if corrupted else []),
        *(Column(test, "auroc_foreign", [test]) for test in foreign),
    ]


def cells(record: BenchmarkRecord, trial: str, column: Column) -> dict[str, Cell]:
    """Of each method that has the score, in the order of the methods."""
    by_test = [record.values(trial, test, column.metric) for test in column.tests]
    found = {}
    for method in record.methods:
        seeds = [values[method] for values in by_test if method in values]
        if seeds:
            each = [statistics.fmean(values) for values in zip(*seeds, strict=False)]
            found[method] = Cell(statistics.fmean(each), statistics.stdev(each) if len(each) > 1 else 0.0)
    return found


def ranked(column: Column, found: dict[str, Cell]) -> list[str]:
    """Methods from the best down; none where no way is better. Those without a choice (all equal) are not ranked."""
    if column.about.higher_is_better is None or len({cell.mean for cell in found.values()}) < 2:
        return []
    return sorted(found, key=lambda method: found[method].mean, reverse=column.about.higher_is_better)


def costs(record: BenchmarkRecord) -> dict[str, float]:
    """Of each method the gradient steps of its training over those of one network, as a mean over all runs."""
    found = {
        method: [run.passes for run in record.runs if run.method == method and not run.failed]
        for method in record.methods
    }
    return {method: statistics.fmean(passes) for method, passes in found.items() if passes}
