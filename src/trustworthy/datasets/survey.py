"""What the cells of a column of a text file are, counted over all of its chunks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trustworthy.core.errors import DataError, leaving_out
from trustworthy.core.extras import required

BOOLEANS = ("True", "TRUE", "true", "False", "FALSE", "false")
GROUPED = r"\s*[+-]?[1-9]\d{0,2}(?:[,.' ]\d{3})+(?:[.,]\d+)?\s*"  # 1,234 and 1.234,5 and 1'234'567
DECIMAL_COMMA = r"\s*[+-]?\d*,\d+(?:[eE][+-]?\d+)?\s*"
MOSTLY = 0.9


@dataclass
class Tally:
    """Sums and conjunctions, which do not depend on where a chunk ends.

    missing, present, numbers, booleans : cells that are empty or NA, that are not, and what these are.
    whole : all numbers are whole and fit 64 bits.
    formatted : cells that are no numbers as they stand are numbers with separators of thousands or a decimal comma;
        `commas`: some hold for certain a decimal comma, `grouped`: the first that may hold separators of thousands.
    words : the first cells that are no numbers, with their rows.
    """

    missing: int = 0
    present: int = 0
    numbers: int = 0
    booleans: int = 0
    whole: bool = True
    formatted: bool = True
    commas: bool = False
    grouped: str = ""
    words: list[tuple[int, str]] = field(default_factory=list)

    def add(self, column: Any) -> None:
        """Count one chunk, whose index numbers the rows of the file."""
        types = required("pandas").api.types

        present = column.dropna()
        self.missing += len(column) - len(present)
        self.present += len(present)
        if not len(present):
            return
        if types.is_bool_dtype(present.dtype):
            self.booleans += len(present)
            self._note(present)
        elif types.is_numeric_dtype(present.dtype):
            self.numbers += len(present)
            self.whole &= types.is_signed_integer_dtype(present.dtype)
        else:
            self._add_text(present)

    @property
    def rows(self) -> int:
        """Cells counted."""
        return self.missing + self.present

    @property
    def dtype(self) -> str:
        """Of pandas: what it would infer from the whole file."""
        if self.numbers == self.present:
            return "int64" if self.whole and self.present and not self.missing else "float64"
        if self.booleans == self.present:
            return "boolean" if self.missing else "bool"
        return "str"

    @property
    def has_decimal_commas(self) -> bool:
        """Whether this is a column of numbers some of which can only be read with a decimal comma."""
        return self.formatted and self.commas

    def check(self, path: Path, name: str, separator: str) -> None:
        """Refuse a column of numbers that is damaged, or written so that it can be read in two ways."""
        if self.formatted and self.grouped:
            mark = next(sign for sign in self.grouped if not sign.isdigit() and sign not in "+-")
            options = f"sep={separator!r}, thousands={mark!r}" + (", decimal=','" if mark == "." else "")
            raise DataError(
                f"column {name!r} of {path} holds numbers with separators of thousands, such as {self.grouped!r}, "
                "which could also be fractions; write plain numbers, or read it yourself and pass the frame: "
                f"pandas.read_csv({str(path)!r}, {options}), or leave it out with {leaving_out([name])}."
            )
        if self.present > self.numbers >= MOSTLY * self.present:
            shown = ", ".join(f"row {row}: {text!r}" for row, text in self.words)
            raise DataError(
                f"column {name!r} of {path} holds {self.numbers:,} numbers and {self.present - self.numbers:,} other "
                f"cells ({shown}; rows count from 0); correct them, leave them empty if they mean missing, or leave "
                f"the column out with {leaving_out([name])}."
            )

    def _add_text(self, text: Any) -> None:
        pd = required("pandas")

        codes, values = pd.factorize(text)
        values = pd.Series(values)
        count, number = np.bincount(codes), pd.to_numeric(values, errors="coerce").notna().to_numpy()
        self.whole = False
        self.numbers += int(count[number].sum())
        self.booleans += int(count[values.isin(BOOLEANS)].sum())
        self._note(text[~number[codes]])
        if self.formatted and not number.all():
            words = values[~number]
            grouped, comma = words.str.fullmatch(GROUPED), words.str.fullmatch(DECIMAL_COMMA)
            self.formatted = bool((grouped | comma).all())
            self.grouped = self.grouped or next(iter(words[grouped].str.strip()), "")
            self.commas |= bool((comma & ~grouped).any())

    def _note(self, words: Any) -> None:
        first = words.head(5 - len(self.words))
        self.words += [(int(row), str(value)) for row, value in first.items()]
