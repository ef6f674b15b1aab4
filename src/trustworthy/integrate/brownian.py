"""Brownian motion as an object that is asked for its increments, at any times and in any order."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from trustworthy.core.seeds import torch_generator
from trustworthy.integrate.grid import Grid, Interval
from trustworthy.integrate.paths import Blocks, Path, plain

_RESOLUTION = 2**20
_NODES = 512


class BrownianPath(Path):
    """One draw of Brownian motion on an interval: `path(s, t)` is B_t - B_s, the same whenever it is asked.

    The increments over a planned grid are drawn in blocks, so that going through the grid in order costs what drawing
    them costs. Inside a cell of the grid the path is a Brownian bridge, halved until the time is reached (at most 20
    times, without recursion); across cells it is their sum. So the answers to any questions fit together, to rounding.
    Every number depends on the seed and its place alone: memory does not grow with the steps, and where the path is
    used plays no part.

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
        super().__init__(shape, Grid.of(interval, steps), generator, dtype, device)
        self._whole, self._rows = self.shape, None
        self._start, self._rate, self._last = self.grid.start, _RESOLUTION / self.grid.step, steps * _RESOLUTION
        self._cells = Blocks(self, "cells", self._increments, steps, math.prod(self.shape))
        self._bridge: tuple[int, dict[int, Tensor]] = (-1, {})  # of the cell that was asked last

    def __call__(self, start: float, end: float) -> Float[Tensor, "batch *state"]:
        """B_end - B_start.

        Raises
        ------
        InvalidInput
            Where a time lies outside of the interval, or end < start.
        """
        try:
            first, last = round((start - self._start) * self._rate), round((end - self._start) * self._rate)
        except (ValueError, OverflowError):  # not finite
            first = last = -1
        if not 0 <= first <= last <= self._last:
            self._refuse(start, end)
        cell, inside = divmod(first, _RESOLUTION)
        whole = inside == 0 and last == first + _RESOLUTION  # the planned grid
        increment = self._cells.row(cell) if whole else self._between(first, last)
        return increment if self._rows is None else increment.index_select(0, self._rows)

    def rows(self, rows: Sequence[int]) -> BrownianPath:
        """The path of these rows of the batch alone."""
        self._check_rows(rows)
        chosen, index = copy.copy(self), torch.as_tensor(rows, dtype=torch.long, device=self.device)
        chosen._rows = index if self._rows is None else self._rows[index]
        chosen.shape = (len(index), *self.shape[1:])
        return chosen

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
        zero = torch.zeros(self._whole, dtype=self.dtype, device=self.device)
        if moment == 0:
            return zero
        if self._bridge[0] != cell or len(self._bridge[1]) > _NODES:
            self._bridge = cell, {0: zero, _RESOLUTION: self._cells.row(cell)}
        known, left, right = self._bridge[1], 0, _RESOLUTION
        while True:
            middle = (left + right) // 2
            if middle not in known:
                known[middle] = self._halved(cell, known, left, middle, right)
            if middle == moment:
                return known[middle]
            left, right = (left, middle) if moment < middle else (middle, right)

    def _halved(self, cell: int, known: dict[int, Tensor], left: int, middle: int, right: int) -> Tensor:
        generator = torch_generator(self.seed, "bridge", cell, middle, device=self.home)
        with plain():
            normal = torch.randn(self._whole, dtype=self.dtype, generator=generator, device=self.home)
        spread = math.sqrt(self.grid.step * (right - left) / _RESOLUTION) / 2
        return torch.add((known[left] + known[right]) / 2, normal.to(self.device), alpha=spread)
