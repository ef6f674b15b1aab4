"""Several networks as one posterior: its draws are the members in turn."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator

import torch
from torch import nn

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput


class Ensemble(nn.Module):
    """A posterior of fixed networks; `predict` asks all of them, and `len` says how many they are.

    Parameters
    ----------
    members : networks of the same inputs and outputs, at least one. They are held and not copied.
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        if not self.members:
            raise InvalidInput("members must be at least one network, got none.")

    def __len__(self) -> int:
        return len(self.members)

    def draws(self, count: int, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
        """The members in turn, beginning again after the last one; nothing is drawn."""
        return itertools.islice(itertools.cycle(self.members), count)


def ensemble(model: nn.Module, *, members: int) -> Ensemble:
    """An ensemble of copies of `model`: the place for the weights of so many trained members."""
    return Ensemble(copy.deepcopy(model) for _ in range(checks.integer("members", members, at_least=1)))
