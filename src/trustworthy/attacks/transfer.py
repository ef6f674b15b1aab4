"""How far adversarial examples made on one model fool another (section 2.2.3, eq. 2.26)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from trustworthy.attacks.attack import Attack
from trustworthy.attacks.evaluate import Advance, batches, check_examples, is_correct, silent, taken
from trustworthy.core.errors import InvalidInput
from trustworthy.core.grid import Grid
from trustworthy.core.protocols import AnyClassifier
from trustworthy.core.result import Array


@dataclass(frozen=True)
class TransferAffinity:
    """Transfer between models; rows are sources (A), columns are targets (B), in the order of `names`.

    names : the models.
    affinity : rho of eq. (2.26), (Acc[B] - Acc[B|A]) / (Acc[B] - Acc[B|B]): 0 where A's examples leave B unharmed,
        1 where they harm it as its own do, above 1 where they harm it more. NaN where B loses nothing to its own
        examples and the ratio is undefined.
    clean : Acc[B].
    attacked : Acc[B|A], the accuracy of B on the examples made on A.
    """

    names: tuple[str, ...]
    affinity: Float[np.ndarray, "models models"]
    clean: Float[np.ndarray, " models"]
    attacked: Float[np.ndarray, "models models"]


def transfer_affinity(
    models: Mapping[str, AnyClassifier] | Sequence[AnyClassifier],
    attack: Attack,
    x: Array,
    y: Array,
    *,
    free: Array | None = None,
    grid: Grid | None = None,
    generator: torch.Generator | None = None,
    batch_size: int = 256,
    advance: Advance = silent,
) -> TransferAffinity:
    """Matrix of eq. (2.26) between `models` under `attack`.

    Parameters
    ----------
    models : at least one model, by name or in order (then named "0", "1", ...).
    attack : a budget attack; one that minimises the distance stops at each source's own boundary and hardly transfers.
    x, y, free, grid, generator : see `Attack.__call__`.
    batch_size : examples attacked at once.
    advance : called after each batch with the share of the examples that is done, up to 1.

    Cost: one attack per model, and models * (models + 1) forward passes over `x`.
    """
    named = dict(models) if isinstance(models, Mapping) else {str(i): model for i, model in enumerate(models)}
    if not named:
        raise InvalidInput("models must hold at least one model, got none.")
    count = check_examples(x, y, attack.bounds, free)
    asked = {"generator": generator, "batch_size": batch_size}
    clean = np.array([is_correct(model, attack, x, y, **asked).mean() for model in named.values()])
    right = np.zeros((len(named), len(named)))
    for rows in batches(np.arange(count), batch_size, advance):
        for i, source in enumerate(named.values()):
            how: Any = {"free": taken(free, rows), "grid": grid, "generator": generator}
            adversarial = attack(source, x[rows], y[rows], **how).adversarial
            for j, judge in enumerate(named.values()):
                right[i, j] += is_correct(judge, attack, adversarial, y[rows], **asked).sum()
    attacked = right / count
    loss, own = clean[None, :] - attacked, clean - attacked.diagonal()
    affinity = np.divide(loss, own[None, :], out=np.full_like(loss, np.nan), where=own[None, :] > 0)
    return TransferAffinity(tuple(named), affinity, clean, attacked)
