"""A folder with a record and its arrays, read for a page: of a benchmark, of an explanation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from trustworthy.core.errors import DataError
from trustworthy.core.study import UNREADABLE, Arrays, load_arrays

ARRAYS = "arrays.npz"
R = TypeVar("R", bound=BaseModel)


def read_folder(folder: str | os.PathLike[str], file: str, record: type[R], what: str) -> tuple[R, Arrays]:
    """The record in `file` and the arrays beside it; `what` is what they are of, in a word.

    Raises
    ------
    DataError : a file is missing, damaged, or breaks the schema.
    """
    place = Path(folder)
    try:
        return record.model_validate_json((place / file).read_text(encoding="utf-8")), load_arrays(place / ARRAYS)
    except FileNotFoundError as error:
        raise DataError(f"{error.filename} does not exist: {place} holds no finished {what}. Run it again.") from None
    except (ValidationError, *UNREADABLE) as error:
        raise DataError(f"{place} holds a damaged {what} ({error}); run the same command again.") from error
