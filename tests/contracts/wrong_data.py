"""Tables, files, arrays, labels and pictures that cannot be read."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.testing import assert_array_equal
from PIL import Image
from scipy.sparse import csr_array

from contracts.wrong_inputs import LABELS, ROWS, after, csv, npz, path, refused, source, written, wrong
from report.small_audit import Halves, images
from trustworthy import datasets
from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.datasets import Dataset, load, read
from trustworthy.datasets.labels import number

FEW = "n,label\n1,a\n2,b\n"
MANY = "n,age,label\n" + "".join(f"{n},{n},{'ab'[n % 2]}\n" for n in range(19)) + "19,unknown,a\n"
THOUSANDS = 'income,n,label\n"1,234",1,a\n"12,345",2,b\n900,3,a\n'
GERMAN = "income;n;label\n1.234;1;a\n12.345,0;2;b\n900;3;a\n"


def dropped(said: str) -> dict[str, Any]:
    """The columns that a message says to leave out."""
    return {"drop": ",".join(re.findall(r"--drop '?([\w,]+)'?", said)).split(",")}


def own_reading(said: str) -> None:
    """The call of pandas that a message names reads numbers with separators of thousands as they are meant."""
    (call,) = re.findall(r"pandas\.read_csv\(.*?\)", said)
    assert_array_equal(read(eval(call, {"pandas": pd})).x_test[:, 0], [1234, 12345, 900])


def thousands(text: str, mark: str) -> Any:
    said = (f"separators of thousands, such as {mark!r}", "rows.csv", "write plain numbers, or read it yourself")
    return wrong(lambda: read(written("rows.csv", text)), *said, kind=DataError, right=own_reading)


TABLES = {
    "empty": csv("", "rows.csv is empty", "must hold a header", kind=DataError, fixed=FEW),
    "blank": csv("\n\n", "rows.csv is empty", "must hold a header", kind=DataError),
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
    "no label at all": csv("n,label\n1,\n2,\n", "column 'label' has no label in 2 of 2 rows (rows 0, 1", "leave these"),
    "a regression": csv(
        "n,y\n1,1.5\n2,2.5\n", "column 'y' must hold classes, got the number 1.5", "a regression", "--label COLUMN"
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
        right=dropped,
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
        "n,label\n1,a,x\n2,b,y\n", "rows.csv is no table", "as many cells as the header", kind=DataError
    ),
    "too many cells later": csv(
        "n,label\n1,a\n2,b,y\n",
        "as many cells as the header",
        "line 3, saw 3",
        kind=DataError,
        fixed='n,label\n1,a\n2,"b,y"\n',
    ),
    "an open quote": csv('n,label\n1,"a\n2,b\n', "rows.csv is no table", "must be in quotes", kind=DataError),
    "nothing to drop": csv(
        FEW, "drop names no column, got 'm'", "Columns: 'n', 'label'", drop=["m"], right=lambda said: {"drop": []}
    ),
    "nothing to group": csv(FEW, "group names no column, got 'm'", "Columns: 'n'", group="m"),
    "groups of the label": csv(
        FEW,
        "group must be another column than the label 'label'",
        "leave it out",
        group="label",
        label="label",
        right=lambda said: {"group": None},
    ),
    "the label alone": csv("label\na\nb\n", "rows.csv has no column beside the label", "give"),
    "a size": csv(FEW, "size is the side of pictures", "leave it out", size=8, right=lambda said: {"size": None}),
    "rows below zero": csv(FEW, "rows must be >= 0, got -1", rows=-1),
    "a seed below zero": csv(FEW, "seed must be >= 0, got -1", seed=-1),
    "a seed of half": csv(FEW, "seed must be a whole number, got 0.5", seed=0.5),
}


def beside(name: str, *says: str, **given: Any) -> Any:
    """A path with rows.csv and archive.zip beside it."""
    made = path(name, *says, **given)

    def again() -> str:
        written("rows.csv", FEW)
        written("archive.zip", "no such thing")
        return made.made()

    return type(made)(again, made.says, made.right)


def path_of(content: bytes) -> Dataset:
    return read(written("cut.npz", content))


CUT = b"no such thing"
PATHS = {
    "misspelt": beside("rows.csx", "no file or folder rows.csx, and no data set", "did you mean 'rows.csv'?"),
    "nothing alike": beside("zzzzzz", "no file or folder zzzzzz", "holds 'archive.zip', 'rows.csv'; name one of these"),
    "no folder": beside("away/x.csv", "no file or folder away/x.csv", "nor is there a folder away", "give the path"),
    "a misspelt data set": path("digit", "no data set of that name", "did you mean the data set 'digits'?"),
    "an archive": beside(
        "archive.zip", "archive.zip is of a kind that is not read", ".parquet", "unpack an archive", kind=InvalidInput
    ),
    "a spreadsheet": path(
        "rows.xlsx", "rows.xlsx is of a kind that is not read", "Save a table as .csv", content=CUT, kind=InvalidInput
    ),
    "one array": wrong(
        lambda: [np.save("x.npy", ROWS), np.save("y.npy", LABELS), read("x.npy")],
        "x.npy is one array",
        "name a pair, of examples and labels: x.npy,y.npy",
        right=lambda said: read(said.rpartition(" ")[2]),
    ),
    "a cut .parquet": path("cut.parquet", "cut.parquet is not a readable parquet file", "write it again", content=CUT),
    "a cut .feather": path("cut.feather", "cut.feather is not a readable feather file", "write it again", content=CUT),
    "a cut .csv.gz": path("cut.csv.gz", "cut.csv.gz cannot be read", "copy", content=CUT),
    "no .npz": path(
        "no.npz",
        "no.npz is not a readable .npz file, perhaps truncated (it does not begin as one)",
        "write it again",
        content=CUT,
    ),
    "a cut .npz": wrong(
        lambda: [np.savez("a.npz", x=ROWS), path_of(Path("a.npz").read_bytes()[:-100])],
        "cut.npz is not a readable .npz file, perhaps truncated",
        "write it again",
        kind=DataError,
    ),
    "an array named .npz": wrong(
        lambda: [np.save("x.npy", ROWS), Path("x.npy").rename("x.npz"), read("x.npz")],
        "x.npz is a single array",
        "save named arrays",
        kind=DataError,
    ),
    "a cut .npy": wrong(
        lambda: [written("x.npy", CUT), np.save("y.npy", [0, 1]), read("x.npy,y.npy")],
        "x.npy is not a readable .npy file of numbers or text (it does not begin as one)",
        "write it again",
        kind=DataError,
    ),
    "half a pair": wrong(
        lambda: [np.save("y.npy", [0, 1]), read(("z.npy", "y.npy"))],
        "no file or folder z.npy",
        "did you mean 'y.npy'?",
        kind=DataError,
    ),
    "a file by load": wrong(
        lambda: load("rows.csv"),
        "got 'rows.csv'",
        "datasets.read('rows.csv')",
        "--data rows.csv of `trustworthy audit`",
        right=lambda said: [
            written("rows.csv", FEW),
            eval(re.findall(r"datasets\.read\(.*?\)", said)[0], {"datasets": datasets}),
        ],
    ),
    "a data set by load": wrong(lambda: load("digts"), "unknown data set 'digts'; did you mean 'digits'?"),
    "a label of a data set": source(
        "digits", "digits is read as it is, so label and train must be left out", label="a", train="digits"
    ),
    "a regression of classes": source(
        "digits", "digits has classes, which are no regression", "leave --regression", task="regression"
    ),
}

X = np.linspace(0.0, 1.0, 12).reshape(3, 1, 2, 2)
Y = np.array([0, 2, 1], dtype=np.uint8)
NAN = X.copy()
NAN[1, 0, 1, 1] = np.nan
FRAME = pd.DataFrame({"a": [1, 2]})
HERE = pd.DataFrame({"a": [1, 2], "b": [1, 2], "y": [0, 1]})
ELSEWHERE = pd.DataFrame({"a": [1], "c": [2], "y": [1]})
IMAGES, SIDES = images()


def with_value(value: float) -> np.ndarray:
    x = IMAGES.copy()
    x[3, 0, 2, 2] = value
    return x


def seen(x: Any, *says: str, y: Any = SIDES) -> Any:
    """Images and labels that an audit refuses."""
    return refused(*says, model=Halves(), data=(x, y))


def labels(y: Any, *says: str, right: Any = None) -> Any:
    """Wrong labels, called y."""
    return wrong(lambda: number(y), "y ", *says, right=right)


def as_words(said: str) -> None:
    """The code that a message names makes classes of numbers with fractions."""
    (code,) = re.findall(r"y\.astype\(\w+\)", said)
    assert number(eval(code, {"y": np.array([1.0, 2.5, 2.5])})).values == ("1.0", "2.5")


def objects(said: str) -> None:
    """Names saved as text, as a message says."""
    remedy, names = said.split(" by ")[1].split(", or")[0], np.array(["size", "weight"], object)
    np.savez(
        "mine.npz", x=X.reshape(3, 4)[:, :2], y=Y, feature_names=eval(remedy, {"numpy": np, "feature_names": names})
    )
    assert read("mine.npz").feature_names == ("size", "weight")


def save_objects() -> None:
    np.savez("mine.npz", x=X, y=Y, feature_names=np.array(["a", "b"], object))
    read("mine.npz")


REGRESSION: dict[str, Any] = {
    "x_train": ROWS,
    "y_train": ROWS[:, 0].astype(float),
    "x_test": ROWS,
    "y_test": ROWS[:, 0].astype(float),
}
ARRAYS = {
    "no inputs": npz("mine.npz has no array 'x_test'; it has 'y_test'", "Expected x_test", kind=DataError, y_test=Y),
    "no labels": npz("mine.npz has no array 'y'; it has 'x'", "Expected x_test", kind=DataError, x=X),
    "nothing": npz("no array 'x_test', 'y_test'; it has none", "Expected x_test", kind=DataError),
    "half a training set": npz("no array 'y_train'", "together or not at all", kind=DataError, x=X, y=Y, x_train=X),
    "Python objects": wrong(
        save_objects,
        "feature_names in mine.npz",
        "Python objects",
        "numpy.asarray(feature_names",
        kind=DataError,
        right=objects,
    ),
    "8-bit images": npz(
        "x must hold floating-point numbers, got uint8",
        "write x.astype('float32') / 255",
        x=(X * 255).astype(np.uint8),
        y=Y,
    ),
    "complex numbers": npz(
        "x must hold floating-point numbers, got complex128; write real numbers", x=X.reshape(3, 4) * 1j, y=Y
    ),
    "float labels": npz("y must hold classes, got the number 0.5", "use names", x=X, y=Y / 2),
    "NaN in an .npz": npz("x_test must be finite, but row 1 holds NaN", "drop or fill", x_test=NAN, y_test=Y),
    "infinity in an .npz": npz("x must be finite, but row 0", "drop or fill", x=np.full((3, 2), np.inf), y=Y),
    "no rows in an .npz": npz("x must be a non-empty array (n, *shape), got shape (0, 1, 2, 2)", x=X[:0], y=Y[:0]),
    "flat": npz("x must be a non-empty array (n, *shape), got shape (12,)", x=X.ravel(), y=Y),
    "lengths in an .npz": npz("y must have shape (3,), one label for each row of x, got (2,)", x=X, y=Y[:2]),
    "several labels a row": npz("y must hold one label for each row", "one-hot", x=X, y=np.ones((3, 3), int)),
    "two shapes": npz(
        "x_train must have examples of shape (1, 2, 2) as x, got (1, 1, 2)", x=X, y=Y, x_train=X[:, :, :1], y_train=Y
    ),
    "lengths": source(
        (np.zeros((3, 2)), [0, 1]), "x and y must have as many rows, got 3 and 2", "give one label for each"
    ),
    "lengths of a frame": source((FRAME, [0, 1, 0]), "x and y must have as many rows, got 2 and 3", "give one label"),
    "another order": source(
        (FRAME, pd.Series([0, 1], index=[1, 0])),
        "same index in another order",
        "pass (x, y.loc[x.index])",
        right=lambda said: read((FRAME, pd.Series([0, 1], index=[1, 0]).loc[FRAME.index])),
    ),
    "another order of x": source((FRAME[::-1], pd.Series([0, 1])), "same index in another order", "pass (x, y.loc"),
    "a label beside": source(
        (FRAME, [0, 1]), "the labels were given beside x, got label='a'", "leave it out", label="a"
    ),
    "other rows to train on": source(
        (np.zeros((2, 3)), [0, 1]), "train must have rows of shape (3,), got (4,)", train=(np.zeros((2, 4)), [0, 1])
    ),
    "another kind to train on": source(
        (np.zeros((2, 1)), [0, 1]), "train must be of the same kind", "both arrays", train=(FRAME, [0, 1])
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
    ),
    "groups of arrays": source(
        (np.zeros((2, 1)), [0, 1]), "group names a column, which arrays do not have", "pass a frame", group="a"
    ),
    "a mixed column": source(
        pd.DataFrame({"a": [1, "x"], "y": [0, 1]}), "column 'a' mixes int (row 0: 1), str (row 1: 'x')", "--drop a"
    ),
    "equal names": source(
        pd.DataFrame([[1, 2]], columns=["a", "a"]), "the table names the column 'a' 2 times", "rename"
    ),
    "a number": source(3, "data must be the name of a data set, a file or folder", "got int"),
    "an array without labels": source(ROWS, "data must be the name of a data set", "a pair (x, y), got ndarray"),
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
        ["a", " ", "b", "", "", "", "", "", ""], "7 of 9 rows (rows 1, 3, 4, 5, 6, ..., counted"
    ),
    "a missing category": labels(pd.Categorical(["a", None]), "1 of 2 rows (row 1", "leave these rows out"),
    "labels of two types": labels([1, "a"], "labels of one type, got int (1), str ('a')", "write all of them as words"),
    "labels of two parts": wrong(lambda: number([0, 1], ["0", "1"]), "one type, got int (1), str ('1')", "write all"),
    "two hot": labels(np.array([[1, 1], [0, 1]]), "one-hot rows with a single 1, got shape (2, 2)"),
    "no labels at hand": labels([], "must hold one label for each row, shape (n,), got (0,)"),
    "labels of three axes": labels(np.zeros((2, 2, 2)), "shape (n,), got (2, 2, 2)"),
    "an infinite label": labels([1.0, np.inf], "must hold classes, got inf (row 1)", "leave these rows out"),
    "images with NaN": seen(with_value(np.nan), "x must be finite, but row 3 holds NaN", "drop or impute"),
    "images with infinity": seen(with_value(np.inf), "x must be finite, but row 3 holds NaN or infinity", "drop or"),
    "images without channels": seen(IMAGES[:, 0], "got shape (24, 8, 8)", "need a channel axis: x[:, None]"),
    "no images": seen(IMAGES[:0], "x must hold at least one example, got shape (0, 1, 8, 8)", y=SIDES[:0]),
    "sparse rows": seen(csr_array(ROWS), "x must be a dense array of numbers", "got csr_array; use x.toarray()"),
    "inputs before labels": seen(IMAGES * 255, "a regression", y=SIDES + 0.5),
    "labels beyond the model": seen(IMAGES, "0..1 for 2 logits, got 6", "give a model of all classes", y=SIDES + 5),
    "a regression to audit": refused(
        "'prices' is a regression",
        "give data with classes",
        data=Dataset(name="prices", task="regression", **REGRESSION),
    ),
    "floats as indices": refused(
        "y_test of a Dataset must be integer class indices, got float64",
        "datasets.read((x, y))",
        data=Dataset(name="prices", task="classification", **REGRESSION),
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
    """A wrong folder of pictures; `right` gives the arguments with which it is read."""
    again = None if right is None else lambda said: read("pets", **right(said))
    return wrong(lambda: [make(), read("pets", **given)], *says, kind=kind or DataError, right=again)


def broken() -> None:
    pets(lambda: written("pets/cat/text.jpg", "no picture"))
    written("pets/dog/cut.png", Path("pets/dog/1.png").read_bytes()[:60])


def list_of(text: str) -> Callable[[], Any]:
    return lambda: pets(lambda: written("pets/labels.csv", text))


def sized(said: str) -> dict[str, Any]:
    return {"size": int(re.search(r"--size (\d+)", said)[1])}  # pyright: ignore[reportOptionalSubscript]


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
        right=sized,
    ),
    "broken": folder(broken, "2 of 6 pictures cannot be read", "remove or replace them", "cat/text.jpg", "dog/cut.png"),
    "nothing": folder(
        lambda: Path("pets").mkdir(), "pets holds no pictures", "it holds nothing", "Expected is a folder of pictures"
    ),
    "other files": folder(
        lambda: written("pets/a.txt", ""), "pets holds no pictures", "it holds 1 .txt", "Expected is a"
    ),
    "no classes": folder(
        lambda: picture("pets/1.png"),
        "pets holds pictures but no folders of classes",
        "expected pets/CLASS/NAME.png, or one CSV file",
    ),
    "listed twice": folder(
        list_of("file,label\ncat/0.png,a\ncat/0.png,b\n"),
        "labels.csv, column 'file', names 'cat/0.png' twice (row 1",
        "keep one row for each file",
    ),
    "listed and lost": folder(
        list_of("file,label\ncat/0.png,a\ncat/9.png,b\n"),
        "names 1 files that are not in pets: 'cat/9.png'",
        "copy them there",
    ),
    "named by nothing": folder(
        list_of("file,label\ncat/0.png,a\n,b\n"), "names no file in row 1", "leave these rows out"
    ),
    "two columns of files": folder(
        list_of("file,mask,label\ncat/0.png,cat/1.png,a\ndog/0.png,dog/1.png,b\n"),
        "'file', 'mask' of pets/labels.csv name pictures",
        "leave all but one out: --drop mask",
        kind=InvalidInput,
        right=dropped,
    ),
    "a range that is not known": folder(
        lambda: picture("pets/cat/1.tif", mode="F"), "1.tif has the mode 'F'", "save it with 8 or 16 bits"
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
    ),
    "no side": folder(pets, "size must be >= 1, got 0", kind=InvalidInput, size=0),
    "half a side": folder(pets, "size must be a whole number, got 2.5", kind=InvalidInput, size=2.5),
}
