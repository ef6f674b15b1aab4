"""Examples before and after an attack."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from trustworthy.report.steps.arsenal import arsenal, built
from trustworthy.report.steps.case import Case, Measured, NotApplicable
from trustworthy.report.steps.radii import headline_radius

ATTACKED_PER_SHOWN = 4


def pictures(case: Case) -> Measured:
    """A few examples under the first attack of the plan that applies, at the headline radius (linf if it can).

    More are attacked than shown, because an attack that fails shows nothing; those that it broke are shown first, and
    the value says how many of all there are.
    """
    norm, units = _norm(case), case.examples.domain.units
    plan, eps = arsenal(case, norm)[0], headline_radius(case, norm)
    attack = built(case, plan, norm, eps)
    model, x, y = case.attacked
    tried = spread_over_classes(case, ATTACKED_PER_SHOWN * case.plan.robustness.pictures)
    result = attack(model, x[tried], y[tried], generator=case.generator("pictures"))
    success = result.success.cpu().numpy()
    shown = np.sort(np.argsort(~success, kind="stable")[: case.plan.robustness.pictures])
    rows = tried[shown]
    before, after = (case.examples.domain.as_given(z) for z in (x[rows], result.adversarial[shown]))
    size, moved = float((after - before).abs().max()), result.distance.cpu().numpy()
    names = case.examples.class_name
    keys = {role: f"{case.subject.name}/{role}" for role in ("original", "adversarial")}
    return Measured(
        [
            case.finding(
                f"robustness.{norm}.pictures",
                float(success.mean()),
                property="robustness",
                kind="adversarial_pictures",
                title=f"What an attack changes, {norm}",
                statement=f"{success.sum()} of {len(tried)} attacked examples are misclassified after a change of at "
                f"most {moved[success].max(initial=0.0):.3g} ({norm}, {units}); {len(rows)} are shown.",
                series={
                    "label": [names(label) for label in y[rows].tolist()],
                    "prediction": [names(int(case.predictions[row])) for row in rows],
                    "adversarial_prediction": [names(label) for label in case.classify(after.cpu()).tolist()],
                    "distance": [float(d) if np.isfinite(d) else None for d in moved[shown]],
                    "eps": eps,
                    "amplification": float(f"{0.5 / size:.1g}")
                    if case.examples.domain.kind == "image" and size > 0
                    else 1.0,
                    "features": [case.examples.feature_name(i) for i in range(x.shape[1])] if x.ndim == 2 else [],
                },
                arrays=keys,
                conditions={
                    "n": len(tried),
                    "attacks": [repr(attack)],
                    "norm": norm,
                    "units": case.examples.domain.units,
                },
            )
        ],
        {keys["original"]: before.cpu().numpy(), keys["adversarial"]: after.cpu().numpy()},
    )


def spread_over_classes(case: Case, count: int) -> Int[np.ndarray, " kept"]:
    """Rows of up to `count` correctly classified examples, evenly over the classes, in the order of the data."""
    rows = np.flatnonzero(case.correct)
    labels = case.labels[rows]
    turn = np.array([int((labels[:place] == label).sum()) for place, label in enumerate(labels)])
    return np.sort(rows[np.argsort(turn, kind="stable")[:count]])


def _norm(case: Case) -> str:
    try:
        arsenal(case, "linf")
    except NotApplicable:
        return "l2"
    return "linf"
