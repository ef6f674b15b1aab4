"""Tables of the user, one row an example: frames, and files whose columns and rows are read when they are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.core.extras import required
from trustworthy.datasets.columns import Frame, columns_of, listed

BATCH = 65_536  # rows of a file in memory at a time


@runtime_checkable
class Table(Protocol):
    """Rows and columns, as each of the tables here, in `delimited` and in `hugging_face` gives them.

    name, source : of the data set, and where it lies.
    names : of all columns of the source, those that were dropped too.
    dtypes : of pandas, by the name of the column.
    notes : what was done to read it that its owner should know.
    """

    name: str
    source: str
    names: tuple[str, ...]
    dtypes: dict[Any, Any]
    notes: list[str]

    def __len__(self) -> int:
        """Rows."""
        ...

    def column(self, name: Any) -> Any:
        """One whole column."""
        ...

    def take(self, rows: np.ndarray) -> Frame:
        """All columns of the rows with these numbers, which ascend; the index of the frame."""
        ...


class FrameTable:
    """A pandas frame, its index left out."""

    def __init__(self, frame: Frame, *, name: str = "frame", source: str = "", drop: Collection[str] = ()) -> None:
        unique(frame.columns, "the table")
        self.names = tuple(map(str, frame.columns))
        frame = frame[[column for column in frame.columns if str(column) not in drop]]
        self.name, self.source, self.notes = name, source, []
        self._frame = frame.reset_index(drop=True).infer_objects()
        self.dtypes = dict(self._frame.dtypes)
        columns_of(self._frame[[n for n, dtype in self.dtypes.items() if dtype == "object"]])  # refuses mixtures

    def __len__(self) -> int:
        return len(self._frame)

    def column(self, name: Any) -> Any:
        return self._frame[name]

    def take(self, rows: np.ndarray) -> Frame:
        return self._frame.iloc[rows]


class ArrowTable:
    """A Parquet or Feather file, from which pyarrow reads a column, or some rows, at a time."""

    def __init__(self, path: Path, kind: str, *, drop: Collection[str] = ()) -> None:
        arrow, dataset = required("pyarrow"), required("pyarrow.dataset")
        try:
            self._file = dataset.dataset(path, format=kind)
            unique(self._file.schema.names, str(path))
            columns = self._file.schema.empty_table().to_pandas().columns  # without a stored index
            self.names = tuple(columns)
            self._columns = [name for name in columns if name not in drop]
            first = self._file.head(1_000, columns=self._columns).to_pandas()
        except (arrow.ArrowInvalid, OSError) as error:
            raise DataError(f"{path} is not a readable {kind} file ({error}); write it again.") from error
        self.name, self.source, self.notes = path.stem, str(path), []
        self.dtypes = dict(first.infer_objects().dtypes)

    def __len__(self) -> int:
        return self._file.count_rows()

    def column(self, name: Any) -> Any:
        return self._file.to_table(columns=[name]).to_pandas()[name]

    def take(self, rows: np.ndarray) -> Frame:
        arrow, taken, start = required("pyarrow"), [], 0
        scanner = self._file.scanner(columns=self._columns, batch_size=BATCH, batch_readahead=1, fragment_readahead=1)
        for batch in scanner.to_batches():
            low, high = np.searchsorted(rows, (start, start + len(batch)))
            if low < high:
                taken.append(batch.take(arrow.array(rows[low:high] - start)))
            start += len(batch)
        schema = scanner.projected_schema
        return arrow.Table.from_batches(taken, schema).to_pandas().set_axis(rows).infer_objects()


def unique(names: Iterable[Any], what: str) -> None:
    """Refuse a header that names a column twice."""
    names = list(map(str, names))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        places = [place for place, name in enumerate(names, start=1) if name == twice[0]]
        raise InvalidInput(
            f"{what} names the column {twice[0]!r} {len(places)} times (columns {', '.join(map(str, places))}); "
            "rename or remove all but one."
        )


def found_column(argument: str, given: Any, names: Iterable[Any]) -> Any:
    """Return the column whose name reads `given`, or say which there are."""
    import difflib

    known = {str(name): name for name in names}
    if str(given) in known:
        return known[str(given)]
    near = difflib.get_close_matches(str(given), known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise InvalidInput(f"{argument} names no column, got {str(given)!r}{hint} Columns: {listed(known)}.")
