"""A study in a folder: its record, and the arrays that its page shows; of a benchmark, of an explanation."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from trustworthy.core.errors import DataError
from trustworthy.core.study import UNREADABLE, Arrays, load_arrays, save_arrays, writing

ARRAYS = "arrays.npz"
R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True)
class Saved(Generic[R]):
    """How studies of a kind are saved. file : of the record. what : they are, in a word."""

    file: str
    record: type[R]
    what: str

    def write(self, folder: Path, record: R, arrays: Arrays) -> None:
        """Save a record, and its arrays beside it."""
        save_arrays(folder / ARRAYS, arrays)
        with writing(folder / self.file) as stream:
            stream.write(record.model_dump_json(indent=1))

    def read(self, folder: str | os.PathLike[str]) -> tuple[R, Arrays]:
        """Read what `write` saved.

        Raises
        ------
        DataError : a file is missing, damaged, or breaks the schema.
        """
        place, what = Path(folder), self.what
        try:
            text = (place / self.file).read_text(encoding="utf-8")
            return self.record.model_validate_json(text), load_arrays(place / ARRAYS)
        except FileNotFoundError as error:
            raise DataError(
                f"{error.filename} does not exist: {place} holds no finished {what}. Run it again."
            ) from None
        except (ValidationError, *UNREADABLE) as error:
            raise DataError(f"{place} holds a damaged {what} ({error}); run the same command again.") from error
