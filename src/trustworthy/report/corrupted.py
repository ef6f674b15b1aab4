"""Rows as corruptions leave them; of a table as far as a model takes them, as a whole and column by column.

`findings.corruptions` asks for disturbed rows, and for accuracies by column.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from trustworthy.core import seeds
from trustworthy.core.errors import ModelContractError
from trustworthy.datasets.columns import Column, listed
from trustworthy.datasets.corruptions import TABLE_CORRUPTIONS, corrupt_table
from trustworthy.models import is_estimator
from trustworthy.report.case import Case
from trustworthy.report.kind import NotApplicable

COLUMNS = 30
"""Columns that are corrupted one by one; of a wider table those whose shuffling costs most."""
_VALUES = 2**22
"""Largest size of the tables that are made at once."""
_NO_NETWORK = "shown to estimators alone"
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

        Missing values and new categories are shown to it in one row first: in all columns of numbers, of truth values,
        of categories. What it raises then is a refusal, which does less harm in use than a wrong answer. No network is
        shown NaN.
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
            return _NO_NETWORK
        try:
            self.case.classify(self._corrupted(name, 1, among)[:1])
        except ModelContractError as error:
            said = str(error.__cause__ or error).strip().splitlines() or [type(error.__cause__).__name__]
            return textwrap.shorten(said[0].rstrip("."), 120)
        return ""

    @property
    def left_out(self) -> dict[str, str]:
        """Corruptions that the model takes in no column, and why."""
        every = {name: int(TABLE_CORRUPTIONS[name].reach(self.columns).sum()) for name in self.refused}
        first = {name: next(iter(why.values())) for name, why in self.refused.items() if len(why) == every[name] > 0}
        return {name: why if why == _NO_NETWORK else f"refused: {why}" for name, why in first.items()}

    def said(self, per_column: list[dict[str, Any]], severity: int) -> str:
        """The column whose unit should not slip, and what the model refuses, as sentences."""
        said, way = "", ways(severity)["unit_slip"]
        slips = [(row["accuracy"][way], row["name"]) for row in per_column if way in row["accuracy"]]
        if slips:
            accuracy, name = min(slips)
            costs = accuracy < float(self.case.correct[self.rows].mean())
            most = f"most in {name} ({accuracy:.1%} at {way})" if costs else f"no accuracy ({way} in any one column)"
            said = f" A unit slip costs {most}."
        refusals = []
        for name, why in self.refused.items():
            columns = [self.case.examples.feature_name(j) for j in why if why[j] != _NO_NETWORK]
            if columns:
                where = "" if name in self.left_out else f" in {listed(columns, 5)}"
                refusals.append(f"{name.replace('_', ' ')}{where} ({next(iter(why.values()))})")
        return said + (f" Refused, and not counted: {'; '.join(refusals)}." if refusals else "")

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
        done_by, found = ways(severity), {j: dict[str, float]() for j in range(len(self.columns))}
        for place, (name, done) in enumerate(done_by.items()):
            refused = self.refused.get(name, ())
            reach = np.flatnonzero(TABLE_CORRUPTIONS[name].reach(self.columns)).tolist()
            columns = [j for j in reach if j in found and j not in refused]
            for count, (j, accuracy) in enumerate(self._accuracies(name, severity, columns), 1):
                found[j][done] = accuracy
                self.case.advance((place + count / len(columns)) / len(done_by))
            if name == "swapped_rows":  # the first, which can be done to every column
                costly = sorted(found, key=lambda j: found[j][done])[:COLUMNS]
                found = {j: found[j] for j in sorted(costly)}
        worst_first = sorted(found, key=lambda j: (min(found[j].values()), np.mean([*found[j].values()])))
        return [{"name": self.case.examples.feature_name(j), "accuracy": found[j]} for j in worst_first]

    def _accuracies(self, name: str, severity: int, columns: list[int]) -> Iterator[tuple[int, float]]:
        """Accuracy with all rows of each column corrupted; a few are asked about at once, because each asking costs."""
        labels, at_once = self.case.labels[self.rows], max(1, _VALUES // self.x.size)
        for start in range(0, len(columns), at_once):
            few = columns[start : start + at_once]
            classes = self.case.classify(torch.cat([self._corrupted(name, severity, [j]) for j in few]))
            yield from zip(few, (classes.reshape(len(few), -1) == labels).mean(axis=1).tolist(), strict=True)


def scale_of(x: Float[Tensor, "n channels h w"]) -> str:
    """Which published constants are for images of this size; NotApplicable where there are none."""
    channels, *sides = x.shape[1:]
    if channels not in (1, 3) or min(sides) < 8:
        raise NotApplicable(
            f"the corruptions are defined for images of 1 or 3 channels from 8 pixels up, got {tuple(x.shape[1:])}."
        )
    return "imagenet-c" if min(sides) >= 128 else "cifar10-c"


def ways(severity: int) -> dict[str, str]:
    """What is done to all rows of one column, in few words."""
    level = {name: f"{corruption.levels[severity - 1]:g}" for name, corruption in TABLE_CORRUPTIONS.items()}
    return {
        "swapped_rows": "swapped", "missing_values": "missing", "unseen_category": "unseen",
        "drift": f"+{level['drift']} sd", "unit_slip": f"×{level['unit_slip']}",
    }  # fmt: skip


def amounts(severities: list[int]) -> dict[str, str]:
    """What the least and the largest of the severities are, by corruption."""
    units = {"gaussian_noise": "{} sd", "drift": "+{} sd, one column a row", "unit_slip": "×{}, one column a row"}
    found = {}
    for name, corruption in TABLE_CORRUPTIONS.items():
        ends = {corruption.levels[end(severities) - 1] * (1 if name in units else 100) for end in (min, max)}
        found[name] = units.get(name, "{}% of the cells").format(" to ".join(f"{end:g}" for end in sorted(ends)))
    return found
