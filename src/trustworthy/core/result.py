"""What an attack returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Array: TypeAlias = Any
"""A tensor where the attack was given tensors, a NumPy array where it was given NumPy arrays."""


@dataclass(frozen=True)
class AttackResult:
    """Adversarial examples and how good they are; every field has one entry per example.

    adversarial : the examples (batch, *shape). An attack with a budget returns the iterate of highest loss even
        where it fails; an attack that minimises the distance returns the input itself where it fails.
    success : whether the model, asked once more, errs on `adversarial` (or predicts the target).
    open : whether the draws of a stochastic model leave that open; never where the attack was given no `judge`.
    distance : norm of adversarial - x; inf where an attack that minimises the distance fails.
    queries : examples shown to the model for each input, forward passes counted once per draw; 0 where the attack reads
        the model itself and shows it nothing.
    """

    adversarial: Array
    success: Array
    open: Array
    distance: Array
    queries: Array
