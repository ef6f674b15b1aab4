"""Accuracy against the size of a perturbation, in the worst case over the attacks of the plan."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from jaxtyping import Float, Int

from trustworthy.attacks import Attack, robustness_curve
from trustworthy.report.steps.arsenal import ASKS_FOR_SCORES, arsenal, attacked_rows, built
from trustworthy.report.steps.case import Case, Measured
from trustworthy.report.steps.radii import headline_radius, radii
from trustworthy.report.verdicts import verdict


def curve(case: Case, norm: str) -> Measured:
    """Accuracy against the radius in `norm`: worst case with its bootstrap band, and each attack alone.

    An attack that needs scores only is slow. Where there are gradients it gets what the attacks before it left
    unbroken, to see whether they were misled, and has no line of its own.
    """
    units = case.examples.domain.units
    eps, headline = radii(case, norm), headline_radius(case, norm)
    attacks = [built(case, plan, norm, max(eps)) for plan in arsenal(case, norm)]
    rows = attacked_rows(case)
    alone: dict[str, Float[np.ndarray, " n"]] = {}
    worst = np.full(len(rows), np.inf)
    for place, attack in enumerate(attacks):
        ask = _Ask(case, norm, attack, (place, len(attacks)))
        if alone and case.subject.gives_gradients and type(attack).__name__ in ASKS_FOR_SCORES:
            worst = _also_broken(ask, eps, headline, rows, worst)
        else:
            alone[_fresh_name(attack, alone)] = ask.broken_at(eps, rows)
            worst = np.minimum(worst, list(alone.values())[-1])
    grid = [0.0, *eps]
    standing = np.array([worst > radius for radius in grid])
    bands = [case.interval(f"{norm} {radius}", np.mean, holds) for radius, holds in zip(grid, standing, strict=True)]
    clean, value = float(standing[0].mean()), float(standing[grid.index(headline)].mean())
    # A constant model loses nothing to any attack: robustness is judged only where there is something to be robust.
    useful = verdict("accuracy", case.accuracy_above_guessing) != "worry"
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
                verdict=verdict(f"robustness.{norm}.accuracy", value / clean) if useful else "information",
                statement=f"Perturbations of up to {headline:.3g} ({norm}, {units}) take accuracy from "
                f"{clean:.1%} to {value:.1%}.",
                higher_is_better=True,
                series={
                    "eps": grid,
                    "worst": standing.mean(axis=1).tolist(),
                    "low": [band[0] if band else None for band in bands],
                    "high": [band[1] if band else None for band in bands],
                    "attacks": {name: [float((at > radius).mean()) for radius in grid] for name, at in alone.items()},
                    "headline_eps": headline,
                },
                conditions={
                    "n": len(rows),
                    "attacks": [repr(attack) for attack in attacks],
                    "eps": headline,
                    "norm": norm,
                    "units": case.examples.domain.units,
                },
            )
        ]
    )


def _fresh_name(attack: Attack, taken: Collection[str]) -> str:
    """Name of the attack in the figure; with its loss, or a number, where the plan has several of a kind."""
    name = type(attack).__name__
    candidates = [name, f"{name} ({getattr(attack, 'loss', 'again')})", *(f"{name} {i}" for i in range(2, 100))]
    return next(candidate for candidate in candidates if candidate not in taken)


class _Ask:
    """One attack on rows of the examples; it tells how far it is as the `place[0]`-th of `place[1]` attacks."""

    def __init__(self, case: Case, norm: str, attack: Attack, place: tuple[int, int]) -> None:
        self.case, self.attack, self.place = case, attack, place
        self.generator = case.generator("robustness", norm, place[0], type(attack).__name__)

    def broken_at(
        self, eps: list[float], rows: Int[np.ndarray, " n"], begun: float = 0.0, share: float = 1.0
    ) -> Float[np.ndarray, " n"]:
        """Smallest radius known to break each row: 0 where it is wrong already, inf where nothing did."""
        model, x, y = self.case.attacked
        batches = torch.from_numpy(rows).to(self.case.device).split(self.case.plan.batch)
        parts = [np.empty(0)]
        for done, batch in enumerate(batches, start=1):
            found = robustness_curve(
                model, self.attack, x[batch], y[batch], eps, generator=self.generator, batch_size=max(1, len(batch))
            )
            parts.append(found.broken_at)
            self.tell(begun + share * done / len(batches))
        # Right and wrong are those of the whole audit: where a stochastic model answers a clean example otherwise this
        # time, the smallest radius breaks it.
        broken = np.maximum(np.concatenate(parts), min(eps))
        return np.where(self.case.correct[rows], broken, 0.0)

    def tell(self, share: float) -> None:
        """Report the share of this attack that is done."""
        self.case.advance((self.place[0] + share) / self.place[1])


def _also_broken(
    ask: _Ask, eps: list[float], headline: float, rows: Int[np.ndarray, " n"], worst: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """`worst`, lowered where one more attack breaks a row that withstood so far.

    The headline radius is tried first, and the others only if it breaks something there.
    """
    lowered = worst.copy()
    for place, radius in enumerate([headline, *(radius for radius in eps if radius != headline)]):
        left = np.flatnonzero(lowered > radius)
        if len(left):
            found = ask.broken_at([radius], rows[left], place / len(eps), 1.0 / len(eps))
            lowered[left] = np.minimum(lowered[left], found)
        if np.array_equal(lowered, worst):
            break
    return lowered
