"""An explanation in its folder: `explanation.json`, `arrays.npz`, and the page."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from trustworthy.core.errors import DataError
from trustworthy.core.study import UNREADABLE, Arrays, load_arrays, save_arrays, writing
from trustworthy.report.explanation.record import ExplanationRecord

FILE, ARRAYS = "explanation.json", "arrays.npz"


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
    place = Path(folder)
    try:
        record = ExplanationRecord.model_validate_json((place / FILE).read_text(encoding="utf-8"))
        return record, load_arrays(place / ARRAYS)
    except FileNotFoundError as error:
        raise DataError(
            f"{error.filename} does not exist: {place} holds no finished explanation. Run it again."
        ) from None
    except (ValidationError, *UNREADABLE) as error:
        raise DataError(f"{place} holds a damaged explanation ({error}); run the same command again.") from error
