"""`rows.parquet`: one row for each model and audited example, for whoever asks which, and for pairs of audits.

`audit` writes the columns that kinds of finding leave, `pairing` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

from trustworthy.core.errors import DataError, MissingPackage
from trustworthy.core.extras import required
from trustworthy.core.study import writing
from trustworthy.report.finding import AuditRecord

if TYPE_CHECKING:
    from trustworthy.report.rows import Examples
    from trustworthy.report.subject import Subject

ROWS = "rows.parquet"
Columns = dict[str, np.ndarray]
"""Arrays of one length by the name of the column; NaN where nothing was tried."""


def answered(subject: Subject, examples: Examples) -> Columns:
    """What is known of every example before anything is measured."""
    predicted, labels = subject.logits.argmax(axis=1), examples.y.numpy()
    columns = {"row": examples.rows, "model": np.full(len(labels), subject.name, object)}
    columns |= {
        name: np.array([examples.class_name(int(label)) for label in classes], object)
        for name, classes in (("class", labels), ("predicted", predicted))
    }
    if subject.gives == "probabilities":
        columns["confidence"] = softmax(subject.logits, axis=1).max(axis=1)
    return columns | {"right": predicted == labels}


def write(folder: Path, record: AuditRecord, models: Mapping[str, Columns]) -> None:
    """Save the columns of every model. Where pyarrow is not installed there is no file, not even one of before."""
    try:
        arrow, parquet = required("pyarrow"), required("pyarrow.parquet")
    except MissingPackage:
        (folder / ROWS).unlink(missing_ok=True)
        return
    tables = [
        arrow.table({name: arrow.array(column, from_pandas=True) for name, column in columns.items()})
        for columns in models.values()
    ]
    table = arrow.concat_tables(tables, promote_options="default").replace_schema_metadata({"audit": _mark(record)})
    with writing(folder / ROWS, "wb") as stream:
        parquet.write_table(table, stream)


def read(folder: Path, record: AuditRecord) -> dict[str, Columns]:
    """The columns of every model of the audit `record` in `folder`.

    Raises
    ------
    MissingPackage, DataError : pyarrow is not installed, or the file is not there, broken or of another audit.
    """
    path, parquet = folder / ROWS, required("pyarrow.parquet", f"reading {ROWS}")
    try:
        table = parquet.read_table(path)
    except (OSError, ValueError) as error:  # what pyarrow raises of a file that is none of its own is a ValueError
        raise DataError(f"{path} {'cannot be read' if path.exists() else 'does not exist'}") from error
    if (table.schema.metadata or {}).get(b"audit", b"").decode() != _mark(record):
        raise DataError(f"{path} is of another audit")
    columns = {name: table[name].to_numpy() for name in table.column_names}
    return {
        str(model): {name: column[columns["model"] == model] for name, column in columns.items()}
        for model in np.unique(columns["model"].astype(str))
    }


def _mark(record: AuditRecord) -> str:
    """What tells the audit from one that was written into the same folder."""
    return f"{record.created} {record.data.get('fingerprint', '')}"
