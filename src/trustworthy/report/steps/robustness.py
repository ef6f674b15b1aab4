"""What an adversary can do: accuracy against the size of the perturbation, and pictures of it."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from trustworthy.attacks import Attack
from trustworthy.attacks.sweep import robustness_curve
from trustworthy.report.plan import AttackPlan
from trustworthy.report.steps.case import Case, Measured, NotApplicable
from trustworthy.report.steps.radii import headline_radius, radii
from trustworthy.report.verdicts import verdict


def curve(case: Case, norm: str) -> Measured:
    """Accuracy against the radius in `norm`, in the worst case over the attacks of the plan."""
    plans = _usable(case, norm)
    eps = radii(case, norm)
    headline = headline_radius(case, norm)
    broken = {}
    for place, plan in enumerate(plans):
        broken[plan.name] = _broken_at(case, plan, norm, eps, place / len(plans), 1.0 / len(plans))
    worst = np.min(list(broken.values()), axis=0)
    grid = [0.0, *eps]
    standing = [worst > radius for radius in grid]
    bands = [case.interval(f"{norm} {radius}", np.mean, rows) for radius, rows in zip(grid, standing, strict=True)]
    at = grid.index(headline)
    value = float(standing[at].mean())
    kept = value / case.accuracy if case.accuracy > 0 else None
    return Measured([
        case.finding(
            f"robustness.{norm}.accuracy",
            value,
            interval=bands[at],
            property="robustness",
            kind="robustness_curve",
            title=f"Accuracy under attack, {norm}",
            headline=True,
            verdict=verdict(f"robustness.{norm}.accuracy", kept),
            statement=f"With perturbations of up to {headline:.3g} ({norm}, {case.examples.units}) accuracy falls from "
            f"{case.accuracy:.1%} to {value:.1%}.",
            higher_is_better=True,
            series={
                "eps": grid,
                "worst": [float(rows.mean()) for rows in standing],
                "low": [band[0] if band else None for band in bands],
                "high": [band[1] if band else None for band in bands],
                "attacks": {name: [float((at > radius).mean()) for radius in grid] for name, at in broken.items()},
                "headline_eps": headline,
            },
            conditions={
                "attacks": [repr(_built(case, plan, norm, headline)) for plan in plans],
                "eps": headline,
                "norm": norm,
                "units": case.examples.units,
            },
        )
    ])  # fmt: skip


def _usable(case: Case, norm: str) -> list[AttackPlan]:
    if not case.correct.any():
        raise NotApplicable("the model classifies no example correctly, so there is nothing to attack.")
    if not case.subject.gives_gradients:
        raise NotApplicable("the model has no gradient.")
    return list(case.plan.robustness.attacks)


def _built(case: Case, plan: AttackPlan, norm: str, eps: float) -> Attack:
    return plan.build(bounds=case.bounds, norm=norm, eps=eps)


def _broken_at(
    case: Case, plan: AttackPlan, norm: str, eps: list[float], begun: float, share: float
) -> Float[np.ndarray, " n"]:
    """Smallest radius at which the attack succeeds on each example: 0 where it is wrong already, inf where it holds."""
    model, x, y = case.attacked
    attack = _built(case, plan, norm, max(eps))
    generator = case.generator("robustness", norm, plan.name)
    parts = []
    for done, rows in enumerate(batches := torch.arange(len(x)).split(case.plan.batch), start=1):
        part = robustness_curve(model, attack, x[rows], y[rows], eps, generator=generator, batch_size=case.plan.batch)
        parts.append(part.broken_at)
        case.advance(begun + share * done / len(batches))
    return np.concatenate(parts)


def pictures(case: Case) -> Measured:
    """Examples before and after the plan's first attack at the headline linf radius."""
    plan = _usable(case, "linf")[0]
    eps = headline_radius(case, "linf")
    model, x, y = case.attacked
    chosen = torch.from_numpy(spread_over_classes(case, case.plan.robustness.pictures))
    result = _built(case, plan, "linf", eps)(model, x[chosen], y[chosen], generator=case.generator("pictures"))
    with torch.no_grad():
        fooled = model(result.adversarial).argmax(1).cpu().tolist()
    names = case.examples.class_name
    series = {
        "label": [names(label) for label in y[chosen].tolist()],
        "prediction": [names(int(case.predictions[row])) for row in chosen.tolist()],
        "adversarial_prediction": [names(label) for label in fooled],
        "distance": result.distance.tolist(),
        "eps": eps,
        "amplification": float(f"{0.5 / eps:.1g}") if case.examples.is_image else 1.0,
    }
    original, adversarial = x[chosen], result.adversarial
    if case.examples.center is not None and case.examples.spread is not None:
        center, spread = case.examples.center.to(x), case.examples.spread.to(x)
        original, adversarial = (center + spread * z for z in (original, adversarial))
        series["features"] = [case.examples.feature_name(column) for column in range(x.shape[1])]
    keys = {role: f"{case.subject.name}/{role}" for role in ("original", "adversarial")}
    share = float(result.success.float().mean())
    return Measured(
        [
            case.finding(
                "robustness.linf.pictures",
                share,
                property="robustness",
                kind="adversarial_pictures",
                title="What an attack changes",
                statement=f"{int(result.success.sum())} of these {len(chosen)} examples are misclassified after a "
                f"change of at most {eps:.3g} ({case.examples.units}).",
                series=series,
                arrays=keys,
                conditions={"n": len(chosen), "attacks": [repr(_built(case, plan, "linf", eps))], "eps": eps},
            )
        ],
        {
            keys["original"]: original.float().cpu().numpy(),
            keys["adversarial"]: adversarial.float().cpu().numpy(),
        },
    )


def spread_over_classes(case: Case, count: int) -> np.ndarray:
    """Rows of up to `count` correctly classified examples, evenly over the classes, in the order of the data."""
    rows = np.flatnonzero(case.correct)
    labels = case.labels[rows]
    turn = np.array([int((labels[:place] == label).sum()) for place, label in enumerate(labels)])
    return np.sort(rows[np.argsort(turn, kind="stable")[:count]])
