"""Data sets of the Hugging Face library `datasets`, from a folder of `save_to_disk` or as objects."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from trustworthy.core.errors import DataError, InvalidInput, leaving_out
from trustworthy.core.extras import required
from trustworthy.datasets.columns import Frame, listed
from trustworthy.datasets.frames import label_of
from trustworthy.datasets.image_folder import Listing
from trustworthy.datasets.tables import found_column

TEST = ("test", "validation", "val")


class HuggingFaceTable:
    """One split; class labels are their names."""

    def __init__(self, data: Any, *, name: str = "frame", source: str = "", drop: Collection[str] = ()) -> None:
        self.names = tuple(data.column_names)
        self._data = data.with_format(None).select_columns([n for n in data.column_names if n not in drop])
        self.name, self.source, self.notes = name, source, []
        self.dtypes = dict(self.take(np.arange(min(1_000, len(self)))).dtypes)

    def __len__(self) -> int:
        return len(self._data)

    def column(self, name: Any) -> Any:
        return self._named(self._data.select_columns([name]).to_pandas())[name]

    def take(self, rows: np.ndarray) -> Frame:
        return self._named(self._data.select(rows).to_pandas().set_axis(rows)).infer_objects()

    def _named(self, frame: Frame) -> Frame:
        pd = required("pandas")

        for name, feature in self._data.features.items():
            if name in frame and hasattr(feature, "int2str"):
                codes = frame[name].where(frame[name].notna() & (frame[name] >= 0), -1).astype(int)
                frame[name] = pd.Categorical.from_codes(codes, feature.names)
        return frame


def is_saved(path: Path) -> bool:
    """Whether `save_to_disk` wrote this folder."""
    return (path / "dataset_dict.json").is_file() or (path / "state.json").is_file()


def from_disk(path: Path) -> Any:
    """Open what `save_to_disk` wrote; the rows stay on disk."""
    library = required("datasets")
    try:
        return library.load_from_disk(str(path))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a whole folder of save_to_disk ({error}); write it again.") from error


def split(data: Any, notes: list[str]) -> Any:
    """The test split where there are several."""
    if not hasattr(data, "items"):
        return data
    chosen = next((name for name in TEST if name in data), None) or (next(iter(data)) if len(data) == 1 else None)
    if chosen is None:
        raise InvalidInput(
            f"which split is the test set? None of {listed(data)} is named {', '.join(TEST)}; pass data[SPLIT]."
        )
    left = [name for name in data if name != chosen]
    notes += [f"The split {chosen!r} was read, not {listed(left)}."] * bool(left)
    return data[chosen]


def images(data: Any, path: Path, *, label: str | None, group: str | None, drop: Collection[str]) -> Listing | None:
    """Pictures of a split with one column of them, opened when they are drawn; None for a table."""
    features = [n for n, kind in data.features.items() if type(kind).__name__ == "Image" and n not in drop]
    if not features:
        return None
    if len(features) > 1:
        raise InvalidInput(
            f"the columns {listed(features)} hold pictures; leave all but one out: {leaving_out(features[1:])}."
        )
    table = HuggingFaceTable(data, drop={*drop, *features})
    chosen = label_of(table, label)
    groups = None if group is None else table.column(found_column("group", group, table.dtypes)).to_numpy()
    pictures = _Pictures(data.with_format(None), features[0])
    return Listing(path, pictures, table.column(chosen), groups, group, table.notes)


class _Pictures:
    """The pictures of one column, each decoded when it is asked for."""

    def __init__(self, data: Any, column: str) -> None:
        self._data, self._column = data, column

    def __getitem__(self, row: Any) -> Any:
        return self._data[int(row)][self._column]
