"""Cell-descent: an attack on K nearest neighbours that goes on choosing I and J of (3.17) where it has arrived."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from trustworthy.core import checks
from trustworthy.neighbors.attacks.choices import Choice, Choices
from trustworthy.neighbors.cells import Arena, arena_of, crossed, entries
from trustworthy.neighbors.geometry import Geometry

_FIRST = 128  # rows of the own class, and of others, that the first descent looks at
_MOST = 1200  # rows that the last one looks at
_BRIEF = 2  # clusters that it tries
_TRIED = 4  # solutions that are ties, of which the first that leaves room for a strict one is taken
_REPAIRS = 20  # times that rows which an arena lacked are added to it


@dataclass(frozen=True, kw_only=True)
class CellDescent:
    """Shortest perturbations of programme (3.17), with I and J chosen again and again.

    QP-greedy (Algorithm 6) takes the I nearest to the query. Here each start solves the programme of a cluster J of
    another class, then takes for I and J the rows that are nearest at its solution, until it gets no shorter. The best
    solutions then try to exchange one row of I or J for a row whose half-space binds, or that is near, until no
    exchange gets shorter. Nothing is random.

    starts : clusters tried, those whose first row comes in with the smallest perturbation, at least 1.
    polished : solutions that exchange rows, at least 1.
    near : rows that each row of J is exchanged for, at least 0.

    Cost: one product of each query with the points and one of a hundred near rows with the points, then some hundred
    small quadratic programmes.
    """

    starts: int = 32
    polished: int = 12
    near: int = 16

    def __post_init__(self) -> None:
        for name, least in (("starts", 1), ("polished", 1), ("near", 0)):
            checks.integer(name, getattr(self, name), at_least=least)

    def __call__(
        self,
        geometry: Geometry,
        queries: Float[np.ndarray, "m d"],
        codes: Int[np.ndarray, " m"],
        *,
        n_neighbors: int,
        bounds: tuple[float, float] | None,
        random_state: int,
    ) -> Float[np.ndarray, "m d"]:
        """Perturbations (m, d) that change the vote: zeros where it is wrong to begin with, NaN where none was found.

        codes : (m,) the true classes; bounds : the box that perturbed queries keep, or None.
        """
        queries = np.ascontiguousarray(queries, np.float64)
        perturbation = np.zeros(queries.shape)
        for row in np.flatnonzero(geometry.predict(queries, n_neighbors) == codes):
            query, code = queries[row], int(codes[row])
            # One query at a time: a product of many rounds differently, and answers would depend on the company.
            coarse, error = geometry.coarse_distances(query[None])
            entry = entries(geometry, query, code, coarse[0], float(error[0]), n_neighbors)
            perturbation[row] = self.descend(geometry, query, code, entry, n_neighbors=n_neighbors, bounds=bounds)
        return perturbation

    def descend(
        self,
        geometry: Geometry,
        query: Float[np.ndarray, " d"],
        code: int,
        entry: Float[np.ndarray, " n"],
        *,
        n_neighbors: int,
        bounds: tuple[float, float] | None,
    ) -> Float[np.ndarray, " d"]:
        """The perturbation (d,) of one query that is right to begin with; NaN where none was found.

        entry : (n,) sizes below which a row cannot matter, from `cells.entries`.
        """
        own = geometry.labels == code
        order = np.argsort(entry, kind="stable")
        rows = np.concatenate([order[own[order]][:_FIRST], order[~own[order]][:_FIRST]])
        options = {"n_neighbors": n_neighbors, "bounds": bounds}
        first = self._repaired(geometry, query, code, rows, entry, brief=True, **options)
        size = np.inf if first is None else float(np.linalg.norm(first))
        rows = order[: min(_MOST, int((entry < size).sum()))]
        best = self._repaired(geometry, query, code, rows, entry, brief=False, **options)
        found = [step for step in (first, best) if step is not None]
        return min(found, key=np.linalg.norm, default=np.full(len(query), np.nan))

    def _repaired(
        self,
        geometry: Geometry,
        query: Float[np.ndarray, " d"],
        code: int,
        rows: Int[np.ndarray, " k"],
        entry: Float[np.ndarray, " n"],
        *,
        brief: bool,
        n_neighbors: int,
        bounds: tuple[float, float] | None,
    ) -> Float[np.ndarray, " d"] | None:
        """Descend among some rows, and again with those that were missing wherever it ended."""
        for _ in range(_REPAIRS):
            arena = arena_of(geometry, query, code, np.sort(rows), bounds)
            found = self._found(arena, entry[arena.rows], n_neighbors, brief)
            for choice in found[:_TRIED]:
                step = crossed(geometry, query, arena, choice.nearest, n_neighbors=n_neighbors, bounds=bounds)
                if step is not None:
                    return step
            if not found:
                return None
            moved = query + arena.perturbation(found[0].step)
            coarse, error = geometry.coarse_distances(moved[None])
            missing = np.setdiff1d(geometry.nearest(moved, coarse[0], float(error[0]), 2 * n_neighbors), rows)
            if len(missing) == 0:
                return None
            rows = np.concatenate([rows, missing])
        return None

    def _found(self, arena: Arena, entry: Float[np.ndarray, " m"], n_neighbors: int, brief: bool) -> list[Choice]:
        """Where the starts end in an arena, the shortest solution first."""
        leads = np.flatnonzero(~arena.own)
        leads = leads[np.argsort(entry[leads], kind="stable")][: _BRIEF if brief else self.starts]
        # J of any other rows, whose votes may be split; and of each other class, with all the rest against it.
        ways = [Choices(arena, n_neighbors, ~arena.own)]
        if n_neighbors > 1 and len(np.unique(arena.labels)) > 2:
            ways += [Choices(arena, n_neighbors, arena.labels == label) for label in np.unique(arena.labels[leads])]
        found: list[Choice] = []
        for choices in ways:
            begun = [choices.begun(int(lead)) for lead in leads if choices.others[lead]]
            settled = [choices.settled(choice) for choice in begun if choice is not None]
            if not brief:
                settled += [self._polished(choices, choice) for choice in self._distinct(settled)]
            found += settled
        return sorted(found, key=lambda choice: choice.size)

    def _distinct(self, found: list[Choice]) -> list[Choice]:
        """The shortest ones, of which starts that came to the same solution count as one."""
        kept: list[Choice] = []
        for choice in sorted(found, key=lambda choice: choice.size):
            if len(kept) < self.polished and (not kept or choice.size * (1.0 - 1e-9) > kept[-1].size):
                kept.append(choice)
        return kept

    def _polished(self, choices: Choices, choice: Choice) -> Choice:
        """Exchange rows until no exchange gets shorter."""
        better = choices.exchanged(choice, self.near)
        while better is not None:
            choice = choices.settled(better)
            better = choices.exchanged(choice, self.near)
        return choice
