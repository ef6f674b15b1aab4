"""A saved audit: `findings.json` and `arrays.npz` of a folder, checked against the contract of each kind."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from trustworthy.core.errors import DataError
from trustworthy.core.study import UNREADABLE, load_arrays, save_arrays, writing
from trustworthy.report.finding import AuditRecord, Finding, Series
from trustworthy.report.findings import BY_NAME

FINDINGS, ARRAYS = "findings.json", "arrays.npz"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Entry:
    """A finding with its series checked and its arrays read."""

    finding: Finding
    series: Series
    arrays: dict[str, np.ndarray]


@dataclass(frozen=True)
class Audit:
    """A saved audit in memory; findings of a kind that this version does not draw have an empty series."""

    record: AuditRecord
    entries: list[Entry]


def write(folder: Path, record: AuditRecord, arrays: dict[str, np.ndarray]) -> None:
    """Save an audit: the arrays first, then the findings, which name them."""
    save_arrays(folder / ARRAYS, arrays)
    with writing(folder / FINDINGS) as stream:
        stream.write(record.model_dump_json(indent=1))


def read(folder: str | os.PathLike[str]) -> Audit:
    """Read the audit saved in `folder`.

    Raises
    ------
    DataError : a file is missing, truncated, of another schema version or breaks the contract of docs/findings.md;
        the message names the file, what is wrong and what to do.
    """
    record = read_record(folder)
    arrays = _arrays(Path(folder) / ARRAYS, wanted={key for f in record.findings for key in f.arrays.values()})
    return Audit(record, [_entry(finding, arrays, Path(folder)) for finding in record.findings])


def read_record(place: str | os.PathLike[str]) -> AuditRecord:
    """Read the findings of an audit without its arrays: of a folder, or the file itself.

    Raises
    ------
    DataError : it is missing, truncated, of another schema version or breaks the schema.
    """
    path = Path(place) / FINDINGS if Path(place).is_dir() or not Path(place).suffix else Path(place)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _refused(path, "does not exist: the folder holds no finished audit") from None
    except (OSError, ValueError) as error:
        raise _refused(path, f"cannot be read, it is truncated or not JSON ({error})") from error
    given = content.get("schema_version", SCHEMA_VERSION) if isinstance(content, dict) else None
    if given != SCHEMA_VERSION:
        reads = f"this version of trustworthy reads {SCHEMA_VERSION}; install the one that wrote it, or measure anew"
        raise _refused(path, f"has schema version {given!r}, {reads}")
    try:
        return AuditRecord.model_validate(content)
    except ValidationError as error:
        raise _refused(path, f"breaks the schema: {_first(error)}") from error


def _arrays(path: Path, wanted: set[str]) -> dict[str, np.ndarray]:
    if not wanted:
        return {}
    try:
        arrays = load_arrays(path)
    except FileNotFoundError:
        raise _refused(path, f"does not exist, but {FINDINGS} refers to {len(wanted)} arrays in it") from None
    except UNREADABLE as error:
        raise _refused(path, f"cannot be read, it is truncated or not an .npz file ({error})") from error
    if missing := sorted(wanted - set(arrays)):
        raise _refused(path, f"lacks the array {missing[0]!r} that {FINDINGS} refers to")
    return arrays


def _entry(finding: Finding, arrays: dict[str, np.ndarray], folder: Path) -> Entry:
    known = BY_NAME.get(finding.kind)
    kind = Series if known is None else known.series
    whose = f": finding {finding.name!r} of model {finding.model!r} (kind {finding.kind!r}) breaks its contract"
    where = f"{folder / FINDINGS}{whose}:"
    try:
        series = kind.model_validate(finding.series)
    except ValidationError as error:
        raise _refused(where, f"series {_first(error)}; see docs/findings.md") from error
    if missing := sorted(kind.roles - set(finding.arrays)):
        raise _refused(where, f"no array has the role {missing[0]!r}")
    own = {role: arrays[key] for role, key in finding.arrays.items()}
    labels: Any = getattr(series, "label", None)
    for role, array in own.items():
        if labels is not None and array.shape[:1] != (len(labels),):
            raise _refused(
                f"{folder / ARRAYS}: array {finding.arrays[role]!r}",
                f"must have {len(labels)} rows, one per label of finding {finding.name!r}, has shape {array.shape}",
            )
    return Entry(finding, series, own)


def _refused(what: object, why: str) -> DataError:
    return DataError(f"{what} {why}. Run `trustworthy audit` again with the same --out.")


def _first(error: ValidationError) -> str:
    """The first problem in one line: where, what, and what was given."""
    detail = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in detail["loc"]) or "as a whole"
    given = "" if detail["type"] in {"missing", "value_error"} else f", got {str(detail['input'])[:60]!r}"
    return f"{place}: {detail['msg']}{given}"
