"""Tables in CSV and TSV files, in chunks: what a column is depends on all of its cells, not on where a chunk ends."""

from __future__ import annotations

import csv
import gzip
import io
import re
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from trustworthy.core.errors import DataError
from trustworthy.core.extras import required
from trustworthy.datasets.columns import Frame, listed
from trustworthy.datasets.survey import Tally
from trustworthy.datasets.tables import BATCH, unique

SEPARATORS = (",", ";", "\t", "|")
HEAD = 65_536  # bytes
INDEX = "Unnamed: 0"


class DelimitedTable:
    """A CSV or TSV file, gzipped or not, read in passes of `BATCH` rows at a time: one to see what the columns are, one
    for each column that is asked for as a whole, one for rows."""

    def __init__(self, path: Path, *, drop: Collection[str] = ()) -> None:
        self.name, self.source, self.notes = path.name.removesuffix(".gz").rpartition(".")[0], str(path), []
        self._path = path
        with _named(path):
            self._written = _written(path)
            try:
                tallies = self._survey(drop)
            except UnicodeDecodeError:
                self._written["encoding"] = "latin-1"
                self.notes = ["The file is not UTF-8 and was read as Latin-1."]
                tallies = self._survey(drop)
        self._rows = max((tally.rows for tally in tallies.values()), default=0)
        if not self._rows:
            raise DataError(f"{path} holds a header and no rows; write rows beneath it.")
        for name, tally in tallies.items():
            tally.check(path, name, self._written["sep"])
        self.dtypes = {name: tally.dtype for name, tally in tallies.items()}

    def __len__(self) -> int:
        return self._rows

    def column(self, name: Any) -> Any:
        return required("pandas").concat([chunk[name] for chunk in self._typed([name])], ignore_index=True)

    def take(self, rows: np.ndarray) -> Frame:
        pd = required("pandas")

        taken = []
        for chunk in self._typed(self._columns):
            low, high = np.searchsorted(rows, (chunk.index[0], chunk.index[-1] + 1))
            taken.append(chunk.loc[rows[low:high]])
        frame = pd.concat(taken)
        for name in [name for name, dtype in self.dtypes.items() if dtype == "boolean"]:
            frame[name] = frame[name].astype(object).where(frame[name].notna(), np.nan)  # as pandas reads them itself
        return frame

    def _survey(self, drop: Collection[str]) -> dict[str, Tally]:
        header = self._header()
        self.names = tuple(header)
        self._columns = [name for name in header if name not in {*drop, INDEX}]
        tallies = self._tallies()
        if any(tally.has_decimal_commas for tally in tallies.values()):
            self._written["decimal"] = ","
            self.notes.append("Numbers are written with a decimal comma.")
            tallies = self._tallies()
        for name in [name for name, tally in tallies.items() if name.startswith("Unnamed: ") and not tally.present]:
            self._columns.remove(name)
            del tallies[name]
            self.notes.append("A column without name and cells was left out.")
        if INDEX in header:
            self.notes.append("The first column has no name: an index that pandas or R wrote, left out.")
        return tallies

    def _header(self) -> list[str]:
        pd = required("pandas")

        first = pd.read_csv(self._path, nrows=1, header=None, dtype=str, keep_default_na=False, **self._written)
        names = [name or f"Unnamed: {place}" for place, name in enumerate(first.iloc[0])]  # as pandas calls them
        unique(names, f"the header of {self._path}")
        numbers = [name for name in names if re.fullmatch(r"[+-]?\d*\.\d+", name)]
        if numbers:
            raise DataError(
                f"the first line of {self._path} must name the columns, but holds {listed(numbers)}; put a line "
                "of names on top."
            )
        return names

    def _tallies(self) -> dict[str, Tally]:
        pd = required("pandas")

        tallies: dict[str, Tally] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # cells beyond the header would be lost
            # All columns: with some, pandas no longer notices rows that have too many cells.
            for chunk in self._chunks(None, dtype_backend="numpy_nullable"):
                for name in self._columns:
                    tallies.setdefault(name, Tally()).add(chunk[name])
        return tallies

    def _typed(self, columns: list[str]) -> Iterator[Frame]:
        return self._chunks(columns, dtype={name: self.dtypes[name] for name in columns})

    def _chunks(self, columns: list[str] | None, **options: Any) -> Iterator[Frame]:
        pd = required("pandas")

        options |= {"usecols": columns, "chunksize": BATCH, "index_col": False, "low_memory": False}
        with pd.read_csv(self._path, **options, **self._written) as chunks:
            yield from chunks


def _written(path: Path) -> dict[str, Any]:
    """How pandas is to read the cells: by the byte-order mark, and the separator that cuts the header into the most."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        head = file.read(HEAD)
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    text = head.decode(encoding, errors="replace").lstrip()
    cells = {mark: len(next(csv.reader(io.StringIO(text, newline=None), delimiter=mark), [])) for mark in SEPARATORS}
    return {"sep": max(SEPARATORS, key=cells.__getitem__), "encoding": encoding, "decimal": "."}


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say which file it was that could not be read."""
    pd = required("pandas")

    try:
        yield
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path} is empty; it must hold a header, which names the columns, and rows.") from error
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise DataError(
            f"{path} is no table: rows must have as many cells as the header, and cells that hold a separator or a "
            f"newline must be in quotes ({str(error).strip()})."
        ) from error
    except DataError:  # an OSError, too
        raise
    except (OSError, EOFError) as error:
        raise DataError(
            f"{path} cannot be read ({error}): it is cut short or no gzip; copy or write it again."
        ) from error
