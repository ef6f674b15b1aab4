"""Which numbers of a trial stand in its table: the same in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

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
    """Of each method, in their order, over its runs that have the score on all tests."""
    found: dict[str, list[float]] = {}
    for run in record.runs:
        values = [run.tests[test].values.get(column.metric) for test in column.tests if test in run.tests]
        told = [value for value in values if value is not None]
        if run.trial == trial and len(told) == len(column.tests):
            found.setdefault(run.method, []).append(fmean(told))
    seeds = {method: found[method] for method in record.methods if method in found}
    return {method: Cell(fmean(each), stdev(each) if len(each) > 1 else 0.0) for method, each in seeds.items()}


def ranked(column: Column, found: dict[str, Cell]) -> list[str]:
    """Methods from the best down; none where no way is better. Those without a choice (all equal) are not ranked."""
    if column.about.higher_is_better is None or len({cell.mean for cell in found.values()}) < 2:
        return []
    return sorted(found, key=lambda method: found[method].mean, reverse=column.about.higher_is_better)


def costs(record: BenchmarkRecord) -> dict[str, float]:
    """Of each method the gradient steps of its training over those of one network, as a mean over all runs."""
    passes: dict[str, list[float]] = {}
    for run in record.runs:
        if not run.failed:
            passes.setdefault(run.method, []).append(run.passes)
    return {method: fmean(each) for method, each in passes.items()}
