"""Whether the evaluation itself can be believed."""

from __future__ import annotations

import math

import torch

from trustworthy.attacks import PGD, diagnose
from trustworthy.core.errors import NothingToAttackError
from trustworthy.report.plan import AttackPlan
from trustworthy.report.steps.arsenal import built
from trustworthy.report.steps.case import Case, Measured, NotApplicable
from trustworthy.report.steps.radii import headline_radius
from trustworthy.report.verdicts import verdict


def diagnosis(case: Case) -> Measured:
    """Signs that the attacks failed because of themselves, not because of the model."""
    if not case.subject.gives_gradients:
        raise NotApplicable("the checks question attacks by gradients, and the model has none.")
    rows = case.sample("diagnosis", case.plan.evaluation.rows)
    rows = rows[case.correct[rows]]
    if not len(rows):
        raise NotApplicable("the model classifies none of the examples correctly, so there is nothing to attack.")
    attack = _questioned(case)
    model, x, y = case.attacked
    chosen = torch.from_numpy(rows).to(case.device)
    try:
        found = diagnose(
            model,
            x[chosen],
            y[chosen],
            attack=attack,
            queries=case.plan.evaluation.queries,
            generator=case.generator("diagnosis"),
            batch_size=case.plan.batch,
        )
    except NothingToAttackError as error:  # a stochastic model that was right before and is not now
        raise NotApplicable(str(error)) from error
    names = [check.name.replace("_", " ") for check in found.failed]
    told = (
        f"{len(names)} of {len(found.checks)} checks failed: {', '.join(names)}" if names else "No check found a sign"
    )
    doubt = "the robustness above may be overstated." if names else "that the attacks were weaker than they look."
    return Measured(
        [
            case.finding(
                "evaluation.diagnosis",
                float(len(names)),
                property="evaluation",
                kind="diagnosis",
                title="Diagnosis of the attacks",
                headline=True,
                verdict=verdict("evaluation.diagnosis", float(len(names))),
                statement=f"{told}{'; ' if names else ' '}{doubt}",
                higher_is_better=False,
                series={
                    "checks": [
                        {
                            "name": check.name,
                            "passed": check.passed,
                            "value": check.value if math.isfinite(check.value) else None,
                            "explanation": check.explanation,
                        }
                        for check in found.checks
                    ]
                },
                conditions={"n": len(rows), "attacks": [repr(attack)], "queries": case.plan.evaluation.queries},
            )
        ]
    )


def _questioned(case: Case) -> PGD:
    """The plan's first PGD at the headline linf radius."""
    plans = [plan for plan in case.plan.robustness.attacks if plan.name == "PGD"]
    attack = built(case, [*plans, AttackPlan(name="PGD")][0], "linf", headline_radius(case, "linf"))
    assert isinstance(attack, PGD)
    return attack
