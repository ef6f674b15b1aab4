"""Measure what is missing of one table or figure, cell by cell."""

from __future__ import annotations

import fnmatch
import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from reproduce.claim import Claim
from reproduce.store import Cell, Measured, Store, cell, mark
from trustworthy.core.errors import DataUnavailable, InvalidInput
from trustworthy.core.progress import portion
from trustworthy.core.study import Piece, study


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a script is given: the options of the scale, seed, jobs, and whom to tell the share done (0 to 1)."""

    options: dict[str, Any]
    seed: int = 42
    n_jobs: int | None = None
    tell: Callable[[float], None] = field(default=lambda share: None)


class Script(Protocol):
    """A module in `reproduce/ch*/`: which cells it has at a scale, and how one is measured."""

    def cells(self, options: dict[str, Any]) -> list[str]: ...
    def measure(self, cell: str, setting: Setting) -> list[Measured]: ...


class NotRun(Exception):
    """Raised by a script where a cell cannot be measured here; the message is the reason."""


Watch = Callable[[str, float], None]
"""Called with the name of a cell and the share of all cells that is done."""


def run(
    claim: Claim,
    scale: str,
    store: Store,
    *,
    seed: int | None = None,
    n_jobs: int | None = None,
    only: str = "*",
    again: bool = False,
    watch: Watch = lambda name, share: None,
) -> dict[str, Cell]:
    """Measure the cells of `claim` that match `only` and are not in `store` with the same options and seed.

    again : measure finished cells too. Returns the matching cells, old and new. A cell whose data are missing is
    stored without rows and with the reason, and tried again next time.
    """
    options, seed = claim.options(scale), claim.seed if seed is None else seed
    script: Script = importlib.import_module(claim.script)  # pyright: ignore[reportAssignmentType]
    wanted = [name for name in script.cells(options) if fnmatch.fnmatchcase(name, only)]
    if not wanted:
        raise InvalidInput(f"only must match a cell of {claim.name}, got {only!r}: {', '.join(script.cells(options))}.")

    def piece(place: int, name: str) -> Piece[Cell]:
        tell = portion(partial(watch, name), place, len(wanted))
        setting = Setting(options=options, seed=seed, n_jobs=n_jobs, tell=tell)
        return Piece(name, mark(options, seed), partial(_measured, script, name, scale, setting), tell)

    for _ in study((piece(place, name) for place, name in enumerate(wanted)), store, again=again):
        pass
    watch("done", 1.0)
    cells = store.read()
    return {name: cells[name] for name in wanted}


def _measured(script: Script, name: str, scale: str, setting: Setting) -> Cell:
    conditions: dict[str, Any] = {"scale": scale, "options": setting.options}
    started = time.perf_counter()
    try:
        rows = script.measure(name, setting)
    except (DataUnavailable, NotRun) as error:
        rows, conditions = [], conditions | {"reason": str(error).splitlines()[0]}
    return cell(rows, conditions=conditions, seed=setting.seed, wall_time=time.perf_counter() - started)
