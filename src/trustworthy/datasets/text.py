"""Text sets that are read from files of the user: rows are object arrays of strings."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trustworthy.core.errors import DataError
from trustworthy.datasets.entry import Content, Entry, LocalSource, Request
from trustworthy.datasets.reading import reading

Row = tuple[tuple[str, ...], str]  # columns of text, label
TOPICS = (
    "Society & Culture", "Science & Mathematics", "Health", "Education & Reference", "Computers & Internet", "Sports",
    "Business & Finance", "Entertainment & Music", "Family & Relationships", "Politics & Government",
)  # fmt: skip


@dataclass(frozen=True)
class GlueTask:
    """Folder of a task, the columns of its text, the column of its label, and the labels in order."""

    folder: str
    text: tuple[str | int, ...]
    target: str | int
    labels: tuple[str, ...]
    test: str = "dev.tsv"


ENTAILMENT = ("entailment", "not_entailment")
NLI = ("entailment", "neutral", "contradiction")
GLUE = {
    "sst-2": GlueTask("SST-2", ("sentence",), "label", ("0", "1")),
    "cola": GlueTask("CoLA", (3,), 1, ("0", "1")),
    "mrpc": GlueTask("MRPC", ("#1 String", "#2 String"), "Quality", ("0", "1")),
    "qqp": GlueTask("QQP", ("question1", "question2"), "is_duplicate", ("0", "1")),
    "mnli": GlueTask("MNLI", ("sentence1", "sentence2"), "gold_label", NLI, "dev_matched.tsv"),
    "qnli": GlueTask("QNLI", ("question", "sentence"), "label", ENTAILMENT),
    "rte": GlueTask("RTE", ("sentence1", "sentence2"), "label", ENTAILMENT),
}


def glue(path: Path, request: Request) -> Content:
    """Read train.tsv and, as the test set, dev.tsv of one task (the published test labels are secret)."""
    task = GLUE[request.variant]
    train, test = (_tsv(path / task.folder / name, task) for name in ("train.tsv", task.test))
    return _content(train, test, task.labels)


def _tsv(file: Path, task: GlueTask) -> list[Row]:
    lines = [line.split("\t") for line in _text(file).splitlines()]
    named = isinstance(task.target, str)
    header = {name: number for number, name in enumerate(lines[0])} if named else {}
    try:
        *text, target = [header[name] if isinstance(name, str) else name for name in (*task.text, task.target)]
    except KeyError as error:
        raise DataError(f"{file} has no column {error.args[0]!r}; download the task again.") from error
    whole = [line for line in lines[named:] if len(line) > max(*text, target)]
    return [(tuple(line[column] for column in text), line[target]) for line in whole]


def race(path: Path, request: Request) -> Content:
    """Read train and test of one level: article, question and four options; the label is the right option."""

    def part(name: str) -> Iterator[Row]:
        for file in sorted((path / name / request.variant).glob("*.txt")):
            with reading(file, "it is not one of RACE; download the set again."):
                item = json.loads(_text(file))
                for question, options, answer in zip(item["questions"], item["options"], item["answers"], strict=True):
                    yield (item["article"], question, *options), answer

    return _content(list(part("train")), list(part("test")), tuple("ABCD"))


def yahoo_answers(path: Path, request: Request) -> Content:
    """Read train.csv and test.csv: a topic 1 .. 10, then title, question and best answer, joined by a line break."""

    def part(name: str) -> list[Row]:
        rows = csv.reader(_text(path / name).splitlines(keepends=True))
        return [(("\n".join(filter(None, row[1:])),), row[0]) for row in rows if row]

    numbers = tuple(str(number) for number in range(1, 11))
    return _content(part("train.csv"), part("test.csv"), numbers)


def wmt14(path: Path, request: Request) -> Content:
    """Read train.LANG and test.LANG: pairs (source, target); there are no labels, so every target is 0."""
    languages = request.variant.split("-")

    def part(name: str) -> list[Row]:
        sides = [_text(path / request.variant / f"{name}.{language}").split("\n") for language in languages]
        if len(sides[0]) != len(sides[1]):
            raise DataError(
                f"{path / request.variant}: {name} has {len(sides[0])} and {len(sides[1])} lines; align them."
            )
        return [(pair, "") for pair in zip(*sides, strict=True) if all(pair)]

    return _content(part("train"), part("test"), ("",))


def _text(file: Path) -> str:
    with reading(file, "unpack the archive of the set again."):
        return file.read_text(encoding="utf-8")


def _content(train: Sequence[Row], test: Sequence[Row], labels: Sequence[str]) -> Content:
    number = {name: index for index, name in enumerate(labels)}

    def arrays(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
        if not rows:
            raise DataError("a split of the set has no rows; unpack its archive again.")
        known = [(text, number[label]) for text, label in rows if label in number]
        x = np.empty((len(known), len(rows[0][0])), dtype=object)
        x[:] = [text for text, _ in known]
        return x, np.array([label for _, label in known], dtype=np.int64)

    return Content(*arrays(train), *arrays(test))


ENTRIES = (
    Entry(
        name="glue",
        summary="sentences and pairs of sentences; one task after the slash",
        variants=tuple(GLUE),
        local=LocalSource(files=("glue_data", "glue"), read=glue, provenance="The published dev set is the test set."),
        how="download the tasks of gluebenchmark.com and put glue_data/SST-2/train.tsv, dev.tsv and so on there",
    ),
    Entry(
        name="race",
        summary="reading comprehension: article, question, four options",
        class_names=tuple("ABCD"),
        variants=("middle", "high"),
        local=LocalSource(files=("RACE",), read=race),
        how="download RACE.tar.gz from its authors' page and unpack it there (RACE/)",
    ),
    Entry(
        name="yahoo-answers",
        summary="1.46 million questions and answers, ten topics",
        class_names=TOPICS,
        local=LocalSource(files=("yahoo_answers_csv",), read=yahoo_answers),
        how="download yahoo_answers_csv.tgz of Zhang et al. (2015) and unpack it there (yahoo_answers_csv/)",
    ),
    Entry(
        name="wmt14",
        summary="parallel sentences, English to German or French",
        variants=("en-de", "en-fr"),
        local=LocalSource(files=("wmt14",), read=wmt14),
        how="download the WMT14 news task and put wmt14/en-de/train.en, train.de, test.en and test.de there",
    ),
)
