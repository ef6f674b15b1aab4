"""An explanation in its folder: `explanation.json`, `arrays.npz`, and the page."""

from __future__ import annotations

import os
from pathlib import Path

from trustworthy.core.study import Arrays, save_arrays, writing
from trustworthy.report.explanation.record import ExplanationRecord
from trustworthy.report.folder import ARRAYS, read_folder

FILE = "explanation.json"


def write(folder: Path, record: ExplanationRecord, arrays: Arrays) -> None:
    """Save an explanation and draw its page."""
    from trustworthy.report.explanation.page import render

    save_arrays(folder / ARRAYS, arrays)
    with writing(folder / FILE) as stream:
        stream.write(record.model_dump_json(indent=1))
    render(folder)


def read(folder: str | os.PathLike[str]) -> tuple[ExplanationRecord, Arrays]:
    """Read what `write` saved.

    Raises
    ------
    DataError : a file is missing, damaged, or breaks the schema.
    """
    return read_folder(folder, FILE, ExplanationRecord, "explanation")
