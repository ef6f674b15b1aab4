"""Whether adversarial examples made on one model fool another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from trustworthy.report import formatting
from trustworthy.report.finding import ALL_MODELS, Number, Series, null_where_nan
from trustworthy.report.kind import Judged, Kind, Measured, NotApplicable, Rule
from trustworthy.report.markup import heat
from trustworthy.report.panel import Item, Panel, Shown, row, table
from trustworthy.report.settings import Rows, Section, in_profiles

if TYPE_CHECKING:
    from trustworthy.report.case import Case

LEAST_LOSS = 0.05
"""Accuracy that a model must lose to its own examples for its affinity to say anything."""


class Settings(Section):
    """Examples carried from model to model by the first attack."""

    rows: Rows


class Transfer(Series):
    """rho[source][target] of eq. 2.26; `accuracy` is each model's clean accuracy."""

    aligned: ClassVar = ("models", "affinity", "accuracy")

    models: list[str]
    affinity: list[list[Number]]
    accuracy: list[Number] = Field(default_factory=list)


def measure(cases: Sequence[Case], settings: Settings) -> Measured:
    """Matrix of eq. 2.26 between the models that have gradients, under the first attack at the headline linf radius."""
    from trustworthy.attacks import transfer_affinity

    cases = [case for case in cases if case.subject.gives_gradients and case.correct.any()]
    if len(cases) < 2:
        raise NotApplicable("fewer than two of the models have gradients and a correct prediction.")
    case = next((each for each in cases if each.is_useful), cases[0])
    eps = case.headline("linf")
    draws = max(each.subject.draws for each in cases)
    attack = case.built(case.arsenal("linf")[0], "linf", eps, draws=draws)
    rows = case.sample("transfer", settings.rows)
    models = {each.subject.name: each.attacked[0] for each in cases}
    _, x, y = case.attacked_at(rows)
    found = transfer_affinity(models, attack, x, y, **case.attacking("transfer", rows))
    harmed = found.clean - found.attacked.diagonal() >= LEAST_LOSS
    crossing = np.where(np.eye(len(cases), dtype=bool) | ~harmed[None, :], np.nan, found.affinity)
    value = float(np.nanmax(crossing)) if not np.isnan(crossing).all() else None
    told = f"No model loses {LEAST_LOSS:.0%} of accuracy to its own adversarial examples: nothing to compare."
    if value is not None:
        source, target = np.unravel_index(int(np.nanargmax(crossing)), crossing.shape)
        told = (
            f"Examples made on {found.names[source]} cost {found.names[target]} {value:.0%} of the accuracy that it "
            "loses to its own."
        )
        if value > 1.0:
            told += f" The attack on {found.names[target]} itself is too weak: see the diagnosis."
    return Measured([case.finding(
        "robustness.transfer", value, model=ALL_MODELS, judged=value, statement=told,
        no_interval="it is the largest of several ratios",
        series={
            "models": list(found.names), "affinity": [null_where_nan(row) for row in found.affinity],
            "accuracy": found.clean.tolist(), "attacked": found.attacked.tolist(),
        },
        conditions={"n": len(rows), "attacks": [repr(attack)], "eps": eps, "norm": "linf"},
    )])  # fmt: skip


def draw(shown: Shown) -> list[Panel]:
    """The matrix."""
    lead = (
        "Do perturbations made for one model fool another? 0: not at all, 1: as well as those made for it. An "
        "adversary who cannot see a model can still attack a copy."
    )
    return [
        Panel(group.title, lead, [block for item in group.items for block in _matrix(item)]) for group in shown.groups
    ]


def _matrix(item: Item) -> list[str]:
    s = item.series
    rows = [row(name, [_rho(rho) for rho in rhos]) for name, rhos in zip(s.models, s.affinity, strict=True)]
    if s.accuracy:
        rows.append(row("accuracy without attack", [formatting.percent(accuracy) for accuracy in s.accuracy]))
    caption, label = "Rows: made for. Columns: tried on.", "Transfer of attacks between models"
    return [table(caption, ["", *s.models], rows, label, "grid heat-wide", captioned=True), item.statement()]


def _rho(rho: float) -> Any:
    return heat(max(0.0, min(rho, 1.0)) if rho == rho else rho, f"{rho:.2f}" if rho == rho else "–")


RULE = Rule("largest affinity rho (eq. 2.26) between two different models", 0.2, 0.6)
KIND = Kind(
    name="transfer", step="robustness.transfer", property="robustness", about="models", series=Transfer, attacks=True,
    measure=measure, draw=draw,
    findings={"robustness.transfer": Judged("Transfer of adversarial examples", RULE, higher_is_better=False)},
    settings=in_profiles(Settings, rows=(50, 200, 1000)),
)  # fmt: skip
