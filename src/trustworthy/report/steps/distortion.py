"""The smallest perturbation that breaks each prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from trustworthy.attacks import Attack, Bisection, BudgetAttack
from trustworthy.report.steps.arsenal import arsenal, attacked_rows, built
from trustworthy.report.steps.case import Case, Measured, NotApplicable
from trustworthy.report.steps.radii import headline_radius
from trustworthy.report.verdicts import verdict

BINS = 20


def distortion(case: Case) -> Measured:
    """Histogram of minimal l2 perturbations, of the examples that are classified correctly."""
    plan, headline = case.plan.robustness.distortion, headline_radius(case, "l2")
    largest = headline * plan.largest
    rows = case.sample("distortion", plan.rows) if case.subject.gives_gradients else attacked_rows(case)
    rows = rows[case.correct[rows]]
    if not len(rows):
        raise NotApplicable("the model classifies none of the examples correctly, so there is nothing to break.")
    attack = _minimising(case, largest)
    distance, bounded = _distances(case, attack, rows), isinstance(attack, Bisection)
    broken = distance[np.isfinite(distance)]
    edges = np.linspace(0.0, broken.max() if len(broken) else largest, BINS + 1)
    quartiles = [_finite(np.quantile(distance, q, method="inverted_cdf")) for q in (0.25, 0.5, 0.75)]
    median = quartiles[1]
    survived = largest if median is None and bounded else None
    judged = plan.largest if survived else None if median is None else median / headline
    interval = case.interval("distortion", lambda d: float(np.quantile(d, 0.5, method="inverted_cdf")), distance)
    if median is None:
        tried = f"by perturbations of up to {largest:.3g} (l2)" if bounded else "by any perturbation tried (l2)"
        told = f"Fewer than half of the predictions were broken {tried}"
    else:
        told = f"Half of the correct predictions break under a perturbation of {median:.3g} or less (l2)"
    return Measured(
        [
            case.finding(
                "robustness.l2.distortion",
                median,
                interval=interval if interval and np.isfinite(interval).all() else None,
                unit=case.examples.domain.unit,
                property="robustness",
                kind="distortion",
                title="Smallest perturbation that breaks a prediction, l2",
                verdict=verdict("robustness.l2.distortion", judged),
                statement=f"{told}, as far as the attack could find.",
                higher_is_better=True,
                series={
                    "edges": edges.tolist(),
                    "counts": np.histogram(broken, edges)[0].tolist(),
                    "unbroken": int(np.isinf(distance).sum()),
                    "quartiles": quartiles,
                },
                conditions={
                    "n": len(rows),
                    "attacks": [repr(attack)],
                    "norm": "l2",
                    "units": case.examples.domain.units,
                    **({"at_least": survived} if survived else {}),
                },
            )
        ]
    )


def _minimising(case: Case, largest: float) -> Attack:
    """The attack of the plan as one that minimises the distance."""
    plan = case.plan.robustness.distortion
    chosen = plan.attack if case.subject.gives_gradients else arsenal(case, "l2")[-1]
    attack = built(case, chosen, "l2", largest)
    return Bisection(attack=attack, bisections=plan.bisections) if isinstance(attack, BudgetAttack) else attack


def _distances(case: Case, attack: Attack, rows: np.ndarray) -> Float[np.ndarray, " n"]:
    model, x, y = case.attacked
    generator = case.generator("distortion")
    parts: list[Any] = []
    batches = torch.from_numpy(rows).to(case.device).split(min(case.plan.batch, 50))
    for done, batch in enumerate(batches, start=1):
        parts.append(attack(model, x[batch], y[batch], generator=generator).distance.cpu().double().numpy())
        case.advance(done / len(batches))
    return np.concatenate(parts)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
