"""What happens to tables without an adversary: gaps, mixed-up rows, new categories, noise, wrong units, drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float64

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.datasets.columns import Column, unseen

Rows = Float64[np.ndarray, "n d"]
Cells = Bool[np.ndarray, "n d"]
Scale = Float[np.ndarray, " d"]


@dataclass(frozen=True, kw_only=True)
class TableCorruption:
    """A corruption of tables.

    levels : its strength by severity, 1 to 5.
    cells : which it strikes: the "share" that the level says, "all" of them, or "one a row", drawn for each row.
    among : columns that it can be done to.
    """

    levels: tuple[float, float, float, float, float]
    cells: Literal["share", "all", "one a row"]
    among: Literal["all columns", "numbers", "categories"] = "numbers"

    def reach(self, columns: Sequence[Column]) -> Bool[np.ndarray, " d"]:
        """Which columns it can be done to."""
        if self.among == "all columns":
            return np.ones(len(columns), bool)
        if self.among == "numbers":
            return np.array([column.kind in ("numeric", "integer") for column in columns], bool)
        return np.array([unseen(column) is not None for column in columns], bool)


_SHARES = (0.02, 0.05, 0.1, 0.2, 0.3)
TABLE_CORRUPTIONS: Mapping[str, TableCorruption] = {
    "missing_values": TableCorruption(levels=_SHARES, cells="share", among="all columns"),
    "swapped_rows": TableCorruption(levels=_SHARES, cells="share", among="all columns"),
    "gaussian_noise": TableCorruption(levels=(0.05, 0.1, 0.2, 0.3, 0.5), cells="all"),
    "drift": TableCorruption(levels=(0.25, 0.5, 1.0, 2.0, 3.0), cells="one a row"),
    # mm in a cm, cm in a foot, cm in a m, mm in a foot, mm in a m
    "unit_slip": TableCorruption(levels=(10.0, 30.48, 100.0, 304.8, 1000.0), cells="one a row"),
    "unseen_category": TableCorruption(levels=_SHARES, cells="share", among="categories"),
}
"""By name. Levels are shares of the cells, standard deviations of noise and drift, and factors."""


def corrupt_table(
    x: Rows,
    columns: Sequence[Column],
    name: str,
    severity: int,
    generator: np.random.Generator,
    *,
    scale: Scale,
    among: Sequence[int] | None = None,
) -> Rows:
    """Corrupt a table as tables are corrupted in practice, without an adversary.

    - `missing_values`: NaN.
    - `swapped_rows`: values of a column that stand in the row of another, as after a wrong join.
    - `unseen_category`: a value that the column never had, which `columns.decode` writes as `columns.unseen`.
    - `gaussian_noise`: N(0, (level * scale)^2) on each number.
    - `drift`: numbers of a column that are higher by level * scale.
    - `unit_slip`: numbers of a column in another unit, times the level.

    Whole numbers stay whole. Where a value is missing, it stays missing.

    Parameters
    ----------
    x : rows as `columns.encode` gives them.
    columns : what the columns are.
    name, severity : one of `TABLE_CORRUPTIONS`, 1 (mild) to 5.
    generator : source of all randomness.
    scale : of each column, its standard deviation.
    among : corrupt all rows of these columns and no other cell.

    Raises
    ------
    InvalidInput, UnknownName : an argument is out of its range, or the corruption cannot be done to one of `among`.
    """
    corruption = checks.choice("corruption of tables", name, TABLE_CORRUPTIONS)
    level = corruption.levels[checks.integer("severity", severity, at_least=1, at_most=5) - 1]
    if x.ndim != 2 or x.shape[1] != len(columns) or scale.shape != (len(columns),):
        raise InvalidInput(
            f"x must have shape (n, {len(columns)}) and scale ({len(columns)},), one for each of `columns`, got "
            f"{x.shape} and {scale.shape}."
        )
    cells = _cells(corruption, columns, level, len(x), generator, among)
    if name == "missing_values":
        return np.where(cells, np.nan, x)
    if name == "swapped_rows":
        return _swapped(x, cells, generator)
    if name == "unseen_category":
        return np.where(cells, [float(len(column.categories)) for column in columns], x)
    if name == "unit_slip":
        moved = level * x
    elif name == "drift":
        moved = x + level * scale
    else:
        moved = x + level * scale * generator.normal(size=x.shape)
    whole = [column.kind == "integer" for column in columns]
    return np.where(cells, np.where(whole, np.floor(moved + 0.5), moved), x)


def _cells(
    corruption: TableCorruption,
    columns: Sequence[Column],
    level: float,
    n: int,
    generator: np.random.Generator,
    among: Sequence[int] | None,
) -> Cells:
    """Cells that a corruption strikes."""
    cells, within = np.zeros((n, len(columns)), bool), np.flatnonzero(corruption.reach(columns))
    if among is not None:
        if not np.isin(among, within).all():
            raise InvalidInput(f"among must be {corruption.among}, which are {within.tolist()}, got {[*among]}.")
        cells[:, among] = True
    elif corruption.cells == "all":
        cells[:, within] = True
    elif corruption.cells == "share":
        struck = generator.permutation(n * len(within)) < round(level * n * len(within))
        cells[:, within] = struck.reshape(n, len(within))
    elif len(within):
        cells[np.arange(n), generator.choice(within, n)] = True
    return cells


def _swapped(x: Rows, cells: Cells, generator: np.random.Generator) -> Rows:
    """The cells of each column handed on in a random circle, so that each of several gets that of another row."""
    out = x.copy()
    for column in np.flatnonzero(cells.any(axis=0)):
        rows = generator.permutation(np.flatnonzero(cells[:, column]))
        out[rows, column] = x[np.roll(rows, 1), column]
    return out
