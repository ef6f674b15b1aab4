"""Substitute: gradient ascent on a smooth copy of the nearest-neighbour rule."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.neighbors.attacks.frame import Found, NeighborAttack
from trustworthy.neighbors.attacks.line import shortest_change
from trustworthy.neighbors.geometry import Geometry
from trustworthy.neighbors.query import Query, inside

_WIDEST = 1e12  # a longer step, in units of the spread of the rows, only overflows
_NEGLIGIBLE = 30.0  # rows whose weight is e^-30 of the largest one or less have none


@dataclass(frozen=True, kw_only=True)
class Substitute(NeighborAttack):
    """Normalised gradient ascent on the cross-entropy of a soft nearest neighbour, until the true one changes class.

    The soft rule gives row i the weight softmax(-D_i / temperature), D the squared distances, and a class the sum of
    its rows. The gradient then points from the mean of the own rows to the mean of the others, each weighted by the
    softmax among themselves; written so, it does not vanish where the rule is certain.

    steps : steps at most, >= 1; queries whose nearest row is still of their class fail.
    step_size : l2 length of a step in the units of the input, > 0.
    temperature : in squared distances under the metric, > 0.
    shrink : whether to bisect between the query and the first iterate that changes the class. False keeps that iterate
        as it is, which is what the authors' released code does, and is up to a step longer than needed.

    For one neighbour. Cost: a product of the queries with the points, in single precision, in every step.
    """

    for_one_neighbor = True
    steps: int = 1000
    step_size: float = 0.1
    temperature: float = 1.0
    shrink: bool = True

    def __post_init__(self) -> None:
        checks.integer("steps", self.steps, at_least=1)
        checks.real("step_size", self.step_size, above=0.0)
        checks.real("temperature", self.temperature, above=0.0)
        if not isinstance(self.shrink, bool):
            raise InvalidInput(f"shrink must be True or False, got {self.shrink!r}.")

    def in_units(self, length: float, distance: float) -> Substitute:
        return replace(
            self,
            step_size=float(np.clip(self.step_size / length, 1e-100, _WIDEST)),
            temperature=float(np.clip(self.temperature / distance / distance, 1e-100, 1e100)),
        )

    def find(self, queries: list[Query]) -> Found:
        moves = [np.zeros_like(query.x) for query in queries]
        done = np.zeros(len(queries), bool)
        for _ in range(self.steps + 1):
            active = np.flatnonzero(~done)
            if len(active) == 0:
                break
            moved = np.array([queries[k].x + moves[k] for k in active])
            coarse, error = queries[0].geometry.coarse_distances(moved)
            for row, k in enumerate(active):
                step = self._step(queries[k], moved[row], coarse[row], float(error[row]))
                done[k] = step is None
                if step is not None:
                    moves[k] = inside(queries[k].x, moves[k] + step, queries[k].bounds)
        for query, move, changed in zip(queries, moves, done, strict=True):
            if not changed:
                yield None
            else:
                yield shortest_change(query, move[None]) if self.shrink else move

    def _step(
        self, query: Query, moved: Float[np.ndarray, " d"], coarse: Float[np.ndarray, " n"], error: float
    ) -> Float[np.ndarray, " d"] | None:
        """The next step from `moved`, or None where the nearest row is of another class."""
        geometry = query.geometry
        own = geometry.labels == query.code
        (mean, first), (aim, second) = (self._soft_mean(geometry, moved, coarse, error, side) for side in (own, ~own))
        if second[0] < first[0] or (second[0] == first[0] and second[1] < first[1]):
            return None
        here, there = geometry.image(np.stack([mean, aim]))
        direction = there - here
        length = np.linalg.norm(direction)
        return direction * (self.step_size / length) if length > 0 else np.zeros_like(direction)

    def _soft_mean(
        self,
        geometry: Geometry,
        moved: Float[np.ndarray, " d"],
        coarse: Float[np.ndarray, " n"],
        error: float,
        side: np.ndarray,
    ) -> tuple[Float[np.ndarray, " d"], tuple[float, int]]:
        """Mean of the rows of a side, weighted by their softmax, and the (squared distance, row) of the nearest."""
        reach = _NEGLIGIBLE * self.temperature
        rows = np.flatnonzero(side & (coarse <= coarse[side].min() + 2 * error + reach))
        fine = geometry.fine_distances(moved, rows)
        nearest = int(fine.argmin())
        excess = fine - fine[nearest]
        weights = np.where(excess <= reach, np.exp(-excess / self.temperature), 0.0)
        return weights @ geometry.points[rows] / weights.sum(), (float(fine[nearest]), int(rows[nearest]))
