"""One way to say that a file cannot be read."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trustworthy.core.errors import DataError, TrustworthyError

DAMAGE = (OSError, EOFError, ValueError, KeyError, SyntaxError, tarfile.TarError, zipfile.BadZipFile, zlib.error)
"""What the readers of Python, NumPy, Pillow and scikit-learn raise for files that are absent, damaged or others."""


@contextmanager
def reading(file: Path | str, remedy: str = "get the file again.") -> Iterator[None]:
    """Turn what a reader raises in the block into a `DataError` that names `file` and says what to do."""
    try:
        yield
    except TrustworthyError:
        raise
    except DAMAGE as error:
        found = repr(error) if isinstance(error, KeyError) else error
        raise DataError(f"cannot read {file}: {found}; {remedy}") from error
