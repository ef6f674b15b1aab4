"""Choices of I and J in programme (3.17), and how they get better: settle where they lead, exchange one row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from trustworthy.neighbors import branch_kernels
from trustworthy.neighbors.cells import Arena, Step

_SHORTER = 1.0 - 1e-9  # what counts as an improvement


@dataclass(frozen=True, eq=False)
class Choice:
    """Rows of I, that are let be, and of J, that get in; the solution, and the K nearest rows there."""

    rows_i: Int[np.ndarray, " i"]
    rows_j: Int[np.ndarray, " j"]
    step: Step
    nearest: Int[np.ndarray, " k"]

    @property
    def size(self) -> float:
        return self.step.size


@dataclass(frozen=True, eq=False)
class Choices:
    """What can be chosen in an arena: `others` (m,) is the mask of the rows of which J is taken, I of the rest."""

    arena: Arena
    n_neighbors: int
    others: Bool[np.ndarray, " m"]

    def begun(self, lead: int) -> Choice | None:
        """J is the cluster of a row within its class, I the nearest rows; None where these do not change the vote."""
        arena, majority = self.arena, (self.n_neighbors + 1) // 2
        spread = np.diagonal(arena.gram) - 2.0 * arena.gram[lead]
        rows_j = _least(spread, self.others & (arena.labels == arena.labels[lead]), majority)
        if len(rows_j) < majority:
            rows_j = _least(spread, self.others, majority)
        rows_i = _least(arena.heights, ~self.others, majority - 1)
        if len(rows_j) < majority or len(rows_i) < majority - 1:
            return None
        return self._solved(rows_i, rows_j, np.inf)

    def settled(self, choice: Choice) -> Choice:
        """Take the rows that are nearest at the solution, until it gets no shorter.

        They allow all that the rows before allowed there, so that it gets no longer.
        """
        while True:
            scores = choice.step.scores
            rows_i = _least(scores, ~self.others, len(choice.rows_i))
            rows_j = _least(scores, self.others, len(choice.rows_j))
            better = self._solved(rows_i, rows_j, choice.size * _SHORTER)
            if better is None:
                return choice
            choice = better

    def exchanged(self, choice: Choice, near: int) -> Choice | None:
        """The first choice with one row exchanged that is shorter, or None.

        Rows that push the most become free, each in the place of one of I; then the rows of J that hold back the most
        make way for the `near` next ones.
        """
        rows_i, rows_j, limit = choice.rows_i, choice.rows_j, choice.size * _SHORTER
        push = choice.step.push
        for i in _least(-push, ~self.others & (push > 0.0), len(push)):
            for place in range(len(rows_i)):
                better = self._solved(_swapped(rows_i, place, int(i)), rows_j, limit)
                if better is not None:
                    return better
        nearby = np.setdiff1d(_least(choice.step.scores, self.others, len(rows_j) + near), rows_j)
        nearby = nearby[np.argsort(choice.step.scores[nearby], kind="stable")]
        for place in np.argsort(-push[rows_j], kind="stable"):
            if push[rows_j[place]] > 0.0:
                for j in nearby:
                    better = self._solved(rows_i, _swapped(rows_j, int(place), int(j)), limit)
                    if better is not None:
                        return better
        return None

    def _solved(self, rows_i: Int[np.ndarray, " i"], rows_j: Int[np.ndarray, " j"], limit: float) -> Choice | None:
        """The choice of I and J; None unless its solution is shorter than `limit` and changes the vote."""
        arena = self.arena
        outside = ~self.others
        outside[rows_i] = False
        step = arena.solve(rows_j, outside, limit=limit)
        if step.status != branch_kernels.REACHED:
            return None
        nearest = arena.nearest(step.scores, rows_j, outside, self.n_neighbors)
        return Choice(rows_i, rows_j, step, nearest) if arena.changes(nearest) else None


def _least(values: Float[np.ndarray, " m"], mask: Bool[np.ndarray, " m"], count: int) -> Int[np.ndarray, " k"]:
    """The `count` rows of a mask with the least values, the least first."""
    rows = np.flatnonzero(mask)
    return rows[np.argsort(values[rows], kind="stable")[:count]]


def _swapped(rows: Int[np.ndarray, " k"], place: int, row: int) -> Int[np.ndarray, " k"]:
    out = rows.copy()
    out[place] = row
    return out
