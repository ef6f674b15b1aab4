"""What each feature adds to the value of a set on average: the regression of (7.6), whose coefficients rank features.

Coalitions are sets of the features that are still to be chosen, drawn at random or all of them.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

ENOUGH = 2  # coalitions for each feature, from which on least squares need no help


def aggregation(
    values: Float[Tensor, " k"], coalitions: Bool[Tensor, "k features"]
) -> tuple[Float[Tensor, " features"], Float[Tensor, " features"]]:
    """Coefficients w of (7.6), with an intercept, by least squares, and their standard errors, both in float64.

    Of all coalitions w is the Banzhaf value, the mean over them of what a feature adds (Hammer and Holzman 1992).
    Fewer coalitions than twice the features do not determine it well. Then it is shrunk by a ridge, whose strength is
    the ratio of the variances of noise and coefficients under which the values are most likely, and the errors are
    those of the posterior. A feature that all or none of the coalitions hold has coefficient 0 and error inf.

    Cost: features**3.
    """
    design = coalitions.double() - coalitions.double().mean(0)
    centred = values.double() - values.double().mean()
    strength, basis = torch.linalg.eigh(design.T @ design)
    strength = torch.where(strength > strength.max() * 1e-10, strength, 0.0)
    along = torch.where(strength > 0, basis.T @ (design.T @ centred), 0.0)
    freedom = max(1, len(values) - 1)
    if len(values) >= ENOUGH * coalitions.shape[1]:
        ridge, freedom = 0.0, max(1, freedom - int((strength > 0).sum()))
    else:
        ridge = _likeliest(strength, along, centred)
    shrunk = torch.where(strength > 0, 1 / (strength + ridge), 1 / ridge if ridge else 0.0)
    noise = (centred.square().sum() - (along.square() * shrunk).sum()).clamp_min(0.0) / freedom
    error = (noise * (basis.square() @ shrunk)).sqrt()
    return basis @ (along * shrunk), error.masked_fill(~design.any(0), torch.inf)


def _likeliest(
    strength: Float[Tensor, " features"], along: Float[Tensor, " features"], centred: Float[Tensor, " k"]
) -> float:
    """The ridge under which the values have the largest marginal likelihood, of powers of two."""
    freedom = len(centred) - 1
    scale = max(float(strength.mean()), torch.finfo(strength.dtype).tiny)
    best, found = math.inf, scale
    for power in range(-16, 17):
        ridge = scale * 2.0**power
        left = centred.square().sum() - (along.square() / (strength + ridge)).sum()
        cost = float(freedom * left.clamp_min(1e-300).log() + (strength / ridge).log1p().sum())
        if cost < best:
            best, found = cost, ridge
    return found


def drawn_coalitions(
    features: int, count: int, inclusion: float, generator: torch.Generator | None, device: torch.device
) -> Bool[Tensor, "k features"]:
    """At most `count` coalitions that hold each feature with probability `inclusion`; all of them where they are few.

    Each is drawn independently for every feature. As many as fit share their numbers so that each feature is in the
    same number of them: for 1/2, a coalition and its complement.
    """
    if features < 31 and 2**features <= count:
        codes = torch.arange(2**features, device=device)
        return (codes[:, None] >> torch.arange(features, device=device)) % 2 == 1
    together = max(1, int(1 / inclusion + 1e-9))
    numbers = torch.rand(-(-count // together), 1, features, generator=generator, device=device)
    turns = torch.arange(together, device=device)[:, None] / together
    return ((numbers + turns) % 1 < inclusion).flatten(0, 1)[:count]
