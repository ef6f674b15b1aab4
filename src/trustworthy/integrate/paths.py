"""What Brownian and jump paths are made of: a place, a seed, and random numbers that are not kept for long."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.seeds import torch_generator
from trustworthy.integrate.grid import Grid, Interval

plain = torch._C._DisableFuncTorch  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
"""Context where draws are those of no transform: a path that is asked inside of `torch.func.vmap` is one path still."""
_BLOCK = 2**16
"""Numbers that are drawn at once: 256 KB in float32, which stay in a core's cache and outweigh the call."""


class Path:
    """Shape, grid and type of a path, checked; the device that draws (`home`) and the one it is for; its seed, one
    number drawn from `generator`."""

    def __init__(
        self,
        shape: Sequence[int],
        grid: Grid,
        generator: torch.Generator | None,
        dtype: torch.dtype | None,
        device: torch.device | str | None,
    ) -> None:
        self.shape = tuple(checks.integer("shape", size, at_least=0) for size in shape)
        if not self.shape:
            raise InvalidInput("shape must be (batch, *state), got (); a single path has the shape (1,).")
        self.grid = grid
        self.dtype = torch.get_default_dtype() if dtype is None else dtype
        self.device = torch.get_default_device() if device is None else torch.device(device)
        self.home = torch.device("cpu") if generator is None else generator.device
        self.seed = int(torch.randint(2**62, (), generator=generator, device=self.home))

    @property
    def interval(self) -> Interval:
        return self.grid.start, self.grid.end

    def _check_rows(self, rows: Sequence[int]) -> None:
        if any(not 0 <= checks.integer("rows", row) < self.shape[0] for row in rows):
            raise InvalidInput(
                f"rows must lie from 0 to {self.shape[0] - 1}, got {list(rows)!r}; leave out the others."
            )

    def _refuse(self, start: float, end: float) -> None:
        """Of a question that the interval does not answer."""
        start, end, (low, high) = checks.real("start", start), checks.real("end", end), self.interval
        if end < start:
            raise InvalidInput(f"end must be >= start, got start {start!r} and end {end!r}; swap them.")
        raise InvalidInput(
            f"the path covers times from {low:g} to {high:g}, got {start!r} to {end!r}; make it with "
            f"interval=({min(start, low):g}, {max(end, high):g})."
        )


class Blocks:
    """Rows of random numbers of a path by their place: drawn in blocks, each from its number and the seed alone.

    draw : function of a number of rows and a generator: that many rows, on the generator's device.
    rows, size : how many there are, and numbers in each, on which the length of a block depends.
    name : of the stream, different from that of other blocks of the path.
    """

    def __init__(
        self, path: Path, name: str, draw: Callable[[int, torch.Generator], Tensor], rows: int, size: int
    ) -> None:
        self.length = max(1, min(1024, _BLOCK // max(1, size)))
        self._draw, self._rows, self._name = draw, rows, name
        self._seed, self._home, self._device = path.seed, path.home, path.device
        self._number, self._block = -1, torch.empty(0)  # of the block that was asked last, the only one that is kept
        self._first: int = 0
        self._current: tuple[Tensor, ...] = ()  # a block row by row: an index costs more

    def row(self, index: int) -> Tensor:
        place = index - self._first
        if not 0 <= place < len(self._current):
            number, place = divmod(index, self.length)
            self._first, self._current = number * self.length, self._drawn(number).unbind(0)
        return self._current[place]

    def pieces(self, first: int, end: int) -> list[Tensor]:
        """Rows first, ..., end - 1 in consecutive pieces, none longer than a block."""
        found = []
        while first < end:
            block, place = divmod(first, self.length)
            found.append(self._drawn(block)[place : place + end - first])
            first += len(found[-1])
        return found

    def _drawn(self, number: int) -> Tensor:
        if number != self._number:
            count = min(self.length, self._rows - number * self.length)
            generator = torch_generator(self._seed, self._name, number, device=self._home)
            with plain():
                self._number, self._block = number, self._draw(count, generator).to(self._device)
        return self._block
