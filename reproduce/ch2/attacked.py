"""Models under attack, by the mean prediction of draws that no attack has seen; each curve is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reproduce import intervals
from reproduce.ch2.models import BUDGETS, Spec, digest, model
from reproduce.kept import kept
from reproduce.store import Measured
from trustworthy.attacks import PGD, Attack, CarliniWagner
from trustworthy.core.predictive import predict
from trustworthy.core.seeds import torch_generator

BATCH = 128
MARGIN = 0.5
"""Of the logits: what an attack that averages draws asks for, as on the boundary half of all fresh means are right."""


Plan = tuple[list[float], Sequence[Attack | None]]
"""The places of an axis, and the attack of each."""


@dataclass(frozen=True, kw_only=True)
class Withstood:
    """What is left of a model at the places of an axis, and how far the examples that were broken had to move.

    right : (places, n). distance : l2, (places, n), NaN where an example is not broken, or was wrong from the start.
    """

    right: np.ndarray
    distance: np.ndarray


def withstood(
    net: nn.Module, attacks: Sequence[Attack | None], x: Tensor, y: Tensor, *, draws: int, seed: int, growing: bool
) -> Withstood:
    """Attack at each place in turn (None: not at all); a row counts as broken by the mean of `draws` fresh draws there.

    growing : each place allows what the one before did, so that a row once broken stays so and is left alone.
    """
    generator = torch_generator(seed, "attacks")
    answers = predict(net, x, draws=draws, generator=generator)
    clean, gaps = (answers.logits.argmax(1) == y).numpy(), _gaps(answers.members, y)
    right, far = [], []
    standing, distance = clean, np.full(len(x), np.nan)
    for attack in attacks:
        standing, distance = (standing.copy(), distance.copy()) if growing else (clean.copy(), distance * np.nan)
        for rows in _batches(standing) if attack else ():
            assert attack is not None
            found = attack(net, x[rows], y[rows], generator=generator).adversarial
            length = (found - x[rows]).flatten(1).norm(dim=1).numpy()
            broken = (length > 0) & ~is_right(net, found, y[rows], draws, generator)
            if isinstance(attack, CarliniWagner) and attack.c is not None:
                broken &= length**2 <= attack.c * gaps[rows] / 2
            standing[rows[broken]] = False
            distance[rows[broken]] = length[broken]
        right.append(standing)
        far.append(distance)
    return Withstood(right=np.array(right), distance=np.array(far))


def _batches(chosen: np.ndarray) -> list[np.ndarray]:
    rows = np.flatnonzero(chosen)
    return np.array_split(rows, -(-len(rows) // BATCH)) if len(rows) else []


def _gaps(members: Tensor, y: Tensor) -> np.ndarray:
    """By how much the logit of the class is the largest, mean over the draws, (n,): g of (2.3) at the inputs.

    A descent on (2.2) ends where its pull 2 |d| balances c |grad g|. Where g falls in a straight line to 0 at distance
    d, it gets there if d^2 <= c g / 2; an iterate that is adversarial farther away is one that it goes back from.
    """
    own = members.gather(2, y.expand(len(members), -1)[..., None]).squeeze(2)
    others = members.scatter(2, y.expand(len(members), -1)[..., None], -torch.inf).amax(2)
    return (own - others).clamp_min(0).mean(0).numpy()


def is_right(net: nn.Module, x: Tensor, y: Tensor, draws: int, generator: torch.Generator) -> np.ndarray:
    """Whether the mean of the probabilities of fresh draws is right, (n,)."""
    return (predict(net, x, draws=draws, generator=generator).logits.argmax(1) == y).numpy()


def is_random(net: nn.Module, x: Tensor) -> bool:
    """Whether the model answers twice differently."""
    first, second = predict(net, x[:2], draws=2).members
    return not torch.equal(first, second)


def under(spec: Spec, kind: str, eot: int, **more: Any) -> tuple[list[float], Withstood]:
    """Places of the axis of an attack of the budget (`KINDS`), and what the model withstands there."""
    budget = BUDGETS[spec.scale]
    settings = {"draws": budget["draws"]} | budget[kind] | more
    return kept(_under)(spec, spec.budget, kind, eot, settings, digest(evaluation=True))


def _under(
    spec: Spec, budget: dict[str, Any], kind: str, eot: int, settings: dict[str, Any], code: str
) -> tuple[list[float], Withstood]:
    places, attacks = KINDS[kind](settings, eot)
    rows = spec.images
    found = withstood(
        model(spec), attacks, rows.test_x, rows.test_y, draws=settings["draws"], seed=spec.seed, growing=kind != "steps"
    )
    return places, found


def _carlini(settings: dict[str, Any], eot: int) -> Plan:
    weights = settings["weights"]
    how: dict[str, Any] = {"steps": settings["steps"], "learning_rate": settings["learning_rate"], "eot": eot}
    kappa = 0.0 if eot == 1 else MARGIN
    return [0.0, *weights], [None, *(CarliniWagner(c=c, kappa=kappa, **how) for c in weights)]


def _pgd(settings: dict[str, Any], eot: int) -> Plan:
    norm, steps, radii = settings.get("norm", "linf"), settings["steps"], settings["eps"]
    return radii, [PGD(eps=eps, norm=norm, steps=steps, eot=eot) if eps else None for eps in radii]


def _steps(settings: dict[str, Any], eot: int) -> Plan:
    return settings["steps"], [PGD(eps=settings["eps"], steps=steps, eot=eot) for steps in settings["steps"]]


KINDS = {"carlini": _carlini, "pgd": _pgd, "l2": _pgd, "steps": _steps}
"""Settings of the budget and draws per step -> the places of the axis and the attacks of each."""


def shares(name: str, right: Sequence[np.ndarray], **conditions: Any) -> Measured:
    """A share of rows: Wilson's interval for one seed, Student's over several; `right` has the rows of each seed."""
    if len(right) == 1:
        return intervals.share(name, right[0], **conditions)
    return intervals.splits(name, np.array([rows.mean() for rows in right]), seeds=len(right), **conditions)
