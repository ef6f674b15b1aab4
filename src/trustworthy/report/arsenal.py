"""Which attacks of the plan a model can be attacked with, on how many examples, and how far they may go."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from trustworthy.attacks import Attack
from trustworthy.core.errors import InvalidInput
from trustworthy.report.case import Case
from trustworthy.report.kind import NotApplicable
from trustworthy.report.settings import AttackPlan, Attacks


def shared(case: Case) -> Attacks:
    """The attacks and radii of the plan."""
    assert case.attacks is not None, f"{case.kind.step} uses the shared attacks and must say so"
    return case.attacks


def headline_radius(case: Case, norm: str) -> float:
    """Radius of the summary in the attacked units: the plan's, or by the kind of data."""
    plans = shared(case)
    return (plans.linf if norm == "linf" else plans.l2) or case.examples.domain.headline(norm)


def arsenal(case: Case, norm: str) -> list[AttackPlan]:
    """Attacks that search in `norm` and need nothing that the model does not give.

    A model with gradients meets the attacks of the plan; one without meets those of them that need scores only, and
    the decision attack.
    """
    plans = shared(case)
    chosen = list(plans.tried)
    if not case.subject.gives_gradients:
        chosen = [plan for plan in (*chosen, plans.decision) if _answers(case, plan)]
    chosen = [plan for plan in chosen if _searches_in(plan, norm)]
    if not chosen:
        raise NotApplicable(
            f"no attack of the plan searches in {norm} on a model without gradients"
            f"{'' if case.subject.gives_scores else ' or scores'}."
        )
    if not case.correct[attacked_rows(case)].any():
        raise NotApplicable("the model classifies none of the examples correctly, so there is nothing to attack.")
    return chosen


def attacked_rows(case: Case) -> Int[np.ndarray, " kept"]:
    """Rows that the robustness curves attack: all of them, or a few of a model that must be asked without gradients."""
    if case.subject.gives_gradients:
        return np.arange(len(case.labels))
    return case.sample("decision", shared(case).decision_rows)


def built(case: Case, plan: AttackPlan, norm: str, eps: float, *, draws: int | None = None) -> Attack:
    """The attack in the units of the attacked inputs; a walk along the boundary begins at other examples.

    draws : over which it averages; None for those of the model.

    The dlr loss needs a third class; with two its place is taken by the margin, the numerator of dlr.
    """
    if case.subject.logits.shape[1] < 3 and (plan.model_extra or {}).get("loss") == "dlr":
        plan = AttackPlan(name=plan.name, **{**(plan.model_extra or {}), "loss": "margin"})
    return plan.build(
        bounds=case.examples.domain.bounds, norm=norm, eps=eps, starts=case.attacked[1], eot=draws or case.subject.draws
    )


def _answers(case: Case, plan: AttackPlan) -> bool:
    return plan.kind.asks == "labels" or (plan.kind.asks == "scores" and case.subject.gives_scores)


def _searches_in(plan: AttackPlan, norm: str) -> bool:
    try:
        return plan.build(bounds=None, norm=norm, eps=1.0).geometry.name == norm
    except InvalidInput:
        return False
