"""What was found, as the record says it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from trustworthy.explain import Area, Comparison, Criterion, Explainer
from trustworthy.explain.compare import Row as Line
from trustworthy.report import formatting
from trustworthy.report.explanation.inquiry import Inquiry
from trustworthy.report.explanation.methods import ABOUT, About
from trustworthy.report.explanation.record import CriterionRecord, Interval, Method, RuleRecord, Score

_CRITERIA = {
    "robustness-complement": About(
        "Robustness of the rest", "The most relevant features are held, and the rest is changed until the prediction "
        "flips: how large the smallest such change is. Where nothing flips it, the longest way that there is counts. "
        "(Robustness of the complement of S_r.)"
    ),
    "robustness": About(
        "Robustness of the relevant", "The most relevant features alone are changed until the prediction flips: how "
        "large the smallest such change is. (Robustness-S_r.)"
    ),
    "insertion": About("Insertion", "Probability of the class where only the most relevant features are there."),
    "deletion": About("Deletion", "Probability of the class where the most relevant features are at the baseline."),
    "infidelity": About("Infidelity", "How wrong the scores are about what the model loses without features."),
    "sensitivity": About("Sensitivity", "How far the explanation moves where the input hardly does."),
}  # fmt: skip
_AREA = " Area under the curve, shares in percent."


def criteria(found: Comparison) -> dict[str, CriterionRecord]:
    """Each criterion in words, and what chance reaches."""
    told = {}
    for name, criterion in found.criteria.items():
        chance = found.chance.get(name)
        band = None if chance is None else chance.curve_band
        curves = [results[name].judged.curve for results in found.results.values()]
        about = _about(name, criterion)
        told[name] = CriterionRecord(
            title=about.title, says=about.says + (_AREA if curves[0] is not None else ""), settings=repr(criterion),
            higher_is_better=criterion.higher_is_better,
            shares=[] if curves[0] is None else [float(share) for share in curves[0].shares],
            chance=None if chance is None else chance.band,
            chance_curve=[] if band is None else [(float(low), float(high)) for low, high in band.T],
        )  # fmt: skip
    return told


def _about(name: str, criterion: Criterion) -> About:
    known = _CRITERIA[criterion.name] if criterion.name in _CRITERIA else About(name, "")
    if "@" in name:  # by an attack that no method optimises
        known = About(f"{known.title}, by {name.partition('@')[2].upper()}", known.says)
    if isinstance(criterion, Area):
        says = f"The curve of the most relevant features first less that of the least relevant first. {known.says}"
        return About(f"{known.title}: order against its reverse", says)
    return known


def methods(asked: Inquiry, used: Mapping[str, Explainer], found: Comparison) -> dict[str, Method]:
    """Each method with its scores by every criterion."""
    lines = found.table()
    return {
        name: Method(
            title=ABOUT[name].title if name in ABOUT else name, says=ABOUT[name].says if name in ABOUT else "",
            settings=repr(method), 
            scores={line.criterion: _score(found, line) for line in lines if line.method == name},
            calls=next(line.calls for line in lines if line.method == name),
            seconds=next(line.seconds for line in lines if line.method == name), 
            rules=_rules(asked, found, name, method),
        )
        for name, method in used.items()
    }  # fmt: skip


def _score(found: Comparison, line: Line) -> Score:
    over, best = line.over_chance_interval, found.best(line.criterion).method
    curve = found.results[line.method][line.criterion].judged.curve
    return Score(
        values=found.values(line.method, line.criterion).tolist(), mean=line.mean, interval=_interval(line.interval),
        curve=[] if curve is None else curve.value.double().mean(0).tolist(), behind=line.behind,
        unbroken=[] if curve is None or curve.unbroken is None else curve.unbroken.double().mean(0).tolist(),
        behind_interval=_interval(line.behind_interval), best=line.method == best,
        tied=line.method == best or not line.behind_interval[0] > 0.0,
        beyond_chance=None if math.isnan(over[0]) else over[0] > 0.0,
    )  # fmt: skip


def _interval(ends: tuple[float, float]) -> Interval:
    return None if math.isnan(ends[0] + ends[1]) else ends


def _rules(asked: Inquiry, found: Comparison, name: str, method: Explainer) -> list[RuleRecord]:
    rules = next(iter(found.results[name].values())).attribution.rules
    if rules is None:
        return []
    return [
        RuleRecord(said=[_condition(asked, place, feature, ends)
                         for feature, ends in zip(rule.features, rule.ranges, strict=True)],
                   features=list(rule.features), precision=rule.precision,
                   wanted=getattr(method, "precision", 0.0), interval=rule.interval,
                   coverage=rule.coverage)
        for place, rule in enumerate(rules)
    ]  # fmt: skip


def _condition(asked: Inquiry, place: int, feature: int, ends: tuple[float, float] | None) -> str:
    """A condition of a rule: "37 < age <= 48", "job is teacher", a word."""
    if asked.words:
        return f"“{asked.words[place][feature]}”"
    if ends is None or not asked.names:
        return asked.names[feature] if asked.names else f"{asked.feature} {feature}"
    domain, name, column = asked.looked.domain, asked.names[feature], _column(asked, place, feature)
    if domain.movable is not None and not bool(domain.movable[column]):
        return _among(asked, name, column, ends)
    assert domain.center is not None
    assert domain.spread is not None
    unit = asked.looked.features[column].unit
    low, high = (
        formatting.number(float(f"{end * float(domain.spread[column]) + float(domain.center[column]):.6g}"))
        for end in ends
    )
    said = f"{low} < " * math.isfinite(ends[0]) + name + f" ≤ {high}" * math.isfinite(ends[1])
    return f"{said}{f' {unit}' if unit else ''}" if said != name else f"any {name}"


def _column(asked: Inquiry, place: int, feature: int) -> int:
    """The only column of a feature of a row."""
    chosen = torch.arange(asked.groups.count, device=asked.x.device)[None] == feature
    return int(asked.groups.rows(torch.tensor([place], device=asked.x.device)).free(chosen)[0].nonzero()[0])


def _among(asked: Inquiry, name: str, column: int, ends: tuple[float, float]) -> str:
    """Which categories a range of their codes holds."""
    known = asked.looked.columns[column].categories if asked.looked.columns else ()
    held = [str(value) for code, value in enumerate(known) if ends[0] < code <= ends[1]]
    if not held:
        return name
    return f"{name} is {held[0]}" if len(held) == 1 else f"{name} is one of {', '.join(held)}"


def features(asked: Inquiry) -> dict[str, Any]:
    """What a feature is, what a missing one looks like, and which of them no change may touch."""
    domain = asked.looked.domain
    if domain.kind == "image":
        return {"feature": asked.feature, "baseline": "black"}
    if domain.kind == "text":
        return {"feature": asked.feature, "baseline": "the word is left out: its embedding is zero, as padding is"}
    columns = asked.looked.labelled_features or list(asked.names)
    known = domain.movable is None or bool(domain.movable.all())
    held = [] if asked.movable is None else [
        name for name, moves in zip(columns, asked.movable.tolist(), strict=True) if not moves
    ]  # fmt: skip
    return {
        "feature": asked.feature, "features": columns if asked.feature == "column" else list(asked.names),
        "baseline": "the mean of each column" + ("" if known else ", of a category the commonest"), "held": held,
        "values": _values(asked),
    }  # fmt: skip


def _values(asked: Inquiry) -> list[list[str]]:
    """The values of the rows of a table as text, by feature."""
    if asked.feature != "column":
        return []
    x, columns = asked.examples.x.double().numpy(), asked.looked.columns
    told = []
    for values in x:
        said = []
        for column, value in enumerate(values):
            names = columns[column].categories if columns else ()
            if np.isnan(value):
                said.append("missing")
            else:
                said.append(str(names[int(value)]) if names else formatting.number(float(value)))
        told.append(said)
    return told
