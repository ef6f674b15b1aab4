"""Whether adversarial examples made on one model fool another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from trustworthy.attacks import transfer_affinity
from trustworthy.report.gate import ALL_MODELS
from trustworthy.report.steps.arsenal import arsenal, built
from trustworthy.report.steps.case import Case, Measured, NotApplicable
from trustworthy.report.steps.radii import headline_radius
from trustworthy.report.verdicts import verdict

LEAST_LOSS = 0.05
"""Accuracy that a model must lose to its own examples for its affinity to say anything."""


def transfer(cases: Sequence[Case]) -> Measured:
    """Matrix of eq. 2.26 between the models that have gradients, under the first attack at the headline linf radius."""
    cases = [case for case in cases if case.subject.gives_gradients and case.correct.any()]
    if len(cases) < 2:
        raise NotApplicable("fewer than two of the models have gradients and a correct prediction.")
    case = cases[0]
    plan, eps = arsenal(case, "linf")[0], headline_radius(case, "linf")
    attack = built(case, plan, "linf", eps)
    _, x, y = case.attacked
    rows = torch.from_numpy(case.sample("transfer", case.plan.robustness.transfer_rows)).to(case.device)
    models = {each.subject.name: each.attacked[0] for each in cases}
    found = transfer_affinity(
        models, attack, x[rows], y[rows], generator=case.generator("transfer"), batch_size=case.plan.batch
    )
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
    finding = case.finding(
        "robustness.transfer",
        value,
        property="robustness",
        kind="transfer",
        title="Transfer of adversarial examples",
        verdict=verdict("robustness.transfer", value),
        statement=told,
        higher_is_better=False,
        series={
            "models": list(found.names),
            "affinity": [[None if np.isnan(rho) else float(rho) for rho in row] for row in found.affinity],
            "accuracy": found.clean.tolist(),
            "attacked": found.attacked.tolist(),
        },
        conditions={"n": len(rows), "attacks": [repr(attack)], "eps": eps, "norm": "linf"},
    )
    return Measured([finding.model_copy(update={"model": ALL_MODELS})])
