"""Which figures a trial has: by what its tests measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from trustworthy.report import plots
from trustworthy.report.benchmark.meaning import CLEAN, MAX_FPR, METRICS
from trustworthy.report.benchmark.record import BenchmarkRecord, Curve
from trustworthy.report.plots.theme import Style

Looks = Mapping[str, Style]
"""Each method by its look in all figures."""


@dataclass(frozen=True)
class Figure:
    """A figure. file : its name on disk. says : how to read it.

    draw : called with the prefix of all ids, and whether the legend is within the figure.
    """

    file: str
    title: str
    says: str
    draw: Callable[[str, bool], Markup]


def figures(record: BenchmarkRecord, trial: str, looks: Looks) -> list[Figure]:
    """The figures of a trial, in the order of the page."""
    tests = list(record.trials[trial].tests)
    found = [_roc(record, trial, test, looks) for test in tests if record.curve(trial, test, "roc")]
    if not found and len(tests) > 1 and record.values(trial, tests[0], "pearson"):
        return [_pearson(record, trial, tests, looks)]
    sure = [test for test in tests if record.curve(trial, test, "sparsification")]
    return found + [_sparsification(record, trial, test, looks) for test in sure[:1]] + _severity(record, trial, looks)


def _roc(record: BenchmarkRecord, trial: str, test: str, looks: Looks) -> Figure:
    curves = _drawn(record.curve(trial, test, "roc"), looks)
    return Figure(
        _file(trial, test, "roc"), f"Foreign pixels found: {test}", "ROC curve, mean over the seeds. Dashed: chance.",
        lambda id, inside: plots.roc(id, curves, MAX_FPR, legend=inside),
    )  # fmt: skip


def _sparsification(record: BenchmarkRecord, trial: str, test: str, looks: Looks) -> Figure:
    curves = _drawn(record.curve(trial, test, "sparsification"), looks)
    oracles = list(record.curve(trial, test, "oracle").values())
    return Figure(
        _file(trial, test, "sparsification"), f"Right where it is certain: {test}",
        "Mean error once the least certain pixels are left out. Dashed: an oracle that knows the errors.",
        lambda id, inside: plots.sparsification(id, curves, oracles, legend=inside),
    )  # fmt: skip


def _pearson(record: BenchmarkRecord, trial: str, tests: Sequence[str], looks: Looks) -> Figure:
    means, spread = ([record.means(trial, test, name) for test in tests] for name in ("pearson", "pearson_deviation"))
    methods = [
        (method, look, [each[method] for each in means], [each[method] for each in spread])
        for method, look in looks.items() if all(method in each for each in means)
    ]  # fmt: skip
    return Figure(
        _file(trial, "pearson"), "Prediction and target", "Pearson correlation; bars are one deviation of the images.",
        lambda id, inside: plots.by_test(id, methods, tests, METRICS["pearson"].title, legend=inside),
    )  # fmt: skip


def _severity(record: BenchmarkRecord, trial: str, looks: Looks) -> list[Figure]:
    """Accuracy and calibration of classes against the severity of corruptions, which are tests such as "fog 3"."""
    steps = {CLEAN: [CLEAN]}
    for test in record.trials[trial].tests:
        severity = test.rpartition(" ")[2]
        if severity.isdecimal() and record.values(trial, test, "accuracy"):
            steps.setdefault(severity, []).append(test)
    return [_steps(record, trial, steps, metric, looks) for metric in ("accuracy", "ece")] if len(steps) > 1 else []


def _steps(
    record: BenchmarkRecord, trial: str, steps: Mapping[str, Sequence[str]], metric: str, looks: Looks
) -> Figure:
    means = [[record.means(trial, test, metric) for test in tests] for tests in steps.values()]
    title, methods = METRICS[metric].title, []
    for method, look in looks.items():
        if all(method in each for of_step in means for each in of_step):
            values = [[each[method] for each in of_step] for of_step in means]
            methods.append((method, look, [*map(np.mean, values)], [*map(np.std, values)]))
    return Figure(
        _file(trial, metric), f"{title} by severity", "Bars are one deviation over the corruptions of that severity.",
        lambda id, inside: plots.by_test(id, methods, list(steps), title, legend=inside),
    )  # fmt: skip


def _drawn(curves: Mapping[str, Curve], looks: Looks) -> list[tuple[str, Style, Curve]]:
    return [(method, look, curves[method]) for method, look in looks.items() if method in curves]


def _file(*words: str) -> str:
    return "-".join(words).replace(" ", "-").replace("/", "-")
