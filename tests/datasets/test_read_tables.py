"""`read` of tables: whatever they are kept in, the same examples."""

from __future__ import annotations

import functools
import gzip
import importlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.datasets import load_breast_cancer, load_wine

from trustworthy.core.errors import MissingPackage, TrustworthyWarning
from trustworthy.datasets import Dataset, delimited, read, tables
from trustworthy.datasets.columns import decode
from trustworthy.datasets.draw import stratified_rows


def hugging() -> Any:
    """The library `datasets`, not this folder of the same name that pytest puts on the path."""
    pytest.importorskip("datasets.arrow_dataset")
    return importlib.import_module("datasets")


def wine() -> pd.DataFrame:
    bunch = load_wine(as_frame=True)
    return bunch.data.assign(cultivar=np.array(["barolo", "grignolino", "barbera"])[bunch.target])


def cancer() -> pd.DataFrame:
    bunch = load_breast_cancer(as_frame=True)
    return bunch.data.assign(Class=np.array(bunch.target_names)[bunch.target])


def passengers(rows: int = 60) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": np.where(random.random(rows) < 0.2, np.nan, random.integers(1, 80, rows)),
            "fare": random.normal(30, 9, rows),
            "sex": random.choice(["male", "female"], rows),
            "deck": random.choice(np.array(["A", "B", None], object), rows),
            "alone": random.choice([True, False], rows),
            "insured": random.choice(np.array([True, False, None], object), rows),
            "ticket": [f"A/{n}" if n % 4 == 0 else str(n) for n in random.integers(1, 99, rows)],
            "target": random.integers(1, 4, rows),
        }
    )


FRAMES = {"wine": wine, "cancer": cancer, "passengers": passengers}
WAYS: dict[str, Any] = {
    "frame": lambda f, _: f,
    "file.csv": lambda f, p: f.to_csv(p, index=False),
    "text.csv": lambda f, p: f.to_csv(str(p), index=False),
    "index.csv": lambda f, p: f.to_csv(p),
    "file.tsv.gz": lambda f, p: f.to_csv(p, sep="\t", index=False),
    "german.csv": lambda f, p: f.to_csv(p, sep=";", decimal=",", index=False),
    "excel.csv": lambda f, p: f.to_csv(p, sep=";", encoding="utf-8-sig", index=False),
    "utf16.tsv": lambda f, p: f.to_csv(p, sep="\t", encoding="utf-16", index=False),
    "windows.csv": lambda f, p: f.to_csv(p, lineterminator="\r\n", index=False),
    "pipes.csv": lambda f, p: f.to_csv(p, sep="|", quoting=1, index=False),
    "file.parquet": lambda f, p: f.sample(frac=1, random_state=0).sort_index().to_parquet(p),
    "file.feather": lambda f, p: f.to_feather(p),
    "arrow": lambda f, _: pytest.importorskip("pyarrow").Table.from_pandas(f),
    "polars": lambda f, _: pytest.importorskip("polars").from_pandas(f),
    "hugging face": lambda f, _: hugging().Dataset.from_pandas(f),
    "hugging face folder": lambda f, p: hugging_face_folder(f, p),
}


QUICK = {("frame", "cancer"), ("german.csv", "wine"), ("file.parquet", "wine")}
"""Tables of nothing but numbers and a label; those of passengers have every kind of column."""


def hugging_face_folder(frame: pd.DataFrame, path: Path) -> None:
    library = hugging()
    library.disable_progress_bars()
    library.DatasetDict(
        {"train": library.Dataset.from_pandas(frame[:9]), "test": library.Dataset.from_pandas(frame)}
    ).save_to_disk(str(path))


def assert_same(found: Dataset, expected: Dataset) -> None:
    for name in ("x_test", "y_test", "x_train", "y_train", "rows", "groups"):
        first, second = getattr(found, name), getattr(expected, name)
        assert (first is None) == (second is None)
        if second is not None:
            assert_array_equal(first, second)
    for name in ("class_names", "class_values", "feature_names", "available"):
        assert getattr(found, name) == getattr(expected, name)
    assert [(c.name, c.kind, c.categories) for c in found.columns] == [
        (c.name, c.kind, c.categories) for c in expected.columns
    ]


@functools.cache
def thirty_rows(data: str) -> tuple[pd.DataFrame, Dataset]:
    """A frame, and what is read of it."""
    frame = FRAMES[data]()
    return frame, read(frame, rows=30, seed=3)


