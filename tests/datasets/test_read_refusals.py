"""What `read` says of tables, arrays and paths that cannot be read; what it says to type works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trustworthy.core.errors import DataError, InvalidInput, TrustworthyError
from trustworthy.datasets import read

FEATURES = "".join(f"{n},{n % 3}\n" for n in range(20))
MANY = "n,age,label\n" + "".join(f"{n},{n},{'ab'[n % 2]}\n" for n in range(19)) + "19,unknown,a\n"
THOUSANDS = 'income,n,label\n"1,234",1,a\n"12,345",2,b\n900,3,a\n'

TABLES: dict[str, tuple[str | bytes, dict[str, Any], type[TrustworthyError], str]] = {
    "empty": ("", {}, DataError, "is empty; it must hold a header"),
    "blank": ("\n\n", {}, DataError, "is empty; it must hold a header"),
    "a header alone": ("n,label\n", {}, DataError, "holds a header and no rows"),
    "a label twice": ("label,n,label\na,1,b\n", {}, InvalidInput, r"names the column 'label' 2 times \(columns 1, 3\)"),
    "no such label": ("n,kind\n1,a\n", {"label": "knd"}, InvalidInput, r"label names no column, got 'knd'; did you "
                      r"mean 'kind'\? Columns: 'n', 'kind'"),
    "several labels": ("n,u,v\n1,a,c\n2,b,d\n", {}, InvalidInput, r"which column of .* holds the labels\? 'u', 'v' are "
                       r"not of numbers\. Name it with --label COLUMN .* Columns: 'n', 'u', 'v'"),
    "named twice": ("n,label,class\n1,a,c\n", {}, InvalidInput, "'label', 'class' are named like one"),
    "no label": ("n,m\n1,2\n", {}, InvalidInput, "None is named label, labels, target, class, y or is of words"),
    "an empty label": ("n,label\n1,a\n2,\n3,b\n", {}, InvalidInput, r"column 'label' has no label in 1 of 3 rows"),
    "a regression": ("n,y\n1,1.5\n2,2.5\n", {}, InvalidInput, "must hold classes, got the number 1.5.* a regression"),
    "words among numbers": (MANY, {}, DataError, r"column 'age' of .* 19 numbers and 1 other cells \(row 19: 'unknown'"
                            r"; rows count from 0\).*--drop 'age'"),
    "thousands": (THOUSANDS, {}, DataError, r"'income' .* separators of thousands, such as '1,234', which"),
    "ambiguous commas": ("income;label\n1,234;a\n5,678;b\n", {}, DataError, "'income' .* could also be fractions"),
    "no header": ("5.1,3,setosa\n4.9,4,virg\n", {}, DataError, r"must name the columns, but holds '5\.1'; put a line"),
    "too many cells": ("n,label\n1,a,x\n2,b,y\n", {}, DataError, "rows must have as many cells as the header"),
    "too many cells later": ("n,label\n1,a\n2,b,y\n", {}, DataError, "as many cells as the header.*in line 3, saw 3"),
    "an open quote": ('n,label\n1,"a\n2,b\n', {}, DataError, "must be in quotes"),
    "nothing to drop": ("n,label\n1,a\n", {"drop": ["m"]}, InvalidInput, "drop names no column, got 'm'"),
    "nothing to group": ("n,label\n1,a\n2,b\n", {"group": "m"}, InvalidInput, "group names no column, got 'm'"),
    "the label alone": ("label\na\nb\n", {}, InvalidInput, "has no column beside the label"),
    "a size": ("n,label\n1,a\n2,b\n", {"size": 8}, InvalidInput, "size is the side of pictures"),
    "rows below zero": ("n,label\n1,a\n2,b\n", {"rows": -1}, InvalidInput, "rows must be >= 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLES)
def test_tables_that_cannot_be_read_are_refused(tmp_path: Path, case: str) -> None:
    text, options, error, message = TABLES[case]
    (tmp_path / "a.csv").write_text(str(text))
    with pytest.raises(error, match=message):
        read(tmp_path / "a.csv", **options)


def test_old_newlines_and_a_column_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,label,\r1,a,\r2,b,\r", newline="")
    found = read(tmp_path / "a.csv")
    assert (found.feature_names, found.x_test.tolist()) == (("n",), [[1.0], [2.0]])
    assert "A column without name and cells was left out" in found.provenance


@pytest.mark.parametrize(("text", "column"), [(MANY, "age"), (THOUSANDS, "income")])
def test_the_column_that_a_refusal_names_can_be_dropped(tmp_path: Path, text: str, column: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError) as refused:
        read(tmp_path / "a.csv")
    named = re.search(r"--drop '(\w+)'", str(refused.value))
    assert named is not None
    assert read(tmp_path / "a.csv", drop=[named[1]]).feature_names == ("n",)


@pytest.mark.parametrize("text", [THOUSANDS, "income;n;label\n1.234;1;a\n12.345,0;2;b\n900;3;a\n"])
def test_the_way_to_read_thousands_that_a_refusal_names_works(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError) as refused:
        read(tmp_path / "a.csv")
    call = re.search(r"pandas\.read_csv\(.*?\)", str(refused.value))
    assert call is not None
    np.testing.assert_array_equal(read(eval(call[0], {"pandas": pd})).x_test[:, 0], [1234, 12345, 900])


def test_the_label_that_a_refusal_asks_for_works(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(str(TABLES["several labels"][0]))
    assert read(tmp_path / "a.csv", label="v").class_names == ("c", "d")


def test_other_training_columns_are_refused_and_can_be_dropped() -> None:
    test, train = pd.DataFrame({"a": [1, 2], "b": [1, 2], "y": [0, 1]}), pd.DataFrame({"a": [1], "c": [2], "y": [1]})
    with pytest.raises(InvalidInput, match=r"but lacks 'b' and has also 'c'; leave them out: --drop 'b' --drop 'c'"):
        read(test, train=train)
    assert read(test, train=train, drop=["b", "c"]).feature_names == ("a",)


PATHS = {
    "rows.csx": r"there is no file or folder .*rows\.csx.*; did you mean '.*rows\.csv'",
    "zzzzzz": r"there is no file or folder .*; .* holds 'archive\.zip', 'rows\.csv'",
    "away/x.csv": r"nor is there a folder .*away",
    "archive.zip": r"is of a kind that is not read; expected \.csv, \.tsv, .*or a folder\. .*unpack an archive",
    "x.npy": r"x\.npy is one array; name a pair, of examples and labels: .*x\.npy,y\.npy",
    "cut.parquet": r"cut\.parquet is not a readable parquet file \(.*\); write it again",
    "cut.feather": r"cut\.feather is not a readable feather file \(.*\); write it again",
    "cut.csv.gz": r"cut\.csv\.gz cannot be read \(.*\); is it whole\?",
}


@pytest.mark.parametrize("name", PATHS)
def test_paths_that_cannot_be_read_are_refused(tmp_path: Path, name: str) -> None:
    if "cut" in name and "gz" not in name:
        pytest.importorskip("pyarrow")
    for made in {"rows.csv", "archive.zip"} | ({name} if name[:3] == "cut" or name == "x.npy" else set()):
        (tmp_path / made).write_bytes(b"no such thing")
    with pytest.raises(TrustworthyError, match=PATHS[name]):
        read(tmp_path / name)


def test_a_misspelt_data_set_is_suggested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"no data set of that name; did you mean the data set 'digits'\?"):
        read("digit")


FRAME = pd.DataFrame({"a": [1, 2]})
PAIRS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "lengths": ((np.zeros((3, 2)), [0, 1]), {}, "x and y must have as many rows, got 3 and 2"),
    "lengths of a frame": ((FRAME, [0, 1, 0]), {}, "x and y must have as many rows, got 2 and 3"),
    "another order": ((FRAME, pd.Series([0, 1], index=[1, 0])), {}, r"same index in another order; pass \(x, y\.loc"),
    "another order of x": ((FRAME[::-1], pd.Series([0, 1])), {}, "same index in another order"),
    "a label beside": ((FRAME, [0, 1]), {"label": "a"}, "the labels were given beside x, got label='a'"),
    "other rows to train on": (
        (np.zeros((2, 3)), [0, 1]),
        {"train": (np.zeros((2, 4)), [0, 1])},
        r"shape \(3,\), got \(4,\)",
    ),
    "another kind to train on": (
        (np.zeros((2, 1)), [0, 1]),
        {"train": (FRAME, [0, 1])},
        "train must be of the same kind",
    ),
    "columns of arrays": ((np.zeros((2, 1)), [0, 1]), {"drop": ["a"]}, "drop names no column, got 'a'"),
    "groups of arrays": ((np.zeros((2, 1)), [0, 1]), {"group": "a"}, "group names a column, which arrays do not have"),
    "a mixed column": (pd.DataFrame({"a": [1, "x"], "y": [0, 1]}), {}, r"mixes int \(row 0: 1\), str \(row 1: 'x'\)"),
    "equal names": (pd.DataFrame([[1, 2]], columns=["a", "a"]), {}, "the table names the column 'a' 2 times"),
    "a number": (3, {}, "data must be the name of a data set, a file or folder, .* got int"),
    "label of a known set": (
        "digits",
        {"label": "a", "train": "digits"},
        "digits is read as it is, so label and train",
    ),
}


@pytest.mark.parametrize("case", PAIRS)
def test_arrays_and_frames_that_do_not_fit_are_refused(case: str) -> None:
    source, options, message = PAIRS[case]
    with pytest.raises(InvalidInput, match=message):
        read(source, **options)


def test_a_broken_array_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"none")
    np.save(tmp_path / "y.npy", [0, 1])
    with pytest.raises(DataError, match=r"x\.npy is not a readable \.npy file"):
        read((tmp_path / "x.npy", tmp_path / "y.npy"))
    with pytest.raises(DataError, match=r"no file or folder .*z\.npy.*did you mean"):
        read((tmp_path / "z.npy", tmp_path / "y.npy"))
