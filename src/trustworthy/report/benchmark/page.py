"""From a saved benchmark to one self-contained page, and its figures as files. Nothing is measured here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from statistics import fmean

from markupsafe import Markup

from trustworthy.core.study import Arrays, writing
from trustworthy.report import formatting, plots
from trustworthy.report.benchmark.columns import Cell, Column, cells, columns, costs, ranked
from trustworthy.report.benchmark.figures import Figure, Looks, figures
from trustworthy.report.benchmark.meaning import METRICS
from trustworthy.report.benchmark.record import BenchmarkRecord
from trustworthy.report.benchmark.saved import SAVED
from trustworthy.report.benchmark.words import answer
from trustworthy.report.markup import element, image, model
from trustworthy.report.panel import Panel, details, legend, row, table
from trustworthy.report.plots.theme import Style
from trustworthy.report.render import environment

REPORT = "report.html"
METHODS = "grid methods"  # look of tables whose rows are methods
_SCORES = "Means over the seeds with the deviation from seed to seed; the best is bold, the next ones have (2) and (3)."
_MAPS = (
    "Bright is uncertain: the deviation of the members at each pixel, each map up to its own largest values. The line "
    "is what is foreign, which no method was told. People would look where it is bright."
)
_WAY = {True: "higher is better", False: "lower is better", None: "neither way is better"}


def render(folder: str | os.PathLike[str]) -> Path:
    """Write `report.html`, and each figure as an SVG file, beside the benchmark that they show.

    Raises
    ------
    DataError : the benchmark is missing or damaged, or the page cannot be written.
    """
    record, arrays = SAVED.read(folder)
    looks = {method: Style(place) for place, method in enumerate(record.methods, 1)}
    drawn = {trial: figures(record, trial, looks) for trial in record.trials}
    target = Path(folder) / REPORT
    page = environment().get_template("benchmark.html.j2").render(
        record=record, answer=answer(record), costs=_costs(record, looks), meaning=_meaning(record), runs=_runs(record),
        sections=[
            {"id": f"trial-{name}", "title": trial.title, "question": trial.says,
             "cards": [_panels(record, arrays, name, drawn[name], looks)]} for name, trial in record.trials.items()
        ],
    )  # fmt: skip
    with writing(target) as stream:
        stream.write(page)
    for figure in chain.from_iterable(drawn.values()):
        with writing(Path(folder) / f"{figure.file}.svg") as stream:
            stream.write(plots.standalone(figure.draw(figure.file, True)))
    return target


def _panels(record: BenchmarkRecord, arrays: Arrays, name: str, drawn: Sequence[Figure], looks: Looks) -> list[Panel]:
    """What the page shows of a trial: its scores with their figures, and the maps of each test."""
    shown = [
        element("figure", element("h4", each.title), each.draw(each.file, False), element("figcaption", each.says))
        for each in drawn
    ]
    lines = [element("div", *shown, look="columns"), legend("Methods", list(looks.items()))] if shown else []
    scores = Panel("Scores", _SCORES, [_scores(record, name, looks), _every_score(record, name), *lines])
    places = {test: f"{name}/{test}" for test in record.trials[name].shown if f"{name}/{test}/source" in arrays}
    return [scores] + [
        Panel(f"Where it is uncertain: {test}", _MAPS, [_field(arrays, place, number, looks)
              for number in range(len(arrays[f"{place}/source"]))])
        for test, place in places.items()
    ]  # fmt: skip


def _scores(record: BenchmarkRecord, name: str, looks: Looks) -> Markup:
    """Methods by the scores that are told first."""
    chosen = columns(record, name)
    shown = [_column(record, name, column) for column in chosen]
    rows = [row(_head(method, look), cells) for (method, look), *cells in zip(looks.items(), *shown, strict=True)]
    heads = [element("th", column.title, *_below(column.below), scope="col") for column in chosen]
    label = f"{record.trials[name].title}: scores"
    return table(label, ["", *heads], rows, label, METHODS)


def _every_score(record: BenchmarkRecord, name: str) -> Markup:
    """All scores by methods, folded away: there are many."""
    rows = [
        row(f"{test}: {METRICS[metric].title}", _column(record, name, Column(test, metric, [test])))
        for metric in record.metrics for test in record.trials[name].tests if record.values(name, test, metric)
    ]  # fmt: skip
    label = "All scores of all tests"
    return details(label, table(label, ["score", *record.methods], rows, label=label))


def _head(method: str, look: Style) -> Markup:
    return element("th", model(method, look), scope="row")


def _column(record: BenchmarkRecord, name: str, column: Column) -> list[str]:
    """A cell for each method."""
    found = cells(record, name, column)
    places = {method: place for place, method in enumerate(ranked(column, found)[:3], 1)}
    return [
        _cell(column, found[method], places.get(method, 0)) if method in found else formatting.NOTHING
        for method in record.methods
    ]


def _cell(column: Column, cell: Cell, place: int) -> Markup:
    value = column.written(cell.mean)
    spread = formatting.percent(cell.deviation) if column.about.percent else f"{cell.deviation:.3f}"
    mark = [element("span", f" ({place})", look="interval")] if place > 1 else []
    beside = _below(f"± {spread}") if cell.deviation else []
    return element("td", element("b", value) if place == 1 else value, *mark, *beside)


def _below(text: str) -> list[Markup]:
    """Small, in a line of its own."""
    return [Markup("<br>"), element("span", text, look="interval")] if text else []


def _field(arrays: Arrays, place: str, number: int, looks: Looks) -> Markup:
    """One field: what was seen and measured, what is foreign, and where each method is uncertain."""
    given = {
        key: arrays[f"{place}/{key}"][number] for key in ("source", "target", "mask") if f"{place}/{key}" in arrays
    }
    mask = given.get("mask")
    shown = [
        _picture(plots.field_png(given["source"], mask), "source", "source, what is foreign outlined"),
        _picture(plots.field_png(given["target"]), "target", "target"),
    ]
    for method, look in looks.items():
        uncertainty = arrays.get(f"{place}/uncertainty/{method}")
        if uncertainty is not None and uncertainty[number].any():
            png = plots.uncertainty_png(uncertainty[number], mask)
            shown.append(_picture(png, model(method, look), f"uncertainty of {method} at each pixel"))
    return element("div", *shown, look="maps")


def _picture(source: str, caption: str, shows: str) -> Markup:
    return element("figure", image(source, shows), element("figcaption", caption))


def _costs(record: BenchmarkRecord, looks: Looks) -> Markup:
    """What each method costs: training, members, prediction."""
    cost, rows = costs(record), []
    for method, look in looks.items():
        told = ["failed", "", "", ""]
        if runs := [run for run in record.runs if run.method == method and not run.failed]:
            seconds, asked = (
                fmean(getattr(run, f"{what}_seconds") for run in runs) for what in ("training", "prediction")
            )
            members = f"{runs[0].members}{'' if runs[0].fixed else ', drawn anew'}"
            milliseconds = f"{formatting.number(1000 * asked)} ms"
            told = [f"{cost[method]:.2f}×", formatting.duration(seconds), members, milliseconds]
        rows.append(row(_head(method, look), told))
    head = ["", "training, in trainings of one network", "time of a training", "members", "prediction"]
    return table("Costs", head, rows, "Costs", METHODS)


def _meaning(record: BenchmarkRecord) -> Markup:
    said = [
        element("dt", about["title"]) + element("dd", f"{about['says']} ({_WAY[about['higher_is_better']]})")
        for about in record.metrics.values()
    ]
    return element("dl", *said, look="settings")


def _runs(record: BenchmarkRecord) -> Markup:
    rows = [
        row(f"{run.trial}, {run.method}, seed {run.seed}", [
            element("td", run.failed or run.settings, look="text"), element("td", run.weights[:12], look="text"),
            run.versions.get("torch", ""),
        ])
        for run in record.runs
    ]  # fmt: skip
    return table("Runs", ["run", "settings", "weights", "torch"], rows, label="Runs")
