"""How far the members of an ensemble, or the draws of a posterior, disagree, and whether that finds errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from jaxtyping import Float, Int
from markupsafe import Markup
from pydantic import Field

from trustworthy.report import formatting
from trustworthy.report.finding import Finding, Number, Series
from trustworthy.report.kind import Judged, Kind, Measured, NotApplicable, Statistic
from trustworthy.report.panel import Item, Panel, Shown, row, table
from trustworthy.report.settings import Count, Section, in_profiles

if TYPE_CHECKING:
    from trustworthy.report.case import Case


class Settings(Section):
    """Lines of the table, at most."""

    lines: Count


class Disagreement(Series):
    """Right and wrong rows by how many members vote for another class than the ensemble.

    most : largest number of such members of each line, ascending; the next line begins above it.
    """

    aligned: ClassVar = ("most", "right", "wrong")

    members: Annotated[int, Field(ge=2)]
    most: Annotated[list[int], Field(min_length=1)]
    right: list[int]
    wrong: list[int]
    information_right: Number
    information_wrong: Number
    disagreeing: float


def measure(case: Case, settings: Settings) -> Measured:
    """Mutual information of right and wrong rows, and how many members disagree with the vote."""
    if case.subject.draws < 2:
        raise NotApplicable("the model is a single predictor: there are no members that could disagree.")
    _ = case.probabilities
    from trustworthy.metrics import auroc, detection

    predictive, correct = case.subject.predictive, case.correct
    information = predictive.mutual_information.numpy()
    against = (predictive.members.argmax(-1).numpy() != case.predictions).sum(0)  # (n,)
    told = len(set(correct.tolist())) > 1
    ranks = np.unique(information, return_inverse=True)[1]
    area = auroc(information, ~correct) if told else None
    of = {which: float(information[kept].mean()) if kept.any() else None
          for which, kept in (("right", correct), ("wrong", ~correct))}  # fmt: skip
    series = _by_number(against, correct, case.subject.draws, settings.lines) | {
        "members": case.subject.draws, "information_right": of["right"], "information_wrong": of["wrong"],
        "disagreeing": float(against.mean() / case.subject.draws),
    }  # fmt: skip
    finding = case.finding(
        "uncertainty.disagreement", area, series=series, statement=_told(series, area),
        interval=case.interval("disagreement", detection.roc_area, ranks, ~correct) if told else None,
        conditions={"positive": "wrong predictions, by a large mutual information"},
    )  # fmt: skip
    return Measured([finding], rows={"mutual_information": information})


def _by_number(against: Int[np.ndarray, " n"], correct: np.ndarray, members: int, lines: int) -> dict[str, list[int]]:
    """Rows with none against, and in equal steps those with more; all are where no member votes as the mean does."""
    most = max(members - 1, int(against.max()))
    ends = np.unique(np.linspace(0, most, min(lines, most + 1)).round().astype(int))
    line = np.searchsorted(ends, against)
    counts = {name: np.bincount(line[kept], minlength=len(ends)).tolist()
              for name, kept in (("right", correct), ("wrong", ~correct))}  # fmt: skip
    return {"most": ends.tolist(), **counts}


def _told(series: Mapping[str, Any], area: float | None) -> str:
    said = f"On average {series['disagreeing']:.1%} of {series['members']} members vote against the ensemble."
    if area is None:
        return f"{said} All rows are {'wrong' if series['information_right'] is None else 'right'}."
    return (
        f"{said} Their mutual information is {formatting.number(series['information_wrong'])} nats where the ensemble "
        f"is wrong and {formatting.number(series['information_right'])} where it is right, and ranks a wrong row above "
        f"a right one in {area:.1%} of the pairs."
    )


def _rows(finding: Finding, rows: Mapping[str, np.ndarray]) -> tuple[Statistic, tuple[np.ndarray, ...]]:
    """The area from the rows."""
    from trustworthy.metrics import detection

    def area(information: Float[np.ndarray, " n"], right: np.ndarray) -> float:
        return detection.roc_area(np.unique(information, return_inverse=True)[1], ~right)

    return area, (rows["mutual_information"], rows["right"])


def draw(shown: Shown) -> list[Panel]:
    """For each model, a table of how many members are against."""
    lead = (
        "An ensemble, or a model that draws, knows where its members disagree. Are those the rows that it gets wrong? "
        "Each line counts the rows on which so many members vote for another class than all of them together."
    )
    return shown.panels(lead, _model)


def _model(item: Item) -> list[Markup]:
    s, lines, below = item.series, [], -1
    for most, right, wrong in zip(s.most, s.right, s.wrong, strict=True):
        against = formatting.number(most) if most == below + 1 else f"{below + 1} to {most}"
        share = wrong / (right + wrong) if right + wrong else None
        lines.append(row(against, [*map(formatting.number, (right, wrong)), formatting.percent(share)]))
        below = most
    head = [f"members against, of {s.members}", "right rows", "wrong rows", "error rate"]
    return [table("Members against the vote", head, lines, label=f"Disagreement, {item.model}"), item.statement()]


KIND = Kind(
    name="disagreement", step="uncertainty.disagreement", property="uncertainty", series=Disagreement,
    measure=measure, draw=draw,
    findings={"uncertainty.disagreement": Judged("Disagreement of the members", higher_is_better=True, rows=_rows)},
    settings=in_profiles(Settings, lines=8),
)  # fmt: skip
