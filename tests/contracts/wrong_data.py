"""Tables, files, arrays, labels and pictures that cannot be read."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pandas as pd
from numpy.testing import assert_array_equal
from PIL import Image
from scipy.sparse import csr_array
from torch import nn
from typer.testing import CliRunner

from contracts.wrong_inputs import (
    LABELS,
    ROWS,
    Wrong,
    after,
    audited,
    csv,
    npz,
    path,
    refused,
    source,
    suggested,
    written,
    wrong,
)
from report.small_audit import Halves, images, linear_of
from trustworthy import datasets
from trustworthy.cli.main import app
from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.datasets import Dataset, load, read
from trustworthy.datasets.labels import number

FEW = "n,label\n1,a\n2,b\n"
MANY = "n,age,label\n" + "".join(f"{n},{n},{'ab'[n % 2]}\n" for n in range(19)) + "19,unknown,a\n"
THOUSANDS = 'income,n,label\n"1,234",1,a\n"12,345",2,b\n900,3,a\n'
GERMAN = "income;n;label\n1.234;1;a\n12.345,0;2;b\n900;3;a\n"


def cured(entry: Wrong, right: Callable[[str], Any]) -> Wrong:
    """The mistake, and what its message says to do."""
    return replace(entry, right=right)


def code(said: str, pattern: str, **names: Any) -> Any:
    """What the piece of Python gives that a message holds once."""
    (found,) = re.findall(pattern, said)
    return eval(found, names)


def rows_of(said: str) -> list[int]:
    """The rows that a message lists."""
    (listed,) = re.findall(r"rows? (\d+(?:, \d+)*)", said)
    return [int(row) for row in listed.split(", ")]


def least(name: str) -> Callable[[str], dict[str, Any]]:
    """The least number that a message allows."""
    return lambda said: {name: int(after(">=")(said))}


def whole(name: str) -> Callable[[str], dict[str, Any]]:
    """The number of a message without its fraction."""
    return lambda said: {name: int(float(after("got")(said)))}


def dropped(said: str) -> dict[str, Any]:
    """The columns that a message says to leave out."""
    return {"drop": ",".join(re.findall(r"--drop '?([\w,]+)'?", said)).split(",")}


def own_reading(said: str) -> None:
    """The call of pandas that a message names reads numbers with separators of thousands as they are meant."""
    frame = code(said, r"pandas\.read_csv\(.*?\)", pandas=pd)
    assert_array_equal(read(frame).x_test[:, 0], [1234, 12345, 900])
    read("rows.csv", **dropped(said))


def emptied(said: str) -> dict[str, Any]:
    """The cell that is no number left empty; and the column to leave out."""
    read(written("empty.csv", MANY.replace("unknown", "")))
    return dropped(said)


def thousands(text: str, mark: str) -> Any:
    said = (f"separators of thousands, such as {mark!r}", "rows.csv", "write plain numbers, or read it yourself")
    return wrong(lambda: read(written("rows.csv", text)), *said, kind=DataError, right=own_reading)


TABLES = {
    "empty": csv("", "rows.csv is empty", "must hold a header", kind=DataError, fixed=FEW),
    "blank": csv("\n\n", "rows.csv is empty", "must hold a header", kind=DataError, fixed=FEW),
    "a header alone": csv(
        "n,label\n", "rows.csv holds a header and no rows", "write rows beneath", kind=DataError, fixed=FEW
    ),
    "no header": csv(
        "5.1,3,a\n4.9,4,b\n",
        "first line of rows.csv",
        "holds '5.1'",
        "put a line of names",
        kind=DataError,
        fixed="u,v,label\n5.1,3,a\n4.9,4,b\n",
    ),
    "a label twice": csv(
        "label,n,label\na,1,b\n",
        "header of rows.csv",
        "'label' 2 times (columns 1, 3)",
        "rename",
        fixed="kind,n,label\na,1,b\nb,2,a\n",
    ),
    "no such label": csv(
        "n,kind\n1,a\n2,b\n",
        "label names no column, got 'knd'; did you mean 'kind'?",
        "Columns: 'n', 'kind'",
        label="knd",
        right=lambda said: {"label": after("did you mean")(said)},
    ),
    "a label that is left out": csv(
        FEW,
        "drop leaves out the column 'label', which label names",
        "leave it out of drop",
        label="label",
        drop=["label"],
        right=lambda said: {"drop": []},
    ),
    "several labels": csv(
        "n,u,v\n1,a,c\n2,b,d\n",
        "which column of rows.csv holds the labels?",
        "'u', 'v' are not of",
        "Name it with --label COLUMN (label= in Python). Columns: 'n', 'u', 'v'",
        right=lambda said: {"label": "v"},
    ),
    "two names of labels": csv(
        "n,label,class\n1,a,c\n2,b,d\n",
        "'label', 'class' are named like one",
        "--label COLUMN",
        right=lambda said: {"label": "class"},
    ),
    "no label": csv(
        "n,m\n1,2\n3,4\n",
        "None is named label, labels, target, class, y or is of words",
        "--label COLUMN",
        right=lambda said: {"label": "m"},
    ),
    "an empty label": csv(
        "n,label\n1,a\n2,\n3,b\n",
        "column 'label' has no label in 1 of 3 rows (row 1",
        "leave these rows out, or give them",
        fixed="n,label\n1,a\n2,unknown\n3,b\n",
    ),
    "no label at all": csv(
        "n,label\n1,\n2,\n",
        "column 'label' has no label in 2 of 2 rows (rows 0, 1",
        "give labels, or name the column that holds them with --label COLUMN",
        fixed=FEW,
    ),
    "a regression": csv(
        "n,y\n1,1.5\n2,2.5\n",
        "column 'y' must hold classes, got the number 1.5",
        "a regression",
        "--label COLUMN",
        right=lambda said: {"label": "n"},
    ),
    "words in a regression": csv(
        FEW,
        "column 'label' must hold finite numbers in a regression, got 'a' (row 0",
        "name a column of numbers",
        right=lambda said: {"label": "n", "drop": []},
        task="regression",
    ),
    "words among numbers": csv(
        MANY,
        "column 'age' of rows.csv holds 19 numbers and 1 other cells (row 19: 'unknown'",
        "--drop age",
        kind=DataError,
        right=emptied,
    ),
    "thousands": thousands(THOUSANDS, "1,234"),
    "thousands with points": thousands(GERMAN, "12.345,0"),
    "commas of two meanings": csv(
        "income;label\n1,234;a\n5,678;b\n",
        "'income' of rows.csv",
        "could also be fractions",
        "write plain numbers",
        kind=DataError,
        fixed="income;label\n1.234;a\n5.678;b\n",
    ),
    "too many cells": csv(
        "n,label\n1,a,x\n2,b,y\n",
        "rows.csv is no table",
        "as many cells as the header",
        kind=DataError,
        fixed="n,label,m\n1,a,x\n2,b,y\n",
    ),
    "too many cells later": csv(
        "n,label\n1,a\n2,b,y\n",
        "as many cells as the header",
        "line 3, saw 3",
        kind=DataError,
        fixed='n,label\n1,a\n2,"b,y"\n',
    ),
    "an open quote": csv(
        'n,label\n1,"a\n2,b\n',
        "rows.csv is no table",
        "cells that hold a separator or a newline must be in quotes",
        kind=DataError,
        fixed='n,label\n1,"a\n"\n2,b\n',
    ),
    "nothing to drop": csv(
        FEW, "drop names no column, got 'm'", "Columns: 'n', 'label'", drop=["m"], right=lambda said: {"drop": []}
    ),
    "nothing to group": csv(
        FEW,
        "group names no column, got 'm'",
        "Columns: 'n'",
        group="m",
        right=lambda said: {"group": after("Columns:")(said)},
    ),
    "groups of the label": csv(
        FEW,
        "group must be another column than the label 'label'",
        "leave it out",
        group="label",
        label="label",
        right=lambda said: {"group": None},
    ),
    "the label alone": csv("label\na\nb\n", "rows.csv has no column beside the label", "give", fixed=FEW),
    "a size": csv(FEW, "size is the side of pictures", "leave it out", size=8, right=lambda said: {"size": None}),
    "rows below zero": csv(FEW, "rows must be >= 0, got -1", rows=-1, right=least("rows")),
    "a seed below zero": csv(FEW, "seed must be >= 0, got -1", seed=-1, right=least("seed")),
    "a seed of half": csv(FEW, "seed must be a whole number, got 0.5", seed=0.5, right=whole("seed")),
}


def beside(name: str, *says: str, right: Callable[[str], Any] | None = None, **given: Any) -> Wrong:
    """A path with rows.csv and archive.zip beside it."""
    made = path(name, *says, **given)

    def again() -> str:
        written("rows.csv", FEW)
        with ZipFile("archive.zip", "w") as archive:
            archive.writestr("more.csv", FEW)
        return made.made()

    return Wrong(again, made.says, right or made.right)


def cut(name: str, *says: str, write: Callable[[str], Any]) -> Wrong:
    """A file that breaks off, and the way to write it again."""
    return cured(path(name, *says, content=CUT), lambda said: [write(name), read(name)])


def unpacked(said: str) -> None:
    """What is in the archive."""
    shutil.unpack_archive("archive.zip", "unpacked")
    read("unpacked/more.csv")


def as_table(said: str) -> None:
    """A spreadsheet saved, and given as a frame, as its message says."""
    FEW_ROWS.to_csv("rows" + after("Save a table as")(said), index=False)
    read("rows.csv")
    read(FEW_ROWS)


def saved_by_name(said: str) -> None:
    """Arrays saved by the call that a message names, its dots filled in."""
    call = re.findall(r"np\.savez\(.*\)", said)[0].replace("x_test=...", "x_test=x").replace("y_test=...", "y_test=y")
    eval(call, {"np": np, "path": "x.npz", "x": ROWS, "y": LABELS})
    read("x.npz")


def path_of(content: bytes) -> Dataset:
    return read(written("cut.npz", content))


CUT = b"no such thing"
FEW_ROWS = pd.DataFrame({"n": [1, 2], "label": ["a", "b"]})
PATHS = {
    "misspelt": beside("rows.csx", "no file or folder rows.csx, and no data set", "did you mean 'rows.csv'?"),
    "nothing alike": beside(
        "zzzzzz",
        "no file or folder zzzzzz",
        "holds 'rows.csv'; name one of these",
        right=lambda said: read(re.findall(r"'([^']+)'; name one of these", said)[0]),
    ),
    "nothing beside": cured(
        path("zzzzzz", "no file or folder zzzzzz", "holds nothing that is read; give another path"),
        lambda said: read(written("rows.csv", FEW)),
    ),
    "no folder": beside(
        "away/x.csv",
        "no file or folder away/x.csv",
        "nor is there a folder away",
        "give the path",
        right=lambda said: read("rows.csv"),
    ),
    "a misspelt data set": path("digit", "no data set of that name", "did you mean the data set 'digits'?"),
    "an archive": beside(
        "archive.zip",
        "archive.zip is of a kind that is not read",
        ".parquet",
        "unpack an archive",
        kind=InvalidInput,
        right=unpacked,
    ),
    "a spreadsheet": cured(
        path(
            "rows.xlsx",
            "rows.xlsx is of a kind that is not read",
            "Save a table as .csv",
            content=CUT,
            kind=InvalidInput,
        ),
        as_table,
    ),
    "one array": wrong(
        lambda: [np.save("x.npy", ROWS), np.save("y.npy", LABELS), read("x.npy")],
        "x.npy is one array",
        "name a pair, of examples and labels: x.npy,y.npy",
        right=lambda said: read(said.rpartition(" ")[2]),
    ),
    "a cut .parquet": cut(
        "cut.parquet", "cut.parquet is not a readable parquet file", "write it again", write=FEW_ROWS.to_parquet
    ),
    "a cut .feather": cut(
        "cut.feather", "cut.feather is not a readable feather file", "write it again", write=FEW_ROWS.to_feather
    ),
    "a cut .csv.gz": cut(
        "cut.csv.gz",
        "cut.csv.gz cannot be read",
        "write it again",
        write=lambda name: FEW_ROWS.to_csv(name, index=False),
    ),
    "no .npz": cut(
        "no.npz",
        "no.npz is not a readable .npz file, perhaps truncated (it does not begin as one)",
        "write it again",
        write=lambda name: np.savez(name, x=ROWS, y=LABELS),
    ),
    "a cut .npz": wrong(
        lambda: [np.savez("a.npz", x=ROWS), path_of(Path("a.npz").read_bytes()[:-100])],
        "cut.npz is not a readable .npz file, perhaps truncated",
        "write it again",
        kind=DataError,
        right=lambda said: [np.savez("cut.npz", x=ROWS, y=LABELS), read("cut.npz")],
    ),
    "an array named .npz": wrong(
        lambda: [np.save("x.npy", ROWS), Path("x.npy").rename("x.npz"), read("x.npz")],
        "x.npz is a single array",
        "save named arrays",
        kind=DataError,
        right=saved_by_name,
    ),
    "a cut .npy": wrong(
        lambda: [written("x.npy", CUT), np.save("y.npy", [0, 1]), read("x.npy,y.npy")],
        "x.npy is not a readable .npy file of numbers or text (it does not begin as one)",
        "write it again",
        kind=DataError,
        right=lambda said: [np.save("x.npy", [[0.0], [1.0]]), read("x.npy,y.npy")],
    ),
    "half a pair": wrong(
        lambda: [np.save("rows.npy", [[0.0], [1.0]]), np.save("y.npy", [0, 1]), read(("row.npy", "y.npy"))],
        "no file or folder row.npy",
        "did you mean 'rows.npy'",
        kind=DataError,
        right=lambda said: read((*re.findall("did you mean '(.*?)'", said), "y.npy")),
    ),
    "a file by load": wrong(
        lambda: load("rows.csv"),
        "got 'rows.csv'",
        "datasets.read('rows.csv')",
        "--data rows.csv of `trustworthy audit`",
        right=lambda said: [written("rows.csv", FEW), code(said, r"datasets\.read\(.*?\)", datasets=datasets)],
    ),
    "a data set by load": wrong(
        lambda: load("digts"),
        "unknown data set 'digts'; did you mean 'digits'?",
        right=lambda said: load(suggested(said)[1]),
    ),
    "a label of a data set": source(
        "digits",
        "digits is read as it is, so label and train must be left out",
        label="a",
        train="digits",
        right=lambda said: read("digits"),
    ),
    "a regression of classes": source(
        "digits",
        "digits has classes, which are no regression",
        "leave --regression (task=) out",
        task="regression",
        right=lambda said: read("digits"),
    ),
}

X = np.linspace(0.0, 1.0, 12).reshape(3, 1, 2, 2)
Y = np.array([0, 2, 1], dtype=np.uint8)
NAN = X.copy()
NAN[1, 0, 1, 1] = np.nan
FRAME = pd.DataFrame({"a": [1, 2]})
HERE = pd.DataFrame({"a": [1, 2], "b": [1, 2], "y": [0, 1]})
ELSEWHERE = pd.DataFrame({"a": [1], "c": [2], "y": [1]})
MIXED = pd.DataFrame({"a": [1, "x"], "y": [0, 1]})
EMPTY = ["a", " ", "b", "", "", "", "", "", ""]
IMAGES, SIDES = images()


def with_value(value: float) -> np.ndarray:
    x = IMAGES.copy()
    x[3, 0, 2, 2] = value
    return x


def seen(x: Any, *says: str, right: Callable[[str], Any], y: Any = SIDES) -> Wrong:
    """Images and labels that an audit refuses; `right` gives those that it takes."""
    return refused(*says, model=Halves(), data=(x, y), right=lambda said: audited(Halves(), right(said)))


def without(said: str) -> tuple[Any, Any]:
    """Images and labels but for the row that a message names."""
    return np.delete(IMAGES, rows_of(said), 0), np.delete(SIDES, rows_of(said))


def labels(y: Any, *says: str, right: Callable[[str], Any] | None = None) -> Wrong:
    """Wrong labels, called y; `right` gives others, and None leaves out the rows that the message lists."""

    def again(said: str) -> None:
        number(right(said) if right else pd.Series(y).drop(rows_of(said)))

    return wrong(lambda: number(y), "y ", *says, right=again)


def as_words(said: str, y: Any = (1.0, 2.5, 2.5)) -> np.ndarray:
    """The names that the code of a message makes of numbers with fractions."""
    words = code(said, r"y\.astype\(\w+\)", y=np.array(y))
    assert number(words).values == tuple(map(str, np.unique(y)))
    return words


def written_out(said: str, given: Any) -> list[str]:
    """The labels as words."""
    assert "write all of them as words" in said
    return [str(value) for value in given]


def objects(said: str) -> None:
    """Names saved as text, as a message says."""
    given = np.array(["size", "weight"], object)
    names = code(said, r" by (.*?), or", numpy=np, feature_names=given)
    assert arrays(x=X.reshape(3, 4)[:, :2], y=Y, feature_names=names).feature_names == ("size", "weight")


def arrays(**given: Any) -> Dataset:
    np.savez("mine.npz", **given)
    return read("mine.npz")


def well(**given: Any) -> Callable[[str], Any]:
    """The arrays as a message expects them: x and y, but for those given."""
    return lambda said: arrays(**({"x": X, "y": Y} | given))


def in_unit_range(said: str) -> None:
    """8-bit images as the code of a message makes them."""
    x = code(said, r"write (.*)\.", x=(X * 255).astype(np.uint8))
    assert arrays(x=x, y=Y).x_test.max() == 1


def studied(said: str) -> None:
    """A regression that an audit refuses is studied by the command that the message names, and classes are audited."""
    audited(linear_of(ROWS))
    pd.DataFrame(ROWS).assign(y=ROWS[:, 0]).to_csv("prices.csv", index=False)
    (name,) = re.findall(r"`trustworthy (\w+)`", said)
    options = "--data prices.csv --label y --regression --labelled 10 --budget 0,0.1"
    result = CliRunner().invoke(app, [name, *options.split()])
    assert result.exit_code == 0, result.output


REGRESSION: dict[str, Any] = {
    "x_train": ROWS,
    "y_train": ROWS[:, 0].astype(float),
    "x_test": ROWS,
    "y_test": ROWS[:, 0].astype(float),
}
ARRAYS = {
    "no inputs": cured(
        npz("mine.npz has no array 'x_test'; it has 'y_test'", "Expected x_test", kind=DataError, y_test=Y), well()
    ),
    "no labels": cured(npz("mine.npz has no array 'y'; it has 'x'", "Expected x_test", kind=DataError, x=X), well()),
    "nothing": cured(
        npz("no array 'x_test', 'y_test'; it has none", "Expected x_test", kind=DataError),
        lambda said: arrays(x_test=X, y_test=Y),
    ),
    "half a training set": cured(
        npz("no array 'y_train'", "together or not at all", kind=DataError, x=X, y=Y, x_train=X),
        well(x_train=X, y_train=Y),
    ),
    "Python objects": wrong(
        lambda: arrays(x=X, y=Y, feature_names=np.array(["a", "b"], object)),
        "feature_names in mine.npz",
        "Python objects",
        "numpy.asarray(feature_names",
        kind=DataError,
        right=objects,
    ),
    "8-bit images": cured(
        npz(
            "x must hold floating-point numbers, got uint8",
            "write x.astype('float32') / 255",
            x=(X * 255).astype(np.uint8),
            y=Y,
        ),
        in_unit_range,
    ),
    "complex numbers": cured(
        npz("x must hold floating-point numbers, got complex128; write real numbers", x=X.reshape(3, 4) * 1j, y=Y),
        well(),
    ),
    "float labels": cured(
        npz("y must hold classes, got the number 0.5", "use names", x=X, y=Y / 2),
        lambda said: arrays(x=X, y=as_words(said, Y / 2)),
    ),
    "NaN in an .npz": cured(
        npz("x_test must be finite, but row 1 holds NaN", "drop or fill", x_test=NAN, y_test=Y),
        lambda said: arrays(x=np.delete(NAN, rows_of(said), 0), y=np.delete(Y, rows_of(said))),
    ),
    "infinity in an .npz": cured(
        npz("x must be finite, but row 0", "drop or fill", x=np.full((3, 2), np.inf), y=Y),
        well(x=np.nan_to_num(np.full((3, 2), np.inf), posinf=1.0)),
    ),
    "no rows in an .npz": cured(
        npz("x must be a non-empty array (n, *shape), got shape (0, 1, 2, 2)", x=X[:0], y=Y[:0]), well()
    ),
    "flat": cured(
        npz("x must be a non-empty array (n, *shape), got shape (12,)", x=X.ravel(), y=Y),
        well(x=X.ravel().reshape(3, -1)),
    ),
    "lengths in an .npz": cured(
        npz("y must have shape (3,), one label for each row of x, got (2,)", x=X, y=Y[:2]), well()
    ),
    "several labels a row": cured(
        npz("y must hold one label for each row", "one-hot", x=X, y=np.ones((3, 3), int)), well(y=np.eye(3, dtype=int))
    ),
    "two shapes": cured(
        npz(
            "x_train must have examples of shape (1, 2, 2) as x, got (1, 1, 2)",
            x=X,
            y=Y,
            x_train=X[:, :, :1],
            y_train=Y,
        ),
        well(x_train=X, y_train=Y),
    ),
    "lengths": source(
        (np.zeros((3, 2)), [0, 1]),
        "x and y must have as many rows, got 3 and 2",
        "give one label for each",
        right=lambda said: read((np.zeros((3, 2)), [0, 1, 0])),
    ),
    "lengths of a frame": source(
        (FRAME, [0, 1, 0]),
        "x and y must have as many rows, got 2 and 3",
        "give one label",
        right=lambda said: read((FRAME, [0, 1])),
    ),
    "another order": source(
        (FRAME, pd.Series([0, 1], index=[1, 0])),
        "same index in another order",
        "pass (x, y.loc[x.index])",
        right=lambda said: read((FRAME, pd.Series([0, 1], index=[1, 0]).loc[FRAME.index])),
    ),
    "another order of x": source(
        (FRAME[::-1], pd.Series([0, 1])),
        "same index in another order",
        "pass (x, y.loc",
        right=lambda said: read(code(said, r"pass (\(.*\))", x=FRAME[::-1], y=pd.Series([0, 1]))),
    ),
    "a label beside": source(
        (FRAME, [0, 1]),
        "the labels were given beside x, got label='a'",
        "leave it out",
        label="a",
        right=lambda said: read((FRAME, [0, 1])),
    ),
    "other rows to train on": source(
        (np.zeros((2, 3)), [0, 1]),
        "train must have rows of shape (3,), got (4,)",
        train=(np.zeros((2, 4)), [0, 1]),
        right=lambda said: read((np.zeros((2, 3)), [0, 1]), train=(np.zeros((2, 3)), [0, 1])),
    ),
    "another kind to train on": source(
        (np.zeros((2, 1)), [0, 1]),
        "train must be of the same kind",
        "both arrays",
        train=(FRAME, [0, 1]),
        right=lambda said: read((np.zeros((2, 1)), [0, 1]), train=(np.zeros((2, 1)), [0, 1])),
    ),
    "other columns to train on": source(
        HERE,
        "train must have the columns of the test rows, but lacks 'b' and has also 'c'; leave them out: --drop b,c",
        train=ELSEWHERE,
        right=lambda said: read(HERE, train=ELSEWHERE, **dropped(said)),
    ),
    "columns of arrays": source(
        (np.zeros((2, 1)), [0, 1]),
        "drop names columns, which arrays do not have, got ['a']",
        "leave it out",
        drop=["a"],
        right=lambda said: read((np.zeros((2, 1)), [0, 1])),
    ),
    "groups of arrays": source(
        (np.zeros((2, 1)), [0, 1]),
        "group names a column, which arrays do not have",
        "pass a frame",
        group="a",
        right=lambda said: read((FRAME, [0, 1]), group="a"),
    ),
    "a mixed column": source(
        MIXED,
        "column 'a' mixes int (row 0: 1), str (row 1: 'x')",
        "--drop a",
        right=lambda said: [read(MIXED.assign(b=[1, 2]), **dropped(said)), read(MIXED.astype({"a": str}))],
    ),
    "equal names": source(
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        "the table names the column 'a' 2 times",
        "rename",
        right=lambda said: read(HERE),
    ),
    "a number": source(
        3, "data must be the name of a data set, a file or folder", "got int", right=lambda said: read(HERE)
    ),
    "an array without labels": source(
        ROWS,
        "data must be the name of a data set",
        "a pair (x, y), got ndarray",
        right=lambda said: read((ROWS, LABELS)),
    ),
    "labels with fractions": labels(
        [1.0, 2.5, 2.5],
        "must hold classes, got the number 2.5 (rows 1, 2",
        "--label COLUMN, or use names",
        right=as_words,
    ),
    "labels of NaN": labels(np.array([1.0, np.nan, 2.0]), "has no label in 1 of 3 rows (row 1", "leave these rows out"),
    "labels of None": labels(["a", None, "b", None], "2 of 4 rows (rows 1, 3", "leave these rows out"),
    "labels of NA": labels(pd.Series([1, None, 2], dtype="Int64"), "1 of 3 rows (row 1", "leave these rows out"),
    "NA among objects": labels(np.array(["a", pd.NA], object), "1 of 2 rows (row 1", "leave these rows out"),
    "labels of empty text": labels(
        EMPTY,
        "7 of 9 rows (rows 1, 3, 4, 5, 6, ..., counted",
        right=lambda said: [word.strip() or after("such as")(said) for word in EMPTY],
    ),
    "a missing category": labels(pd.Categorical(["a", None]), "1 of 2 rows (row 1", "leave these rows out"),
    "labels of two types": labels(
        [1, "a"],
        "labels of one type, got int (1), str ('a')",
        "write all of them as words",
        right=lambda said: written_out(said, [1, "a"]),
    ),
    "labels of two parts": wrong(
        lambda: number([0, 1], ["0", "1"]),
        "one type, got int (1), str ('1')",
        "write all",
        right=lambda said: number(written_out(said, [0, 1]), ["0", "1"]),
    ),
    "two hot": labels(
        np.array([[1, 1], [0, 1]]),
        "one-hot rows with a single 1, got shape (2, 2)",
        right=lambda said: np.array([[1, 0], [0, 1]]),
    ),
    "no labels at hand": labels(
        [], "must hold one label for each row, shape (n,), got (0,)", right=lambda said: [0, 1]
    ),
    "labels of three axes": labels(np.zeros((2, 2, 2)), "shape (n,), got (2, 2, 2)", right=lambda said: np.zeros(2)),
    "an infinite label": labels([1.0, np.inf], "must hold classes, got inf (row 1)", "leave these rows out"),
    "images with NaN": seen(
        with_value(np.nan), "x must be finite, but row 3 holds NaN", "drop or impute", right=without
    ),
    "images with infinity": seen(
        with_value(np.inf),
        "x must be finite, but row 3 holds NaN or infinity",
        "drop or",
        right=lambda said: (np.nan_to_num(with_value(np.inf), posinf=1.0), SIDES),
    ),
    "images without channels": seen(
        IMAGES[:, 0],
        "got shape (24, 8, 8)",
        "need a channel axis: x[:, None]",
        right=lambda said: (code(said, r"x\[:, None\]", x=IMAGES[:, 0]), SIDES),
    ),
    "no images": seen(
        IMAGES[:0],
        "x must hold at least one example, got shape (0, 1, 8, 8)",
        y=SIDES[:0],
        right=lambda said: (IMAGES, SIDES),
    ),
    "sparse rows": seen(
        csr_array(ROWS),
        "x must be a dense array of numbers",
        "got csr_array; use x.toarray()",
        right=lambda said: (code(said, r"use (.*)\.", x=csr_array(ROWS)), LABELS),
    ),
    "inputs before labels": seen(
        IMAGES * 255, "a regression", y=SIDES + 0.5, right=lambda said: (IMAGES, as_words(said, SIDES + 0.5))
    ),
    "labels beyond the model": refused(
        "0..1 for 2 logits, got 6",
        "give a model of all classes",
        model=Halves(),
        data=(IMAGES, SIDES + 5),
        right=lambda said: audited(nn.Sequential(Halves(), nn.Linear(2, 7)), (IMAGES, SIDES + 5)),
    ),
    "a regression to audit": refused(
        "'prices' is a regression",
        "give data with classes",
        data=Dataset(name="prices", task="regression", **REGRESSION),
        right=studied,
    ),
    "floats as indices": refused(
        "y_test of a Dataset must be integer class indices, got float64",
        "datasets.read((x, y))",
        data=Dataset(name="prices", task="classification", **REGRESSION),
        right=lambda said: audited(
            linear_of(ROWS), code(said, r"datasets\.read\(.*\)", datasets=datasets, x=ROWS, y=LABELS.astype(float))
        ),
    ),
}


def picture(place: str, side: int = 4, mode: str = "RGB") -> None:
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (4, side)).astype(np.uint8)
    Image.fromarray(pixels).convert(mode).save(place)


def pets(*more: Callable[[], Any]) -> None:
    for place in ("pets/cat/0.png", "pets/cat/1.png", "pets/dog/0.png", "pets/dog/1.png"):
        picture(place)
    for make in more:
        make()


def folder(make: Callable[[], Any], *says: str, right: Any = None, kind: Any = None, **given: Any) -> Any:
    """A wrong folder of pictures; `right` mends it, or gives the arguments with which it is read."""
    again = None if right is None else lambda said: read("pets", **(right(said) or {}))
    return wrong(lambda: [make(), read("pets", **given)], *says, kind=kind or DataError, right=again)


def broken() -> None:
    pets(lambda: written("pets/cat/text.jpg", "no picture"))
    written("pets/dog/cut.png", Path("pets/dog/1.png").read_bytes()[:60])


def list_of(text: str) -> Callable[[], Any]:
    return lambda: pets(lambda: written("pets/labels.csv", text))


def sized(said: str) -> dict[str, Any]:
    return {"size": int(re.search(r"--size (\d+)", said)[1])}  # pyright: ignore[reportOptionalSubscript]


def listed(text: str) -> Callable[[str], Any]:
    """The list as a message wants it."""
    return lambda said: written("pets/labels.csv", text) and None


def with_bits(said: str) -> None:
    for mode in ("L", "I;16"):
        picture("pets/cat/1.tif", mode=mode)
        picture("pets/dog/1.tif", mode=mode)
        read("pets")


def removed(said: str) -> None:
    """The files that a message names are taken away."""
    for name in re.findall(r"'(pets/[^']+)'", said):
        Path(name).unlink()


def in_classes(said: str) -> None:
    """A list beside the pictures first, and then the place that the message names."""
    picture("pets/2.png")
    written("pets/labels.csv", "file,label\n1.png,a\n2.png,b\n")
    read("pets")
    removed("'pets/labels.csv'")
    place = Path(after("expected")(said))
    place.parent.mkdir()
    Path("pets/1.png").rename(place)
    Path("pets/OTHER").mkdir()
    Path("pets/2.png").rename("pets/OTHER/2.png")


def found(said: str) -> None:
    """A listed file is copied to where the list says, after its row was taken out."""
    text = Path("pets/labels.csv").read_text()
    (name,) = re.findall(r"'(cat/[^']+)'", said)
    written("pets/labels.csv", text.replace(name, "dog/0.png"))
    read("pets")
    written("pets/labels.csv", text)
    picture(f"pets/{name}")


def alike(said: str) -> None:
    """Pictures brought to one mode, and then without the one that differs."""
    read("pets", **sized(said))
    Path("pets/cat/grey.png").unlink()


PICTURES = {
    "two sizes": folder(
        lambda: pets(lambda: picture("pets/cat/wide.png", 6)),
        "got 4 of 4 x 4, 1 of 6 x 4",
        "Bring them to one: --size 4 ",
        kind=InvalidInput,
        right=sized,
    ),
    "two modes": folder(
        lambda: pets(lambda: picture("pets/cat/grey.png", mode="L")),
        "got 4 of colour, 1 of grey",
        "Bring them to one: --size 4 ",
        kind=InvalidInput,
        right=alike,
    ),
    "broken": folder(
        broken, "2 of 6 pictures cannot be read", "remove or replace them", "cat/text.jpg", "dog/cut.png", right=removed
    ),
    "nothing": folder(
        lambda: Path("pets").mkdir(),
        "pets holds no pictures",
        "it holds nothing",
        "Expected is a folder of pictures",
        right=lambda said: pets(),
    ),
    "other files": cured(
        folder(
            lambda: written("pets/a.txt", ""), "pets holds no pictures", "it holds 1 .txt", "a table is named by its"
        ),
        lambda said: read(written("pets/a.csv", FEW)),
    ),
    "no classes": folder(
        lambda: picture("pets/1.png"),
        "pets holds pictures but no folders of classes",
        "expected pets/CLASS/NAME.png, or one CSV file",
        right=in_classes,
    ),
    "listed twice": folder(
        list_of("file,label\ncat/0.png,a\ncat/0.png,b\n"),
        "labels.csv, column 'file', names 'cat/0.png' twice (row 1",
        "keep one row for each file",
        right=listed("file,label\ncat/0.png,a\ndog/0.png,b\n"),
    ),
    "listed and lost": folder(
        list_of("file,label\ncat/0.png,a\ncat/9.png,b\n"),
        "names 1 files that are not in pets: 'cat/9.png'",
        "copy them there",
        right=found,
    ),
    "named by nothing": folder(
        list_of("file,label\ncat/0.png,a\n,b\n"),
        "names no file in row 1",
        "leave these rows out",
        right=listed("file,label\ncat/0.png,a\ndog/0.png,b\n"),
    ),
    "two columns of files": folder(
        list_of("file,mask,label\ncat/0.png,cat/1.png,a\ndog/0.png,dog/1.png,b\n"),
        "'file', 'mask' of pets/labels.csv name pictures",
        "leave all but one out: --drop mask",
        kind=InvalidInput,
        right=dropped,
    ),
    "a range that is not known": folder(
        lambda: [picture("pets/cat/1.tif", mode="F"), picture("pets/dog/1.tif", mode="L")],
        "1.tif has the mode 'F'",
        "save it with 8 or 16 bits",
        right=with_bits,
    ),
    "a label of folders": folder(
        pets,
        "label and group name columns of a table",
        "leave them out",
        kind=InvalidInput,
        label="kind",
        right=lambda said: {},
    ),
    "no such group": folder(
        list_of("file,label\ncat/0.png,a\ndog/0.png,b\n"),
        "group names no column, got 'site'",
        "Columns: 'label'",
        kind=InvalidInput,
        group="site",
        right=lambda said: {"group": after("Columns:")(said)},
    ),
    "no side": folder(pets, "size must be >= 1, got 0", kind=InvalidInput, size=0, right=least("size")),
    "half a side": folder(
        pets, "size must be a whole number, got 2.5", kind=InvalidInput, size=2.5, right=whole("size")
    ),
}
