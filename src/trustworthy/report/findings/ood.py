"""Whether what the model has never seen makes it unsure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from markupsafe import Markup
from pydantic import BaseModel, Field

from trustworthy.core.progress import portion
from trustworthy.report import formatting
from trustworthy.report.finding import Number, Series
from trustworthy.report.kind import Judged, Kind, Measured, NotApplicable, Rule
from trustworthy.report.panel import Item, Panel, Shown, note, row, table
from trustworthy.report.settings import Rows, Section, in_profiles

if TYPE_CHECKING:
    from trustworthy.core.predictive import Predictive
    from trustworthy.report.case import Case

RECALL = 0.95


class Settings(Section):
    """What is foreign, by name: `noise`, `corruptions`, `shuffled`, `far`, a data set, or the path of one; and rows."""

    sets: Annotated[list[str], Field(min_length=1)]
    rows: Rows


class Foreign(BaseModel):
    """One foreign set: how well a score tells its rows from the data, and the share of the data flagged with 95% of it.

    entropy, information : area under the ROC curve of either score, a large one meaning foreign; `information` is null
        for a single predictor. fpr : share of the data that is flagged where 95% of the foreign rows are.
    """

    name: str
    n: int
    entropy: float
    entropy_fpr: float
    information: Number = float("nan")
    information_fpr: Number = float("nan")


class OutOfDistribution(Series):
    """Every foreign set, and what was left out and why."""

    foreign: Annotated[list[Foreign], Field(min_length=1)]
    left_out: dict[str, str] = Field(default_factory=dict)


def measure(case: Case, settings: Settings) -> Measured:
    """Entropy, and mutual information of several predictors, of foreign rows against those of the data."""
    from trustworthy.report.foreign import FOREIGN, foreign_rows

    _ = case.probabilities
    rows = case.sample("ood", settings.rows)
    scored, left_out = [], {}
    known = {name: score[rows] for name, score in _scores(case.subject.predictive).items()}
    for place, name in enumerate(settings.sets):
        try:
            x = foreign_rows(case, name, rows)
        except NotApplicable as reason:
            if name not in FOREIGN or FOREIGN[name][0] == case.examples.domain.kind:
                left_out[name] = str(reason)
            continue
        scored.append((name, _scores(case.answers(x))))
        portion(case.advance, place, len(settings.sets))(1.0)
    if not scored:
        why = " ".join(left_out.values()) or "no foreign set of the plan is one for these data; name a data set."
        raise NotApplicable(why)
    told = [{"name": name, **_told_apart(known, scores)} for name, scores in scored]
    least = min(range(len(told)), key=lambda place: told[place]["entropy"])
    name, area = told[least]["name"], told[least]["entropy"]
    return Measured([case.finding(
        "uncertainty.ood", area, judged=area, interval=_interval(case, known["entropy"], scored[least][1]["entropy"]),
        statement=_said(told[least]), series={"foreign": told, "left_out": left_out},
        conditions={
            "n": len(rows), "foreign": name, "score": "entropy", "positive": "foreign rows, by a large entropy",
        },
    )])  # fmt: skip


def _scores(predictive: Predictive) -> dict[str, np.ndarray]:
    scores = {"entropy": predictive.entropy.numpy()}
    if len(predictive.members) > 1:
        scores["information"] = predictive.mutual_information.numpy()
    return scores


def _told_apart(known: dict[str, np.ndarray], foreign: dict[str, np.ndarray]) -> dict[str, Any]:
    from trustworthy.metrics import auroc, fpr_at_recall

    told: dict[str, Any] = {"n": len(foreign["entropy"])}
    for name, score in foreign.items():
        both = _both(known[name], score)
        told |= {name: auroc(*both), f"{name}_fpr": fpr_at_recall(*both, recall=RECALL)}
    return told


def _both(known: np.ndarray, foreign: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.r_[known, foreign], np.arange(len(known) + len(foreign)) >= len(known)


def _interval(case: Case, known: np.ndarray, foreign: np.ndarray) -> tuple[float, float] | None:
    """Of the area, over resamples of known and foreign rows together."""
    from trustworthy.metrics import detection

    scores, positive = _both(known, foreign)
    return case.interval("ood", detection.roc_area, np.unique(scores, return_inverse=True)[1], positive)


def _said(worst: dict[str, Any]) -> str:
    return (
        f"Told apart worst are the rows of {worst['name']}: one of them has a larger entropy than a row of the data in "
        f"{worst['entropy']:.1%} of the pairs (50% by chance), and to flag {RECALL:.0%} of them flags "
        f"{worst['entropy_fpr']:.0%} of the data."
    )


def draw(shown: Shown) -> list[Panel]:
    """For each model, a table of the foreign sets."""
    lead = (
        "Shown what it was never made for, does the model become unsure? AUROC is the chance that a foreign row has a "
        "larger score than one of the data, 0.5 where the score tells nothing; FPR@95 is the share of the data that is "
        "flagged if 95% of the foreign rows shall be. Entropy is all that the model is unsure of, mutual information "
        "what its members disagree on."
    )
    return shown.panels(lead, _model)


def _model(item: Item) -> list[Markup]:
    rows = [
        row(one.name, [name, formatting.score(area), formatting.percent(fpr)])
        for one in item.series.foreign
        for name, area, fpr in (
            ("entropy", one.entropy, one.entropy_fpr),
            ("mutual information", one.information, one.information_fpr),
        )
        if area == area
    ]
    left_out = [note(f"Left out: {name}, {why}") for name, why in item.series.left_out.items()]
    head = ["foreign rows", "score", "AUROC", "FPR@95"]
    return [table("Foreign rows", head, rows, label=f"Foreign rows, {item.model}"), item.statement(), *left_out]


RULE = Rule("area under the ROC curve of the entropy, of the foreign set told apart worst", 0.9, 0.6)
KIND = Kind(
    name="ood", step="uncertainty.ood", property="uncertainty", series=OutOfDistribution, measure=measure, draw=draw,
    findings={"uncertainty.ood": Judged("Foreign rows (out of distribution)", RULE, higher_is_better=True)},
    settings=in_profiles(Settings, sets=["noise", "corruptions", "shuffled", "far"], rows=(100, 200, 1000)), cost=1,
)  # fmt: skip
