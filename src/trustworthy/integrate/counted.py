"""Random numbers by their place in a sequence: asked for again they are the same, and none is kept for long."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trustworthy.core.seeds import derived_seed

Draw = Callable[[int, torch.Generator], Tensor]
"""Function of a number of rows and a generator: that many rows, on the generator's device."""
_BLOCK = 2**15
"""Numbers that are drawn at once: 128 KB in float32, which stay in a core's cache."""


def seed_from(generator: torch.Generator | None) -> int:
    """One seed drawn from `generator`, or from torch's global stream."""
    device = "cpu" if generator is None else generator.device
    return int(torch.randint(2**62, (), generator=generator, device=device))


class Counted:
    """Rows of random numbers, drawn in blocks, each from the seed and the number of the block alone.

    Parameters
    ----------
    draw : draws a block.
    rows : how many there are.
    size : numbers in a row, on which the length of a block depends.
    seed : from which everything follows.
    home : the device that draws; what is drawn moves to `device`.
    """

    def __init__(self, draw: Draw, rows: int, size: int, seed: int, home: torch.device, device: torch.device) -> None:
        self.length = max(1, min(1024, _BLOCK // max(1, size)))
        self._rows, self._draw, self._seed, self._home, self._device = rows, draw, seed, home, device
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
            generator = torch.Generator(device=self._home).manual_seed(derived_seed(self._seed, number))
            count = min(self.length, self._rows - number * self.length)
            self._number, self._block = number, self._draw(count, generator).to(self._device)
        return self._block
