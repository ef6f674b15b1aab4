"""How far the difference of two audits may be off, from pairs of rows where both hold the same.

`comparison` calls it with two findings of saved audits; an interval comes out, and why it is not paired.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trustworthy.core import seeds
from trustworthy.core.errors import TrustworthyError
from trustworthy.report import findings, per_row
from trustworthy.report.finding import AuditRecord, Finding
from trustworthy.report.findings import OF_FINDING
from trustworthy.report.per_row import Columns
from trustworthy.report.saved import read_record


@dataclass(frozen=True)
class Kept:
    """A saved audit; `rows` are the columns of each model, and `no_rows` says why there are none."""

    record: AuditRecord
    rows: dict[str, Columns] = field(default_factory=dict)
    no_rows: str = ""


def load(path: str | os.PathLike[str]) -> Kept:
    """The audit saved in a folder, or in a `findings.json`, with its rows where they lie beside it.

    Raises
    ------
    DataError : there is no readable audit.
    """
    record = read_record(path)
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    try:
        return Kept(record, per_row.read(folder, record))
    except TrustworthyError as error:
        return Kept(record, no_rows=str(error))


class Unpaired(Exception):
    """Why a difference does not come from pairs of rows."""


def interval_of_change(before: Kept, after: Kept, old: Finding, new: Finding) -> tuple[tuple[float, float] | None, str]:
    """Interval of the difference of two findings that have values, and why it is not paired, "" where it is.

    Where both audits hold the same rows, and what each row adds to the value, it comes from pairs: exact for shares
    (`paired_share_interval`), else a bootstrap of the rows. Otherwise it is that of two independent estimates
    (`difference_interval`), None where one has no interval.
    """
    from trustworthy.metrics import difference_interval

    try:
        return _paired(before, after, old, new), ""
    except Unpaired as reason:
        if old.value is None or new.value is None or old.interval is None or new.interval is None:
            return None, str(reason)
        return difference_interval(old.value, old.interval, new.value, new.interval), str(reason)


def _paired(before: Kept, after: Kept, old: Finding, new: Finding) -> tuple[float, float]:
    """Interval of the difference from what each row adds to both values."""
    from trustworthy.metrics import bootstrap_interval, paired_share_interval

    if before.record.data.get("fingerprint") != after.record.data.get("fingerprint"):
        raise Unpaired("the rows differ")
    (statistic, first), (_, second) = _of_rows(before, old), _of_rows(after, new)
    tried = [~np.isnan(values.astype(float)) for values in (*first, *second)]
    if not all(np.array_equal(tried[0], each) for each in tried):
        raise Unpaired("other rows were tried")
    first, second = ([values[tried[0]] for values in arrays] for arrays in (first, second))
    if len(first[0]) < 2:
        raise Unpaired("fewer than two rows were tried")
    values = [float(statistic(*arrays)) for arrays in (first, second)]
    if not np.allclose(values, np.array([old.value, new.value], float), rtol=1e-6, atol=1e-9):
        raise Unpaired("the kept rows alone do not give the value")
    if findings.is_percentage(new) and np.isin(first + second, (0, 1)).all():
        lost, gained = (int((one > other).sum()) for one, other in ((first[0], second[0]), (second[0], first[0])))
        return paired_share_interval(lost, gained, len(first[0]), new.level)
    generator = seeds.numpy_generator(after.record.seed, "paired", new.name)
    how: Any = {"level": new.level, "resamples": after.record.plan["resamples"], "random_state": generator}
    if statistic is np.mean:
        low, high = bootstrap_interval(np.mean, second[0] - first[0], **how)
    else:
        count = len(first)
        change = lambda *both: statistic(*both[count:]) - statistic(*both[:count])  # noqa: E731
        low, high = bootstrap_interval(change, *first, *second, **how)
    return min(low, values[1] - values[0]), max(high, values[1] - values[0])


def _of_rows(kept: Kept, finding: Finding) -> Any:
    """The value of a finding as a statistic of arrays of its rows."""
    of_rows = OF_FINDING[finding.name].findings[finding.name].rows
    if of_rows is None:
        raise Unpaired("it is not compared row by row")
    if kept.no_rows:
        raise Unpaired(kept.no_rows)
    try:
        return of_rows(finding, kept.rows[finding.model])
    except KeyError as error:
        raise Unpaired(f"{per_row.ROWS} has no {error} of {finding.model}") from None
