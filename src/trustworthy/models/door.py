"""What is checked before a file is read: that it is there, what it is and that it may be read."""

from __future__ import annotations

from pathlib import Path

from trustworthy.core.errors import DataError, InvalidInput


def check_file(path: Path, kind: str) -> None:
    """Refuse what cannot be `kind` ("a pickle", ...). Raises DataError that says what is there instead."""
    if path.is_dir():
        raise DataError(f"{path} must be {kind}, and is a folder; name the file in it.")
    if not path.is_file():
        raise DataError(f"there is no file {path}; give the path of {kind}.")
    with path.open("rb") as stream:
        head = stream.read(512).lstrip()
    remedy = _remedy(head)
    if remedy:
        raise DataError(f"{path} is not {kind}: {remedy}")


def _remedy(head: bytes) -> str:
    if not head:
        return "it is empty; write or copy it again."
    if head.startswith(b"version https://git-lfs"):
        return "it is the pointer that git keeps of a large file; run `git lfs pull` in its repository."
    if head[:1] == b"<":
        return "it is a web page or XML, as a download that asks to log in gives; download the file itself."
    return ""


def check_trusted(path: Path, kind: str, trust: bool) -> None:
    """Raise InvalidInput unless `trust`, with the reason and what to do."""
    if not trust:
        raise InvalidInput(
            f"{path} is {kind}, and reading one can run any code that its writer put into it. If you trust who wrote "
            "it, add --trust (in Python: trust=True). Files that run none: .skops, .onnx, and weights in .safetensors."
        )
