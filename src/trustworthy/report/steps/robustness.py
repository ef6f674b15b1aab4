"""Accuracy against the size of a perturbation, in the worst case over the attacks of the plan."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int

from trustworthy.attacks import Attack, robustness_curve
from trustworthy.report.steps.arsenal import arsenal, attacked_rows, built
from trustworthy.report.steps.case import Case, Measured
from trustworthy.report.steps.radii import headline_radius, radii
from trustworthy.report.verdicts import verdict


def curve(case: Case, norm: str) -> Measured:
    """Accuracy against the radius in `norm`: worst case with its bootstrap band, and each attack alone."""
    eps, headline = radii(case, norm), headline_radius(case, norm)
    attacks = {plan.name: built(case, plan, norm, max(eps)) for plan in arsenal(case, norm)}
    rows = attacked_rows(case)
    broken = {}
    for place, (name, attack) in enumerate(attacks.items()):
        broken[name] = _broken_at(
            case, attack, norm, eps, rows, lambda share, place=place: case.advance((place + share) / len(attacks))
        )
    grid = [0.0, *eps]
    standing = np.array([np.minimum.reduce(list(broken.values())) > radius for radius in grid])
    bands = [case.interval(f"{norm} {radius}", np.mean, holds) for radius, holds in zip(grid, standing, strict=True)]
    clean, value = float(standing[0].mean()), float(standing[grid.index(headline)].mean())
    return Measured(
        [
            case.finding(
                f"robustness.{norm}.accuracy",
                value,
                interval=bands[grid.index(headline)],
                property="robustness",
                kind="robustness_curve",
                title=f"Accuracy under attack, {norm}",
                headline=True,
                verdict=verdict(f"robustness.{norm}.accuracy", value / clean),
                statement=f"Perturbations of up to {headline:.3g} ({norm}, {case.examples.units}) take accuracy from "
                f"{clean:.1%} to {value:.1%}.",
                higher_is_better=True,
                series={
                    "eps": grid,
                    "worst": standing.mean(axis=1).tolist(),
                    "low": [band[0] if band else None for band in bands],
                    "high": [band[1] if band else None for band in bands],
                    "attacks": {name: [float((at > radius).mean()) for radius in grid] for name, at in broken.items()},
                    "headline_eps": headline,
                },
                conditions={
                    "n": len(rows),
                    "attacks": [repr(attack) for attack in attacks.values()],
                    "eps": headline,
                    "norm": norm,
                    "units": case.examples.units,
                },
            )
        ]
    )


def _broken_at(
    case: Case, attack: Attack, norm: str, eps: list[float], rows: Int[np.ndarray, " n"], tell: Callable[[float], None]
) -> Float[np.ndarray, " n"]:
    """Smallest radius known to break each row: 0 where it is wrong already, inf where nothing did."""
    model, x, y = case.attacked
    generator = case.generator("robustness", norm, type(attack).__name__)
    parts = []
    batches = torch.from_numpy(rows).to(case.device).split(case.plan.batch)
    for done, batch in enumerate(batches, start=1):
        part = robustness_curve(model, attack, x[batch], y[batch], eps, generator=generator, batch_size=len(batch))
        parts.append(part.broken_at)
        tell(done / len(batches))
    return np.concatenate(parts)
