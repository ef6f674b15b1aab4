"""Explicit Runge-Kutta methods on a state of several tensors, from their tableaux."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

State = tuple[Tensor, ...]
Slope = Callable[[float, State], State]
Integrator = Callable[[Slope, Sequence[float], State], tuple[list[State], int]]
"""Function of a slope, times and the state at the first of them: the states at the others, and the steps taken."""


@dataclass(frozen=True)
class Tableau:
    """nodes c and rows a of the stages after the first, weights b; `error` are b less the weights of lower order."""

    nodes: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    error: tuple[float, ...] = ()


EULER = Tableau((), (), (1.0,))
HEUN = Tableau((1.0,), ((1.0,),), (1 / 2, 1 / 2))
RUNGE_KUTTA_4 = Tableau((1 / 2, 1 / 2, 1.0), ((1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6))
# Dormand and Prince 1980. The last row is the weights: the last slope is the first of the next step.
_DORMAND_PRINCE_WEIGHTS = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
DORMAND_PRINCE = Tableau(
    nodes=(1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0),
    rows=(
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        _DORMAND_PRINCE_WEIGHTS,
    ),
    weights=(*_DORMAND_PRINCE_WEIGHTS, 0.0),
    error=(71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
)


def stages(tableau: Tableau, slope: Slope, t: float, h: float, state: State, first: State) -> list[State]:
    """The slopes of one step; `first` is the one at (t, state)."""
    slopes = [first]
    for node, row in zip(tableau.nodes, tableau.rows, strict=True):
        slopes.append(slope(t + node * h, combined(state, h, row, slopes)))
    return slopes


def advanced(tableau: Tableau, slope: Slope, t: float, h: float, state: State) -> State:
    """The state after one step."""
    return combined(state, h, tableau.weights, stages(tableau, slope, t, h, state, slope(t, state)))


def combined(state: State, h: float, weights: Sequence[float], slopes: Sequence[State]) -> State:
    """state + h * (sum of weighted slopes), part by part."""
    parts = []
    for index, part in enumerate(state):
        for weight, slope in zip(weights, slopes, strict=False):
            if weight:
                part = torch.add(part, slope[index], alpha=h * weight)
        parts.append(part)
    return tuple(parts)
