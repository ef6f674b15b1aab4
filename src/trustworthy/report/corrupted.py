"""Rows of a table as corruptions leave them, as far as a model takes them: as a whole, and column by column."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int
from torch import Tensor

from trustworthy.core import seeds
from trustworthy.core.errors import ModelContractError
from trustworthy.datasets.columns import Column, listed
from trustworthy.datasets.corruptions import TABLE_CORRUPTIONS, corrupt_table
from trustworthy.models import is_estimator
from trustworthy.report.case import Case

COLUMNS = 30
"""Columns that are corrupted one by one; of a wider table those whose shuffling costs most."""
_VALUES = 2**22
"""Largest size of the tables that are made at once."""
_MAY_REFUSE = ("missing_values", "unseen_category")


@dataclass(frozen=True, eq=False)
class CorruptedTable:
    """Some `rows` of the examples under the corruptions of tables, the same for every model."""

    case: Case
    rows: Int[np.ndarray, " n"]

    @cached_property
    def x(self) -> Float64[np.ndarray, "n d"]:
        """The rows as they are."""
        return self.case.examples.x[self.rows].double().numpy()

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """What the columns are; a table that was read as numbers has numbers alone."""
        return self.case.examples.columns or tuple(Column(name=j, kind="numeric") for j in range(self.x.shape[1]))

    @cached_property
    def refused(self) -> dict[str, dict[int, str]]:
        """Columns in which the model does not take a corruption, and why, by the name of the corruption.

        Missing values and new categories are shown to it in one row first, in all columns of numbers, of truth values,
        and of categories.
        What it raises then is a refusal, which does less harm in use than a wrong answer. No network is shown NaN.
        """
        kinds = np.array([column.kind.replace("integer", "numeric") for column in self.columns])
        found: dict[str, dict[int, str]] = {}
        for name in _MAY_REFUSE:
            reach = TABLE_CORRUPTIONS[name].reach(self.columns)
            groups = [np.flatnonzero(reach & (kinds == kind)).tolist() for kind in ("numeric", "boolean", "category")]
            found[name] = {j: why for among in groups if (why := self._refusal(name, among)) for j in among}
        return found

    def _refusal(self, name: str, among: list[int]) -> str:
        if not among:
            return ""
        if name == "missing_values" and not is_estimator(self.case.subject.given):
            return "shown to estimators alone"
        try:
            self.case.classify(self._corrupted(name, 1, among)[:1])
        except ModelContractError as error:
            said = str(error.__cause__ or error).strip().splitlines() or [type(error.__cause__).__name__]
            return f"refused: {textwrap.shorten(said[0].rstrip('.'), 120)}"
        return ""

    @property
    def left_out(self) -> dict[str, str]:
        """Corruptions that the model takes in no column, and why."""
        every = {name: int(TABLE_CORRUPTIONS[name].reach(self.columns).sum()) for name in self.refused}
        return {name: next(iter(why.values())) for name, why in self.refused.items() if len(why) == every[name] > 0}

    def said(self, per_column: list[dict[str, Any]], severity: int) -> str:
        """What the model refuses, and the column whose unit should not slip."""
        said = ""
        for name, why in self.refused.items():
            reasons = [*why.values()]
            if reasons and reasons[0].startswith("refused"):
                where = "" if name in self.left_out else f" in {listed(map(self.case.examples.feature_name, why))}"
                said += f" {name.replace('_', ' ').capitalize()}{where}: {reasons[0]}; this is not counted."
        way = ways(severity)["unit_slip"]
        slips = [(row["accuracy"][way], row["name"]) for row in per_column if way in row["accuracy"]]
        if not slips:
            return said
        least, name = min(slips)
        if least >= float(self.case.correct[self.rows].mean()):
            return said + f" No column costs accuracy if its unit slips ({way})."
        return said + f" The column whose unit should not slip is {name} ({way}: {least:.1%})."

    def disturbed(self, name: str, severity: int) -> Tensor:
        """The rows under a corruption, but for the columns in which the model does not take it."""
        out = self._corrupted(name, severity)
        spared = [*self.refused.get(name, ())]
        out[:, spared] = self.case.examples.x[self.rows][:, spared]
        return out

    def _corrupted(self, name: str, severity: int, among: list[int] | None = None) -> Tensor:
        generator = seeds.numpy_generator(self.case.seed, "corruptions", name, severity, *(among or ()))
        spread = self.case.examples.domain.spread
        assert spread is not None  # of a table
        out = corrupt_table(self.x, self.columns, name, severity, generator, scale=spread.double().numpy(), among=among)
        return torch.from_numpy(out).to(self.case.examples.x.dtype)

    def per_column(self, severity: int) -> list[dict[str, Any]]:
        """Accuracy with all rows of one column corrupted, by column, worst first, and by what is done to them."""
        found: dict[int, dict[str, float]] = {j: {} for j in range(len(self.columns))}
        for name, done in ways(severity).items():
            refused = self.refused.get(name, ())
            reach = np.flatnonzero(TABLE_CORRUPTIONS[name].reach(self.columns)).tolist()
            for j, accuracy in self._accuracies(name, severity, [j for j in reach if j in found and j not in refused]):
                found[j][done] = accuracy
            if name == "swapped_rows":  # the first, which can be done to every column
                costly = sorted(found, key=lambda j: found[j][done])[:COLUMNS]
                found = {j: found[j] for j in sorted(costly)}
        worst_first = sorted(found, key=lambda j: min(found[j].values()))
        return [{"name": self.case.examples.feature_name(j), "accuracy": found[j]} for j in worst_first]

    def _accuracies(self, name: str, severity: int, columns: list[int]) -> Iterator[tuple[int, float]]:
        """Accuracy with all rows of each column corrupted; a few are asked about at once, because each asking costs."""
        labels, at_once = self.case.labels[self.rows], max(1, _VALUES // self.x.size)
        for start in range(0, len(columns), at_once):
            few = columns[start : start + at_once]
            classes = self.case.classify(torch.cat([self._corrupted(name, severity, [j]) for j in few]))
            yield from zip(few, (classes.reshape(len(few), -1) == labels).mean(axis=1).tolist(), strict=True)


def ways(severity: int) -> dict[str, str]:
    """What is done to all rows of one column, in few words."""
    level = {name: corruption.levels[severity - 1] for name, corruption in TABLE_CORRUPTIONS.items()}
    return {
        "swapped_rows": "swapped", "missing_values": "missing", "unseen_category": "unseen",
        "drift": f"+ {level['drift']:g} sd", "unit_slip": f"× {level['unit_slip']:g}",
    }  # fmt: skip


def amounts(severities: list[int]) -> list[str]:
    """What the severities are, for each corruption."""
    written = {"share": "{}% of the cells", "all": "{} sd, every number", "one a row": "one column a row"}
    texts = []
    for name, corruption in TABLE_CORRUPTIONS.items():
        levels = [corruption.levels[severity - 1] for severity in severities]
        shown = ", ".join(f"{100 * level if corruption.cells == 'share' else level:g}" for level in levels)
        unit = {"drift": "+ {} sd, one column a row", "unit_slip": "× {}, one column a row"}
        texts.append(unit.get(name, written[corruption.cells]).format(shown))
    return texts