@pytest.mark.parametrize(
    ("way", "data"),
    [
        pytest.param(way, data, marks=() if data == "passengers" or (way, data) in QUICK else pytest.mark.slow)
        for way in WAYS
        for data in FRAMES
    ],
)
def test_a_table_is_the_same_in_whatever_it_is_kept(tmp_path: Path, way: str, data: str) -> None:
    frame, expected = thirty_rows(data)
    if way.endswith((".parquet", ".feather")):
        pytest.importorskip("pyarrow")
    made = WAYS[way](frame, tmp_path / way)
    assert_same(read(tmp_path / way if made is None else made, rows=30, seed=3), expected)
    assert expected.x_test.shape == (30, frame.shape[1] - 1)
    label = frame.iloc[:, -1]
    assert_array_equal(expected.rows, stratified_rows(np.unique(label, return_inverse=True)[1], 30, 3))
    assert_array_equal(np.array(expected.class_values)[expected.y_test], label.iloc[expected.rows])


@pytest.mark.parametrize("rows", [0, 20])
def test_a_file_decodes_to_what_pandas_reads(tmp_path: Path, rows: int) -> None:
    passengers().to_csv(tmp_path / "a.csv", index=False)
    found = read(tmp_path / "a.csv", rows=rows)
    kept = slice(None) if found.rows is None else found.rows
    expected = pd.read_csv(tmp_path / "a.csv").drop(columns="target").iloc[kept].reset_index(drop=True)
    assert_frame_equal(decode(np.asarray(found.x_test), found.columns), expected)


MIXED = """n,late fraction,late word,late hole,late flag,huge,label
1,1,1,1,True,1,a
2,2,x,2,FALSE,2,b
3,3,3,3,true,3,a
4,4.5,4,,False,99999999999999999999,b
5,5,y,5,,5,a
"""


@pytest.mark.parametrize(
    ("batch", "rows"),
    [
        (1, 3),
        (3, 0),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in [(1, 0), (2, 0), (2, 3), (3, 3), (5, 0), (5, 3)]),
    ],
)
def test_what_a_column_is_does_not_depend_on_the_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int, rows: int
) -> None:
    (tmp_path / "a.csv").write_text(MIXED)
    expected = read(tmp_path / "a.csv", rows=rows)
    monkeypatch.setattr(delimited, "BATCH", batch)
    found = read(tmp_path / "a.csv", rows=rows)
    assert_same(found, expected)
    assert found.columns == expected.columns
    assert [str(column.dtype) for column in found.columns] == [
        "int64",
        "float64",
        "str",
        "float64",
        "object",
        "float64",
    ]


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_rows_are_taken_from_all_batches_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(tables, "BATCH", 7)
    getattr(wine(), f"to_{kind}")(tmp_path / f"a.{kind}")
    assert_same(read(tmp_path / f"a.{kind}", rows=40), read(wine(), rows=40))


def test_training_rows_share_classes_and_categories(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text("size,colour,label\n1,red,yes\n,blue,maybe\n3,red,no\n")
    test.write_text("colour,size,label\ngreen,2,no\nred,5,yes\n")
    found = read(test, train=train)
    assert (found.class_names, found.feature_names) == (("maybe", "no", "yes"), ("colour", "size"))
    assert found.columns[0].categories == ("blue", "green", "red")
    assert_array_equal(found.x_test, [[1, 2], [2, 5]])
    assert_array_equal(found.x_train, [[2, 1], [0, np.nan], [2, 3]])
    assert_array_equal(found.y_test, [1, 2])
    assert_array_equal(found.y_train, [2, 0, 1])


def test_columns_are_dropped_and_group_rows() -> None:
    frame = passengers()
    found = read(frame, drop=["ticket", "sex"], group="deck", label="target", rows=20)
    assert found.feature_names == ("age", "fare", "deck", "alone", "insured")
    assert found.groups is not None
    assert_array_equal(pd.Series(found.groups).fillna("-"), frame["deck"].iloc[found.rows].fillna("-"))
    assert "label" not in found.provenance


def test_the_guess_of_the_label_is_told() -> None:
    assert "labels are the column 'cultivar', the only one not of numbers; --label COLUMN" in read(wine()).provenance
    assert "labels are the column 'Class', the only one named like one" in read(cancer()).provenance
    assert "'grignolino' 71, 'barolo' 59, 'barbera' 48" in read(wine()).provenance


def test_what_was_done_to_read_a_file_is_told(tmp_path: Path) -> None:
    for way, note in {"index.csv": "The first column has no name", "german.csv": "decimal comma"}.items():
        WAYS[way](wine(), tmp_path / way)
        assert note in read(tmp_path / way).provenance
    (tmp_path / "latin.csv").write_bytes("größe,label\n1,süß\n2,sauer\n".encode("latin-1"))
    found = read(tmp_path / "latin.csv")
    assert (found.feature_names, found.class_names) == (("größe",), ("sauer", "süß"))
    assert "read as Latin-1" in found.provenance


def test_old_newlines_and_a_column_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,label,\r1,a,\r2,b,\r", newline="")
    found = read(tmp_path / "a.csv")
    assert (found.feature_names, found.x_test.tolist()) == (("n",), [[1.0], [2.0]])
    assert "A column without name and cells was left out" in found.provenance


def test_a_quoted_newline_and_separators_in_cells(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,n,label\n"one\ntwo",1,a\n"three, four",2,b\n')
    found = read(tmp_path / "a.csv")
    assert found.columns[0].categories == ("one\ntwo", "three, four")
    assert_array_equal(found.y_test, [0, 1])


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.arange(8.0).reshape(4, 2), ["a", "b", "a", "b"]),
        ([[0, 1], [2, 3], [4, 5], [6, 7]], pd.Series(["a", "b", "a", "b"])),
        (pd.DataFrame({"u": [0, 2, 4, 6], "v": [1, 3, 5, 7]}), np.array(["a", "b", "a", "b"], object)),
        (pd.DataFrame({"u": [0, 2, 4, 6], "v": [1, 3, 5, 7]}), pd.get_dummies(pd.Series(["a", "b", "a", "b"]))),
    ],
)
def test_pairs(x: Any, y: Any) -> None:
    found = read((x, y), train=(x, y))
    for rows, labels in ((found.x_test, found.y_test), (found.x_train, found.y_train)):
        assert_array_equal(rows, np.arange(8).reshape(4, 2), strict=False)
        assert_array_equal(labels, [0, 1, 0, 1])
        assert rows.dtype == np.float64
    assert found.class_values == ("a", "b")
    assert found.feature_names == (("u", "v") if hasattr(x, "columns") else ())


