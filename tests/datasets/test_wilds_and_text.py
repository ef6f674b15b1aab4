"""Microscopy and text sets, each in a tiny folder laid out as its authors publish it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trustworthy import datasets
from trustworthy.core.errors import DataError


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUSTWORTHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRUSTWORTHY_DATA", str(tmp_path))
    return tmp_path


def paint(file: Path, value: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (value, value, value)).save(file)


def means(x: object) -> list[int]:
    return [round(float(image.mean()) * 255) for image in np.asarray(x)]


CAMELYON = [  # patient, node, x, y, tumor, center, split
    ("004", 4, 10, 20, 1, 0, 0),
    ("005", 1, 11, 21, 0, 3, 0),
    ("006", 2, 12, 22, 1, 4, 1),
    ("020", 3, 13, 23, 0, 1, 0),
    ("040", 0, 14, 24, 1, 2, 0),
]


def test_camelyon17_splits_by_hospital(data: Path) -> None:
    folder = data / "camelyon17_v1.0"
    lines = [",patient,node,x_coord,y_coord,tumor,slide,center,split"]
    for number, (patient, node, x, y, tumor, center, split) in enumerate(CAMELYON):
        name = f"patient_{patient}_node_{node}"
        paint(folder / "patches" / name / f"patch_{name}_x_{x}_y_{y}.png", 50 * number)
        lines.append(f"{number},{patient},{node},{x},{y},{tumor},{number},{center},{split}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    found = datasets.load("camelyon17")
    assert (means(found.x_train), found.y_train.tolist()) == ([0, 50], [1, 0])
    assert (means(found.x_test), found.y_test.tolist(), found.class_names[1]) == ([200], [1], "tumour")
    assert means(datasets.load("camelyon17/val").x_test) == [150]
    assert means(datasets.load("camelyon17/id_val").x_test) == [100]
    (folder / "metadata.csv").write_text("\n".join(lines[:3]) + "\n")
    with pytest.raises(DataError, match="no rows for one of the splits"):
        datasets.load("camelyon17")
    (folder / "metadata.csv").write_text("center,split\n2,0\n0,0\n")
    with pytest.raises(DataError, match=r"cannot read .*metadata.csv: KeyError\('tumor'\)"):
        datasets.load("camelyon17")


def test_rxrx1_splits_by_experiment(data: Path) -> None:
    folder = data / "rxrx1_v1.0"
    rows = [("train", 1, 3), ("train", 2, 3), ("val", 1, 4), ("test", 1, 5), ("test", 2, 6)]
    lines = ["experiment,plate,well,site,sirna_id,dataset"]
    for number, (part, site, sirna) in enumerate(rows):
        paint(folder / "images" / f"HEPG2-{number:02d}" / "Plate2" / f"B0{number}_s{site}.png", 50 * number)
        lines.append(f"HEPG2-{number:02d},2,B0{number},{site},{sirna},{part}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    found = datasets.load("rxrx1")
    assert (means(found.x_train), found.y_train.tolist()) == ([0], [3])
    assert (means(found.x_test), found.y_test.tolist(), found.n_classes) == ([150, 200], [5, 6], 7)
    assert means(datasets.load("rxrx1/val").x_test) == [100]
    assert means(datasets.load("rxrx1/id_test").x_test) == [50]
    assert len(datasets.load("rxrx1", limit=1).y_test) == 1


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_glue(data: Path) -> None:
    folder = data / "glue_data"
    for part in ("train", "dev"):
        write(folder / "SST-2" / f"{part}.tsv", f"sentence\tlabel\n{part} is fine\t1\nbad \t0\n")
        write(folder / "CoLA" / f"{part}.tsv", "gj04\t1\t\tIt works.\ngj04\t0\t*\tWorks it.\n")
        write(folder / "RTE" / f"{part}.tsv", "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tnot_entailment\n1\tcut\n")
    sst = datasets.load("glue")
    assert (sst.x_train.tolist(), sst.y_train.tolist()) == ([["train is fine"], ["bad "]], [1, 0])
    assert sst.x_test[0, 0] == "dev is fine"
    assert datasets.load("glue/cola").x_train.tolist() == [["It works."], ["Works it."]]
    rte = datasets.load("glue/rte")
    assert (rte.x_test.tolist(), rte.y_test.tolist()) == ([["a", "b"]], [1])
    write(folder / "SST-2" / "dev.tsv", "text\tlabel\nx\t1\n")
    with pytest.raises(DataError, match=r"dev.tsv has no column 'sentence'"):
        datasets.load("glue/sst-2")
    with pytest.raises(DataError, match=r"cannot read .*QNLI"):
        datasets.load("glue/qnli")
    write(folder / "SST-2" / "dev.tsv", "sentence\tlabel\n")
    with pytest.raises(DataError, match="a split of the set has no rows"):
        datasets.load("glue/sst-2")


def test_race(data: Path) -> None:
    item = {"article": "A.", "questions": ["Q1", "Q2"], "options": [["a", "b", "c", "d"]] * 2, "answers": ["B", "D"]}
    for part in ("train", "test"):
        write(data / "RACE" / part / "high" / "1.txt", json.dumps(item))
    found = datasets.load("race/high")
    assert found.x_train.tolist() == [["A.", "Q1", "a", "b", "c", "d"], ["A.", "Q2", "a", "b", "c", "d"]]
    assert found.y_test.tolist() == [1, 3]
    write(data / "RACE" / "test" / "high" / "2.txt", "{}")
    with pytest.raises(DataError, match=r"cannot read .*2.txt: KeyError\(.questions.\); it is not one of RACE"):
        datasets.load("race/high")


def test_yahoo_answers(data: Path) -> None:
    for part in ("train", "test"):
        write(
            data / "yahoo_answers_csv" / f"{part}.csv", '"5","why","","because, ""so"""\n"10","who","me\nand you","x"\n'
        )
    found = datasets.load("yahoo-answers")
    assert found.x_train.tolist() == [['why\nbecause, "so"'], ["who\nme\nand you\nx"]]
    assert [found.class_names[label] for label in found.y_train] == ["Computers & Internet", "Politics & Government"]


def test_wmt14(data: Path) -> None:
    for part in ("train", "test"):
        write(data / "wmt14" / "en-de" / f"{part}.en", "a house\n\nrain\n")
        write(data / "wmt14" / "en-de" / f"{part}.de", "ein Haus\n\nRegen\n")
    assert datasets.load("wmt14").x_train.tolist() == [["a house", "ein Haus"], ["rain", "Regen"]]
    write(data / "wmt14" / "en-de" / "test.de", "ein Haus\n")
    with pytest.raises(DataError, match="test has 4 and 2 lines; align them"):
        datasets.load("wmt14")
