"""Measured records on disk: one small JSON file per table or figure, scale and seed, rewritten after each cell."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from trustworthy.core.errors import DataError
from trustworthy.core.files import atomic_write
from trustworthy.core.record import Record, versions


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One number that a script measured.

    name : as in the claim, "mnist.qp-exact" or "mnist.euclidean@0.5".
    interval : 95 % interval of `value`, or None.
    conditions : what belongs to this number alone: points, successes, a picture.
    """

    name: str
    value: float | None
    interval: tuple[float, float] | None = None
    unit: str = ""
    conditions: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The rows of one cell and what they share: `common` has conditions, seed, versions, wall_time of a `Record`."""

    common: dict[str, Any]
    rows: list[dict[str, Any]]

    @property
    def mark(self) -> str:
        """What a finished cell must agree in not to be measured again."""
        return mark(self.common["conditions"].get("options"), self.common.get("seed"))

    @property
    def finished(self) -> bool:
        return "reason" not in self.common["conditions"]

    def records(self) -> list[Record]:
        """The rows as complete records."""
        shared = {key: value for key, value in self.common.items() if key != "conditions"}
        together = self.common["conditions"]
        return [Record(**shared, **{**row, "conditions": together | row.get("conditions", {})}) for row in self.rows]


def mark(options: Any, seed: int | None) -> str:
    """What a cell depends on, as one text."""
    return json.dumps([options, seed], sort_keys=True)


def cell(measured: list[Measured], *, conditions: dict[str, Any], seed: int, wall_time: float) -> Cell:
    """Pack what a script measured."""
    rows = [{key: value for key, value in vars(row).items() if value not in (None, "", {})} for row in measured]
    common = {"conditions": conditions, "seed": seed, "versions": versions(), "wall_time": round(wall_time, 6)}
    packed = Cell(common=common, rows=[{"value": None, **row} for row in rows])
    packed.records()  # raises here, not at the next reading, what is no record
    return packed


@dataclass(frozen=True)
class Store:
    """Cells of one file, by name."""

    path: Path

    def read(self) -> dict[str, Cell]:
        """Everything measured so far."""
        if not self.path.exists():
            return {}
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            return {name: Cell(**entry) for name, entry in content["cells"].items()}
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{self.path} is not a file of records ({error}); remove it to measure again.") from error

    def load(self, key: str, mark: str) -> Cell | None:
        """The finished cell of a name with this mark; one without data is tried again."""
        known = self.read().get(key)
        return known if known is not None and known.finished and known.mark == mark else None

    def save(self, key: str, mark: str, record: Cell) -> None:
        """Add or replace a cell, which holds its mark; another process may be adding its own."""
        digest = hashlib.sha256(str(self.path.resolve()).encode()).hexdigest()[:16]
        with FileLock(Path(tempfile.gettempdir()) / f"trustworthy-reproduce-{digest}.lock"):
            cells = self.read() | {key: record}
            content = {"cells": {name: vars(cell) for name, cell in sorted(cells.items())}}
            with atomic_write(self.path) as stream:
                stream.write(_lines(content))


def _lines(content: dict[str, Any]) -> str:
    """JSON with a line per row, so that a diff shows which numbers moved."""
    blocks = []
    for name, entry in content["cells"].items():
        rows = ",\n    ".join(json.dumps(row, sort_keys=True) for row in entry["rows"])
        common = json.dumps(entry["common"], sort_keys=True)
        blocks.append(f'  {json.dumps(name)}: {{\n   "common": {common},\n   "rows": [\n    {rows}\n   ]\n  }}')
    return '{"cells": {\n' + ",\n".join(blocks) + "\n}}\n"


def store(folder: Path, name: str, scale: str, seed: int | None = None) -> Store:
    """Where records lie; a seed other than the claim's own has a file of its own."""
    suffix = "" if seed is None else f".seed-{seed}"
    return Store(folder / f"{name}.{scale}{suffix}.json")


def best(folder: Path, name: str) -> dict[str, tuple[str, Cell]]:
    """Cells to show with their scale: those of the dissertation's setting where they exist, else the small ones."""
    found: dict[str, tuple[str, Cell]] = {}
    for scale in ("small", "paper"):
        for key, entry in store(folder, name, scale).read().items():
            if entry.finished or key not in found:
                found[key] = scale, entry
    return found
