"""Every data set that `load` knows by name."""

from __future__ import annotations

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, UnknownName
from trustworthy.datasets import bundled, images, local_images, news, tabular, text, wilds
from trustworthy.datasets.entry import Entry

CATALOG: dict[str, Entry] = {
    entry.name: entry
    for module in (bundled, images, tabular, news, local_images, wilds, text)
    for entry in module.ENTRIES
}


def find(name: str) -> tuple[Entry, str]:
    """Return the entry and the variant (the part after the first slash) that `name` means."""
    head, _, variant = name.partition("/")
    entry = checks.choice("data set", head, CATALOG)
    if not variant:
        return entry, entry.variants[0] if entry.variants else ""
    if not entry.variants:
        raise InvalidInput(f"{head} has no variants, got {name!r}; use {head!r}.")
    if variant not in entry.variants:
        raise UnknownName.of(f"variant of {head}", variant, entry.variants)
    return entry, variant
