"""Every data set that `load` knows by name."""

from __future__ import annotations

from pathlib import Path

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, UnknownName
from trustworthy.datasets import images, local_images, news, scikit_learn, tabular, text, wilds
from trustworthy.datasets.entry import Entry

CATALOG: dict[str, Entry] = {
    entry.name: entry
    for module in (scikit_learn, images, tabular, news, local_images, wilds, text)
    for entry in module.ENTRIES
}

FILES = frozenset(
    {".npy", ".npz", ".csv", ".tsv", ".gz", ".txt", ".xls", ".xlsx", ".parquet", ".feather", ".json", ".arff", ".pkl"}
)


def find(name: str) -> tuple[Entry, str]:
    """Return the entry and the variant (the part after the first slash) that `name` means."""
    head, _, variant = name.partition("/")
    place = Path(name)
    if head not in CATALOG and (place.suffix in FILES or name.startswith((".", "/", "~")) or place.is_file()):
        raise InvalidInput(
            f"data must be the name of a data set (`trustworthy data list`), got {name!r}; a file or folder is read by "
            f"datasets.read({name!r}), and by --data {name} of `trustworthy audit` and `trustworthy poison`."
        )
    entry = checks.choice("data set", head, CATALOG)
    if not variant:
        return entry, entry.variants[0] if entry.variants else ""
    if not entry.variants:
        raise InvalidInput(f"{head} has no variants, got {name!r}; use {head!r}.")
    if variant not in entry.variants:
        raise UnknownName.of(f"variant of {head}", variant, entry.variants)
    return entry, variant
