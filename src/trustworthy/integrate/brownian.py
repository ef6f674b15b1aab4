"""Brownian motion as an object that is asked for its increments, at any times and in any order."""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.seeds import derived_seed
from trustworthy.integrate.counted import Counted, seed_from
from trustworthy.integrate.grid import Grid, Interval

_RESOLUTION = 2**20
_NODES = 512


class BrownianPath:
    """One draw of Brownian motion on an interval: `path(s, t)` is B_t - B_s, the same whenever it is asked.

    The increments over a planned grid are drawn in blocks, so that going through the grid in order costs what drawing
    them costs. Inside a cell of the grid the path is a Brownian bridge, halved until the time is reached (at most 20
    times, without recursion); across cells it is their sum. So the answers to any questions fit together. Every number
    depends on the seed and its place alone: memory does not grow with the steps, and where the path is used plays no
    part.

    Parameters
    ----------
    shape : of an increment: (batch, *state), or (batch, m) where m motions are mixed.
    steps : cells of the planned grid, >= 1: as many as the solver's steps, or fewer where the solver refines.
    interval : (first, last) time.
    generator : one number is drawn from it, the seed; None takes torch's global stream. The path is drawn on its
        device (the CPU for None) and moves to `device`, so that a generator of the CPU gives the same path everywhere.
    dtype, device : of the increments; None for torch's defaults.

    Times are resolved to 2**-20 of a cell. Cost of a question: the cells it covers, and at most 20 draws at either end.
    A row's numbers depend on its place in the batch: `rows` gives the path of some rows alone.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        steps: int,
        interval: Interval = (0.0, 1.0),
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        self.shape = tuple(checks.integer("shape", size, at_least=0) for size in shape)
        self._whole = self.shape
        self.grid = Grid.of(interval, steps)
        self._start, self._rate, self._last = self.grid.start, _RESOLUTION / self.grid.step, steps * _RESOLUTION
        self.dtype = torch.get_default_dtype() if dtype is None else dtype
        self.device = torch.get_default_device() if device is None else torch.device(device)
        self._home = torch.device("cpu") if generator is None else generator.device
        self._seed = seed_from(generator)
        self._cells = Counted(
            self._increments, self.grid.steps, math.prod(self.shape), self._seed, self._home, self.device
        )
        self._bridges: OrderedDict[int, dict[int, Tensor]] = OrderedDict()
        self._rows: Tensor | None = None

    def __call__(self, start: float, end: float) -> Float[Tensor, "batch *state"]:
        """B_end - B_start.

        Raises
        ------
        InvalidInput
            Where a time lies outside of the interval, or end < start.
        """
        first, last = self._place(start), self._place(end)
        cell, inside = divmod(first, _RESOLUTION)
        if inside == 0 and last == first + _RESOLUTION:  # the planned grid
            increment = self._cells.row(cell)
        elif first <= last:
            increment = self._between(first, last)
        else:
            raise InvalidInput(f"end must be >= start, got start {start!r} and end {end!r}; swap them.")
        return increment if self._rows is None else increment.index_select(0, self._rows)

    def rows(self, rows: Sequence[int]) -> BrownianPath:
        """The path of these rows of the batch alone."""
        chosen = copy.copy(self)
        index = torch.as_tensor(rows, device=self.device)
        chosen._rows = index if self._rows is None else self._rows[index]
        chosen.shape = (len(index), *self.shape[1:])
        return chosen

    def _place(self, time: float) -> int:
        """Number of the moment: 2**20 of them in a cell."""
        place = round((time - self._start) * self._rate)
        if not 0 <= place <= self._last:
            grid = self.grid
            raise InvalidInput(
                f"the path covers times from {grid.start:g} to {grid.end:g}, got {time!r}; make it with "
                f"interval=({min(time, grid.start):g}, {max(time, grid.end):g})."
            )
        return place

    def _increments(self, cells: int, generator: torch.Generator) -> Tensor:
        drawn = torch.empty((cells, *self._whole), dtype=self.dtype, device=generator.device)
        return drawn.normal_(0.0, math.sqrt(self.grid.step), generator=generator)

    def _between(self, first: int, last: int) -> Tensor:
        (cell, inside), (final, beyond) = divmod(first, _RESOLUTION), divmod(last, _RESOLUTION)
        increment = -self._within(cell, inside)
        for piece in self._cells.pieces(cell, final):
            increment += piece.sum(0)
        return increment + self._within(final, beyond)

    def _within(self, cell: int, moment: int) -> Tensor:
        """B at a moment of a cell, less B where the cell begins."""
        if moment == 0:
            return torch.zeros(self._whole, dtype=self.dtype, device=self.device)
        known = self._bridge(cell)
        left, right = 0, _RESOLUTION
        while True:
            middle = (left + right) // 2
            if middle not in known:
                known[middle] = self._halved(cell, known, left, middle, right)
            if middle == moment:
                return known[middle]
            left, right = (left, middle) if moment < middle else (middle, right)

    def _halved(self, cell: int, known: dict[int, Tensor], left: int, middle: int, right: int) -> Tensor:
        generator = torch.Generator(device=self._home).manual_seed(derived_seed(self._seed, "bridge", cell, middle))
        normal = torch.randn(self._whole, dtype=self.dtype, generator=generator, device=self._home).to(self.device)
        spread = math.sqrt(self.grid.step * (right - left) / _RESOLUTION) / 2
        return torch.add((known[left] + known[right]) / 2, normal, alpha=spread)

    def _bridge(self, cell: int) -> dict[int, Tensor]:
        """What is known of the bridge in a cell; of two cells at most, and no more than `_NODES` moments of each."""
        known = self._bridges.get(cell)
        if known is None or len(known) > _NODES:
            known = {0: torch.zeros(self._whole, dtype=self.dtype, device=self.device)}
            known[_RESOLUTION] = self._cells.row(cell)
            self._bridges[cell] = known
            if len(self._bridges) > 2:
                self._bridges.popitem(last=False)
        return known