def test_files_of_arrays(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).random((40, 1, 2, 2)), np.arange(40) % 4 * 10
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    np.savez(tmp_path / "a.npz", x_test=x, y_test=y // 10)
    pair = read((tmp_path / "x.npy", tmp_path / "y.npy"), rows=8)
    for found in (pair, read(f"{tmp_path}/x.npy,{tmp_path}/y.npy", rows=8), read(tmp_path / "a.npz", rows=8)):
        assert found.x_test.dtype == np.float32
        assert_array_equal(found.x_test, x[pair.rows].astype(np.float32))
        assert_array_equal(found.y_test, (y // 10)[pair.rows])
    assert (pair.class_values, pair.available) == ((0, 10, 20, 30), 40)


def test_names_and_data_sets_pass_through() -> None:
    whole = read("digits")
    assert read(whole) is whole
    some = read("digits", rows=50)
    assert_array_equal(some.rows, stratified_rows(np.asarray(whole.y_test), 50, 0))
    assert_array_equal(some.x_test, whole.x_test[some.rows])


def test_one_class_is_told() -> None:
    with pytest.warns(TrustworthyWarning, match=r"all 3 labels of frame are the same, 'spam': "):
        read(pd.DataFrame({"n": [1, 2, 3], "label": ["spam"] * 3}))


def test_class_labels_of_hugging_face_are_names() -> None:
    library = hugging()
    features = library.Features({"n": library.Value("int64"), "kind": library.ClassLabel(names=["no", "yes", "maybe"])})
    found = read(library.Dataset.from_dict({"n": [1, 2, 3], "kind": [1, 0, 1]}, features))
    assert (found.class_names, found.y_test.tolist()) == (("no", "yes", "maybe"), [1, 0, 1])


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wine().to_csv(tmp_path / "a.csv")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingPackage, match=r"reading these data needs pandas .*: pip install 'trustworthy\[data\]'"):
        read(tmp_path / "a.csv")


@pytest.mark.slow
def test_memory_is_flat_and_a_million_rows_take_a_minute_at_most(tmp_path: Path) -> None:
    """Measured: 60 to 70 MiB and 12 s for 89 MB of 13 columns on a busy machine of two cores; the frame has 190 MiB."""
    random = np.random.default_rng(0)
    for start in range(0, 1_000_000, 100_000):
        part = pd.DataFrame(random.normal(size=(100_000, 10)).round(5)).add_prefix("v")
        part["city"], part["label"] = (random.choice(list("abc"), 100_000, p=[0.9, 0.09, 0.01]) for _ in range(2))
        part.to_csv(tmp_path / "a.csv", mode="a", header=start == 0, index=False)
    with gzip.open(tmp_path / "tiny.csv.gz", "wt") as file:
        file.write("n,label\n1,a\n2,b\n")
    code = (
        "import resource, sys, pandas, trustworthy.datasets as d\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "d.read(sys.argv[1]); before = peak(); d.read(sys.argv[2], rows=1000); print(peak() - before)"
    )
    began = time.monotonic()
    command = [sys.executable, "-c", code, str(tmp_path / "tiny.csv.gz"), str(tmp_path / "a.csv")]
    grown = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown < 120
    assert time.monotonic() - began < 60
