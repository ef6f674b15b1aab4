"""What kind of file it is, by its first bytes: what a name ends with may be anything."""

from __future__ import annotations

from pathlib import Path

from trustworthy.core.errors import DataError

_FIRST = {
    b"II*\x00": "tiff",
    b"MM\x00*": "tiff",
    b"II+\x00": "tiff",  # BigTIFF, for more than 4 GB
    b"MM\x00+": "tiff",
    b"\x89PNG\r\n\x1a\n": "png",
    b"ZISRAWFILE": "czi",
    b"\xda\xce\xbe\x0a": "nd2",
    b"\x70\x00\x00\x00": "lif",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",  # with nothing in it
}
_REFUSED = {
    b"\xff\xd8\xff": "a JPEG, which alters grey values",
    b"\x1f\x8b": "a gzip archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"%PDF": "a PDF",
    b"<svg": "a drawing (SVG)",
}
SUFFIXES = {"tiff": ".tif", "png": ".png"}
"""Of the formats in which images are kept."""
MICROSCOPES = frozenset({"czi", "nd2", "lif"})
"""Formats of makers of microscopes, turned into OME-TIFF on arrival."""
ADVICE = "Give TIFF, OME-TIFF or PNG, or a zip of them; CZI, ND2 and LIF need the extra bio of the installation."


def format_of(file: Path) -> str:
    """ "tiff", "png", "czi", "nd2", "lif" or "zip". Raises DataError for anything else."""
    with file.open("rb") as stream:
        head = stream.read(16)
    for first, name in _FIRST.items():
        if head.startswith(first):
            return name
    what = next(
        (words for first, words in _REFUSED.items() if head.startswith(first)), "no image that the studio knows"
    )
    raise DataError(f"the file is {what if head else 'empty'}. {ADVICE}")
