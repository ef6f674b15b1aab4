"""A marked Poisson process as an object that is asked for its jumps, at any times and in any order."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.integrate.grid import Grid, Interval
from trustworthy.integrate.marks import Marks, Ones
from trustworthy.integrate.paths import Blocks, Path, plain

_MOST = 2**26


class JumpPath(Path):
    """One draw of marked Poisson processes, one for each row: `path(s, t)` is the sum of the marks in (s, t].

    A jump at the first time of the interval does not belong to it, a jump at the last one does; so every jump is in
    exactly one step of any grid, and any number of them may be in one step.

    Parameters
    ----------
    shape : of the state, (batch, *state).
    rate : jumps of a row per unit of time, >= 0; of a rate that depends on the state, its bound.
    marks : distribution of the marks; None for `Ones()`, so that the sum is the number of jumps.
    interval, generator, dtype, device : as of `BrownianPath`.

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
        super().__init__(shape, Grid.of(interval, 1), generator, dtype, device)
        self._distribution = marks or Ones()
        mean = checks.real("rate", rate, at_least=0.0) * self.grid.step
        if mean * max(1, self.shape[0]) > _MOST:
            raise InvalidInput(
                f"rate overflows: {rate:g} over a time of {self.grid.step:g} is about {mean * self.shape[0]:.3g} jumps "
                f"in {self.shape[0]} rows, and a path holds {_MOST:,}; take a lower rate, a shorter interval or fewer "
                "rows, or a diffusion in place of so many jumps."
            )
        seeded = torch.Generator(device=self.home).manual_seed(self.seed)
        with plain():
            per_row = torch.full(self.shape[:1], mean, dtype=torch.float64, device=self.home)
            rows = torch.repeat_interleave(torch.poisson(per_row, generator=seeded).long()).cpu().numpy()
            draws = torch.rand(len(rows), dtype=torch.float64, generator=seeded, device=self.home).cpu().numpy()
        # rand is in [0, 1), and the first time of the interval does not belong to it.
        self._order(self.grid.start + self.grid.step * (1 - draws), rows)

    @classmethod
    def at(cls, times: Sequence[Sequence[float]], shape: Sequence[int], **given: object) -> JumpPath:
        """Jumps at known times: `times` has a sequence of them for every row; other arguments as of the class."""
        path = cls(shape, rate=0.0, **given)  # pyright: ignore[reportArgumentType]
        if len(times) != path.shape[0]:
            raise InvalidInput(f"times must have a sequence for each of {path.shape[0]} rows, got {len(times)}.")
        start, end = path.interval
        flat = [checks.real("times", time, at_least=start, at_most=end) for row in times for time in row]
        path._order(np.array(flat, dtype=float), np.repeat(np.arange(len(times)), [len(row) for row in times]))
        return path

    def __call__(
        self, start: float, end: float, *, share: Float[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "batch *state"]:
        """Sum of the marks of the jumps in (start, end], for every row.

        share : None for all jumps, or a share in [0, 1] of them for each row, by thinning: every jump has a number
            drawn from [0, 1), and counts where it is below.
        """
        first, last = self._range(start, end)
        totals = torch.zeros(self.shape, dtype=self.dtype, device=self.device)
        if first == last:
            return totals
        rows = torch.from_numpy(self._row[first:last]).to(self.device)
        kept = (rows >= 0).nonzero().squeeze(1)
        rows, marks = rows[kept], torch.cat(self._marks.pieces(first, last))[kept].expand(-1, *self.shape[1:])
        if share is not None:
            counts = torch.cat(self._uniforms.pieces(first, last))[kept] < share[rows]
            marks = marks * counts.reshape(-1, *[1] * (marks.ndim - 1))
        return totals.index_add(0, rows, marks)

    def rows(self, rows: Sequence[int]) -> JumpPath:
        """The path of these rows of the batch alone; each may be named once."""
        self._check_rows(rows)
        if len(set(rows)) != len(rows):
            raise InvalidInput(f"rows must be different, got {list(rows)!r}; name each once.")
        chosen, place = copy.copy(self), np.full(self.shape[0], -1)
        chosen.shape = (len(rows), *self.shape[1:])
        place[list(rows)] = np.arange(len(rows))
        chosen._row = np.where(self._row >= 0, place[self._row], -1)
        return chosen

    def _order(self, times: np.ndarray, rows: np.ndarray) -> None:
        order = np.argsort(times, kind="stable")
        self._time, self._row = times[order], rows[order]
        self._marks = Blocks(self, "marks", self._draw_marks, len(times), math.prod(self.shape[1:]))
        self._uniforms = Blocks(self, "uniforms", _uniforms, len(times), 1)

    def _draw_marks(self, count: int, generator: torch.Generator) -> Tensor:
        return self._distribution.draw((count, *self.shape[1:]), self.dtype, generator)

    def _range(self, start: float, end: float) -> tuple[int, int]:
        """Numbers of the first jump in (start, end], and of the first after it."""
        low, high = self.interval
        slack = 1e-9 * (high - low)
        if not low - slack <= start <= end <= high + slack:
            self._refuse(start, end)
        # A jump that is on a grid point but for rounding belongs to the step that ends there.
        rounding = 1e-12 * max(abs(low), abs(high))
        edges = (start + rounding if start > low else low, min(end + rounding, high))
        first, last = np.searchsorted(self._time, edges, side="right")
        return int(first), int(last)


def _uniforms(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, dtype=torch.float64, generator=generator, device=generator.device)
