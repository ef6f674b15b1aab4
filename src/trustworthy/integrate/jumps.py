"""A marked Poisson process as an object that is asked for its jumps, at any times and in any order."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.seeds import derived_seed
from trustworthy.integrate.counted import Counted, seed_from
from trustworthy.integrate.grid import Grid, Interval
from trustworthy.integrate.marks import Marks, Ones

_MOST = 2**26


class Jumps(NamedTuple):
    """Jumps of an interval, in the order of their times."""

    rows: Int[Tensor, " jumps"]
    marks: Float[Tensor, "jumps *state"]
    uniforms: Float[Tensor, " jumps"]
    """In [0, 1), for thinning: a jump counts where its number is below rate(t, y) / rate_bound."""


class JumpPath:
    """One draw of marked Poisson processes, one for each row: `path(s, t)` is the sum of the marks in (s, t].

    A jump at the first time of the interval does not belong to it, a jump at the last one does; so every jump is in
    exactly one step of any grid, and any number of them may be in one step.

    Parameters
    ----------
    shape : of the state, (batch, *state).
    rate : jumps of a row per unit of time, >= 0; of a rate that depends on the state, its bound.
    interval : (first, last) time.
    marks : distribution of the marks.
    generator : one number is drawn from it, the seed; None takes torch's global stream. The path is drawn on its
        device (the CPU for None) and moves to `device`.
    dtype, device : of the marks; None for torch's defaults.

    The times are kept, 24 bytes a jump; marks are drawn in blocks when they are asked for, each from the seed and its
    number alone.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        rate: float,
        interval: Interval = (0.0, 1.0),
        marks: Marks | None = None,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        self._begin(shape, interval, generator, dtype, device)
        length = self.interval[1] - self.interval[0]
        mean = checks.real("rate", rate, at_least=0.0) * length
        if mean * max(1, self.shape[0]) > _MOST:
            raise InvalidInput(
                f"rate overflows: {rate:g} over a time of {length:g} is about {mean * self.shape[0]:.3g} jumps in "
                f"{self.shape[0]} rows, and a path holds {_MOST:,}; take a lower rate, a shorter interval or fewer "
                "rows, or a diffusion in place of so many jumps."
            )
        seeded = torch.Generator(device=self._home).manual_seed(self._seed)
        per_row = torch.full(self.shape[:1], mean, dtype=torch.float64, device=self._home)
        counts = torch.poisson(per_row, generator=seeded).long()
        rows = torch.repeat_interleave(counts).cpu().numpy()
        draws = torch.rand(len(rows), dtype=torch.float64, generator=seeded, device=self._home)
        # rand is in [0, 1), and the first time of the interval does not belong to it.
        self._order(self.interval[0] + length * (1 - draws.cpu().numpy()), rows, marks)

    @classmethod
    def at(
        cls,
        times: Sequence[Sequence[float]],
        shape: Sequence[int],
        *,
        interval: Interval = (0.0, 1.0),
        marks: Marks | None = None,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> JumpPath:
        """Jumps at known times: `times` has a sequence of them for every row."""
        path = cls.__new__(cls)
        path._begin(shape, interval, generator, dtype, device)
        if len(times) != path.shape[0]:
            raise InvalidInput(f"times must have a sequence for each of {path.shape[0]} rows, got {len(times)}.")
        start, end = path.interval
        flat = [checks.real("times", time, at_least=start, at_most=end) for row in times for time in row]
        path._order(np.array(flat, dtype=float), np.repeat(np.arange(len(times)), [len(row) for row in times]), marks)
        return path

    def __call__(self, start: float, end: float) -> Float[Tensor, "batch *state"]:
        """Sum of the marks of the jumps in (start, end], for every row."""
        return self.summed(self.between(start, end))

    def count(self, start: float, end: float) -> Int[Tensor, " batch"]:
        """Number of jumps in (start, end], for every row."""
        return torch.bincount(self._rows_of(*self._range(start, end))[0], minlength=self.shape[0])

    def between(self, start: float, end: float) -> Jumps:
        """Every jump in (start, end]."""
        first, last = self._range(start, end)
        rows, kept = self._rows_of(first, last)
        pieces = self._marks.pieces(first, last) if last > first else []
        uniforms = self._uniforms.pieces(first, last) if last > first else []
        marks = torch.cat(pieces) if pieces else torch.zeros((0, *self.shape[1:]), dtype=self.dtype, device=self.device)
        return Jumps(rows, marks[kept], (torch.cat(uniforms) if uniforms else marks.new_zeros(0))[kept])

    def summed(self, jumps: Jumps) -> Float[Tensor, "batch *state"]:
        """Sum of the marks of every row."""
        totals = torch.zeros(self.shape, dtype=self.dtype, device=self.device)
        return totals.index_add_(0, jumps.rows, jumps.marks.expand(-1, *self.shape[1:]))

    def rows(self, rows: Sequence[int]) -> JumpPath:
        """The path of these rows of the batch alone; each may be named once."""
        if len(set(rows)) != len(rows):
            raise InvalidInput(f"rows must be different, got {list(rows)!r}; name each once.")
        chosen = copy.copy(self)
        chosen.shape = (len(rows), *self.shape[1:])
        place = np.full(self.shape[0], -1)
        place[list(rows)] = np.arange(len(rows))
        chosen._row = np.where(self._row >= 0, place[self._row], -1)
        return chosen

    def _begin(
        self,
        shape: Sequence[int],
        interval: Interval,
        generator: torch.Generator | None,
        dtype: torch.dtype | None,
        device: torch.device | str | None,
    ) -> None:
        grid = Grid.of(interval, 1)
        self.interval = (grid.start, grid.end)
        self.shape = tuple(checks.integer("shape", size, at_least=0) for size in shape)
        self.dtype = torch.get_default_dtype() if dtype is None else dtype
        self.device = torch.get_default_device() if device is None else torch.device(device)
        self._home = torch.device("cpu") if generator is None else generator.device
        self._seed = seed_from(generator)

    def _order(self, times: np.ndarray, rows: np.ndarray, marks: Marks | None) -> None:
        order = np.argsort(times, kind="stable")
        self._time, self._row = times[order], rows[order]
        self._distribution = marks or Ones()
        self._marks = Counted(
            self._draw_marks, len(times), math.prod(self.shape[1:]), self._seed, self._home, self.device
        )
        seed = derived_seed(self._seed, "uniforms")
        self._uniforms = Counted(_uniforms, len(times), 1, seed, self._home, self.device)

    def _draw_marks(self, count: int, generator: torch.Generator) -> Tensor:
        return self._distribution.draw((count, *self.shape[1:]), self.dtype, generator)

    def _range(self, start: float, end: float) -> tuple[int, int]:
        low, high = self.interval
        slack = 1e-9 * (high - low)
        if not low - slack <= start <= end <= high + slack:
            raise InvalidInput(
                f"the path is asked from {start!r} to {end!r} and covers {low:g} to {high:g}; start <= end must lie "
                "inside of it."
            )
        # A jump that is on a grid point but for rounding belongs to the step that ends there.
        rounding = 1e-12 * max(abs(low), abs(high))
        edges = (start + rounding if start > low else low, min(end + rounding, high))
        first, last = np.searchsorted(self._time, edges, side="right")
        return int(first), int(last)

    def _rows_of(self, first: int, last: int) -> tuple[Tensor, Tensor]:
        """Rows of the jumps first, ..., last - 1 that are of chosen rows, and which of them those are."""
        rows = torch.from_numpy(self._row[first:last]).to(self.device)
        kept = (rows >= 0).nonzero().squeeze(1)
        return rows[kept], kept


def _uniforms(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, dtype=torch.float64, generator=generator, device=generator.device)
