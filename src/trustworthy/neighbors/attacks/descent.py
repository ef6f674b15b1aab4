"""Cell-descent: it goes on choosing I and J of (3.17) where it has arrived; the search of `branch` begins with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from trustworthy.core import checks
from trustworthy.neighbors.attacks.frame import Found, NeighborAttack
from trustworthy.neighbors.cells import Arena, arena_of, crossed, entries
from trustworthy.neighbors.choices import Choice, Choices
from trustworthy.neighbors.query import Query

_FIRST = 128  # rows of the own class, and of others, that the first descent looks at
_MOST = 1200  # rows that the last one looks at
_BRIEF = 2  # clusters that it tries
_TRIED = 4  # solutions that are ties, of which the first that leaves room for a strict one is taken
_REPAIRS = 20  # times that rows which an arena lacked are added to it


@dataclass(frozen=True, kw_only=True)
class CellDescent(NeighborAttack):
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

    def find(self, queries: list[Query]) -> Found:
        for q in queries:
            query = Query.alone(q.geometry, q.x, q.code, q.n_neighbors, q.bounds)
            yield self.descend(query, entries(query))

    def descend(self, query: Query, entry: Float[np.ndarray, " n"]) -> Float[np.ndarray, " d"] | None:
        """The perturbation (d,) of one query that is right to begin with, or None.

        entry : (n,) sizes below which a row cannot matter, from `cells.entries`.
        """
        own = query.geometry.labels == query.code
        order = np.argsort(entry, kind="stable")
        rows = np.concatenate([order[own[order]][:_FIRST], order[~own[order]][:_FIRST]])
        first = self._repaired(query, rows, entry, brief=True)
        size = np.inf if first is None else float(np.linalg.norm(first))
        rows = order[: min(_MOST, int((entry < size).sum()))]
        best = self._repaired(query, rows, entry, brief=False)
        return min((step for step in (first, best) if step is not None), key=np.linalg.norm, default=None)

    def _repaired(
        self, query: Query, rows: Int[np.ndarray, " k"], entry: Float[np.ndarray, " n"], *, brief: bool
    ) -> Float[np.ndarray, " d"] | None:
        """Descend among some rows, and again with those that were missing wherever it ended."""
        for _ in range(_REPAIRS):
            arena = arena_of(query, np.sort(rows))
            found = self._found(arena, entry[arena.rows], query.n_neighbors, brief)
            for choice in found[:_TRIED]:
                step = crossed(query, arena, choice.nearest)
                if step is not None:
                    return step
            if not found:
                return None
            nearest = query.nearest_after(arena.perturbation(found[0].step), 2 * query.n_neighbors)
            missing = np.setdiff1d(nearest, rows)
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
        while (better := choices.exchanged(choice, self.near)) is not None:
            choice = choices.settled(better)
        return choice
