"""How few wrong labels among the training data ruin a learner: a graph learner, not the audited models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
from markupsafe import Markup
from pydantic import Field

from trustworthy.core.errors import InvalidInput
from trustworthy.report import formatting, panel, plots
from trustworthy.report.finding import ALL_MODELS
from trustworthy.report.kind import Judged, Kind, Measured, NotApplicable
from trustworthy.report.markup import bounded, dashed, element
from trustworthy.report.panel import Item, Panel, Shown
from trustworthy.report.poisoning.record import Poisoning, mean_curve
from trustworthy.report.settings import Count, Rows, Section, in_profiles

if TYPE_CHECKING:
    from trustworthy.report.case import Case
    from trustworthy.report.poisoning.rows import LabelledRows


class Settings(Section):
    """Up to `flips` wrong labels among the `labelled` that a graph learner is told of `rows` rows of two classes."""

    rows: Rows
    labelled: Annotated[int, Field(ge=2)]
    flips: Count


def drawn_rows(cases: Sequence[Case], settings: Settings) -> LabelledRows | str:
    """Rows of the two classes that the models confuse most, or why there are none."""
    from trustworthy.report.poisoning.rows import draw as draw_rows
    from trustworthy.report.poisoning.rows import training_part

    case = cases[0]
    assert case.dataset is not None
    try:
        pair = most_confused(cases, training_part(case.dataset)[2])
        return draw_rows(case.dataset, classes=pair, rows=settings.rows or None, seed=case.seed)
    except InvalidInput as error:
        return str(error)


def depends(cases: Sequence[Case], settings: Settings) -> str:
    """Hash of the rows drawn: all that the models have a say in."""
    rows = drawn_rows(cases, settings)
    return rows if isinstance(rows, str) else rows.fingerprint


def measure(cases: Sequence[Case], settings: Settings) -> Measured:
    """Error of label propagation against flipped labels, attacked and at random, and its certified bound."""
    from trustworthy.report.poisoning.split import Protocol, Split
    from trustworthy.report.poisoning.words import answer

    case, labelled, rows = cases[0], settings.labelled, drawn_rows(cases, settings)
    if isinstance(rows, str):
        raise NotApplicable(rows)
    if len(rows.y) < 2 * labelled:
        raise NotApplicable(
            f"the classes {rows.classes[0]} and {rows.classes[1]} have {len(rows.y)} {rows.part} rows, of which "
            f"{labelled} should be labelled and at least as many not."
        )
    split = Split(rows, Protocol(labelled=labelled, seed=case.seed))
    budgets = range(min(settings.flips, labelled) + 1)
    points = []
    try:
        for point in split.points(budgets):
            points.append(point)
            case.advance(len(points) / len(budgets))
    except InvalidInput as error:  # a graph that falls apart, or does not fit into memory
        raise NotApplicable(str(error)) from error
    measured = split.record().model_copy(update={"points": points})
    curve = mean_curve([measured], classifies=True, labelled=labelled)
    return Measured([case.finding(
        "robustness.poisoning", curve.error[-1], model=ALL_MODELS, series=curve.model_dump(),
        no_interval="the rows of one graph are not independent",
        statement=f"{rows.classes[0]} or {rows.classes[1]}: {answer(curve)} This judges the data and a graph learner "
        "trained on them, not the audited models.",
        conditions={
            "n": len(rows.y), "part": rows.part, "classes": list(rows.classes), "labelled": labelled,
            "flips": budgets[-1], "learner": "LabelPropagation", "gamma": measured.gamma,
            "attack": split.protocol.method, "flipped": points[-1].flipped,
        },
    )])  # fmt: skip


def most_confused(cases: Sequence[Case], labels: np.ndarray) -> tuple[int, int] | None:
    """The two classes of `labels` that all models together take for each other most often; None if they never do."""
    present = np.unique(labels)
    mistakes = np.zeros((len(present), len(present)), dtype=np.int64)
    for case in cases:
        known = np.isin(case.labels, present) & np.isin(case.predictions, present)
        pair = np.searchsorted(present, [case.labels[known], case.predictions[known]])
        np.add.at(mistakes, (pair.min(axis=0), pair.max(axis=0)), 1)
    mistakes = np.triu(mistakes, k=1)
    if not mistakes.any():
        return None
    first, second = np.unravel_index(int(mistakes.argmax()), mistakes.shape)
    return int(present[first]), int(present[second])


def draw(shown: Shown) -> list[Panel]:
    """The curve, its sentence and its numbers."""
    lead = (
        "If an adversary could change a few labels before training, how much would a learner suffer? Judged here are "
        "the data, not the audited models: label propagation, which spreads a few known labels over a graph of similar "
        "rows, learns two classes from them, and the error is that of the rows whose label it is not told. Bold: the "
        "labels that an attack chose to flip. Thin: the same number at random, or the most central ones. Shaded: what "
        "no attack with so many flips can reach, which is proved. A blind guess always answers with the commonest "
        "known class."
    )
    return [
        Panel(
            group.title, lead, [element("div", *(box for item in group.items for box in _curve(item)), look="columns")]
        )
        for group in shown.groups
    ]


def _curve(item: Item) -> list[Markup]:
    s, percent = item.series, formatting.percent
    thin = [(attack, dashed(i)) for i, attack in enumerate(s.baselines)]
    proved = [(plots.BOUND, bounded())] if s.bound else []
    legend = panel.legend("Lines of the figure", [(plots.ATTACKED, item.look)], [*thin, *proved], plain=True)
    plot = plots.poisoning_curve(item.id, item.look, s)
    errors = {"attacked": s.error, **s.baselines, **({"bound": s.bound} if s.bound else {})}
    columns = {
        "flips": map(formatting.number, s.budgets),
        **{name: map(percent, each) for name, each in errors.items()},
    }
    caption, label = "Error of the graph learner by flipped labels", f"{item.finding.title} in numbers"
    details = panel.details("The numbers of this figure", panel.listing(caption, columns, label))
    return [element("figure", plot, legend), element("div", item.statement(), details)]


KIND = Kind(
    name="poisoning", step="robustness.poisoning", property="robustness", about="data", series=Poisoning, cost=1,
    depends=depends, measure=measure, draw=draw,
    findings={"robustness.poisoning": Judged("Poisoned training labels", share=True)},
    settings=in_profiles(Settings, rows=(200, 400, 2000), labelled=(30, 50, 100), flips=(5, 10, 20)),
)  # fmt: skip
