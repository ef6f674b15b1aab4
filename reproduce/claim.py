"""What the dissertation prints, as data: one TOML file per table or figure."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trustworthy.core.errors import DataError, UnknownName

HERE = Path(__file__).parent
Scale = Literal["smoke", "small", "paper"]
SCALES: tuple[Scale, ...] = ("smoke", "small", "paper")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(_Strict):
    """When a measured number counts as the printed one.

    kind : "relative": within `tolerance` of the printed number; "mean": both are means over samples of points, and
        differ by no more than two such samples do; "splits": the same where printed is a single random split of the
        data; "binomial": the same for shares; "at-most": no larger than printed
        (times of another machine); "ordering": never by its number, only by its order among others.
    applies : pattern of the names it judges; the first rule that fits is used.
    tolerance : of "relative", as a share of the printed number.
    points : of "mean" and "binomial", size of the dissertation's sample.
    resolution : half a unit of the last printed digit.
    """

    kind: Literal["relative", "mean", "splits", "binomial", "at-most", "ordering"]
    applies: str = "*"
    tolerance: float = Field(0.0, ge=0.0)
    points: int = Field(100, ge=1)
    resolution: float = Field(0.0005, ge=0.0)


_UNJUDGED = Rule.model_validate({"kind": "ordering"})


class Comparison(_Strict):
    """A sentence of the dissertation of the form "this is smaller than that", at every shared place of an axis.

    smaller, larger : names of measured values, of curves, or of places on them ("mnist.left@8").
    factor : "smaller" times this is still smaller.
    between : part of the axis where it is claimed; None: all of it.
    """

    text: str
    smaller: str
    larger: str
    factor: float = 1.0
    between: tuple[float, float] | None = None


class Claim(_Strict):
    """One table or figure.

    values : printed numbers, nested tables keyed by the parts of a name; a list is a curve over `axis` of its first
        part ("mnist.euclidean" -> "mnist.euclidean@0.5").
    deviations : printed standard deviations of some of them, keyed likewise; shown, not judged.
    orderings : names in ascending order, "*" standing for any data set; what they say must hold for a "trend". They are
        of all places of an axis, or of those that they name ("*.left@8").
    log_axis : draw curves over the logarithm of the axis, linear below its smallest place above 0.
    notes : pattern of names -> why a number differs or how it was measured.
    scales : options of the script for each scale.
    """

    name: str
    title: str
    shows: str
    script: str
    plot: Literal["none", "curves", "boxes", "ratios", "bars", "picture", "regions", "toy", "matrix"] = "none"
    unit: str = ""
    axis_label: str = ""
    log_axis: bool = False
    seed: int = 42
    rules: list[Rule] = Field(default_factory=list)
    axis: dict[str, list[float]] = Field(default_factory=dict)
    values: dict[str, Any] = Field(default_factory=dict)
    deviations: dict[str, Any] = Field(default_factory=dict)
    orderings: list[list[str]] = Field(default_factory=list)
    comparisons: list[Comparison] = Field(default_factory=list)
    notes: dict[str, str] = Field(default_factory=dict)
    scales: dict[Scale, dict[str, Any]]

    def printed(self) -> dict[str, float]:
        """Every number of the claim by its full name."""
        return dict(self._leaves(self.values, ""))

    def spread(self, name: str) -> float | None:
        """The printed standard deviation of a number, if there is one."""
        return dict(self._leaves(self.deviations, "")).get(name)

    def _leaves(self, node: Any, name: str) -> Iterator[tuple[str, float]]:
        if isinstance(node, dict):
            for key, child in node.items():
                yield from self._leaves(child, f"{name}.{key}" if name else key)
        elif isinstance(node, list):
            places = self.axis[name.split(".")[0]]
            for place, value in zip(places, node, strict=True):
                yield f"{name}@{place:g}", float(value)
        else:
            yield name, float(node)

    def rule(self, name: str) -> Rule:
        """The rule that judges `name`; without one, only its order counts."""
        return next((rule for rule in self.rules if fnmatchcase(name, rule.applies)), _UNJUDGED)

    def options(self, scale: str) -> dict[str, Any]:
        """Options of the script at `scale`."""
        if scale not in self.scales:
            raise UnknownName.of("scale", scale, self.scales)
        return self.scales[scale]  # pyright: ignore[reportArgumentType]

    @property
    def is_table(self) -> bool:
        return self.name.startswith("table")


def read(path: Path) -> Claim:
    """Read one claim; its file is called by its name."""
    try:
        claim = Claim.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise DataError(f"{path.name} is not a claim: {error}") from error
    if claim.name != path.stem:
        raise DataError(f"{path.name} must be called {claim.name}.toml, after the claim in it.")
    return claim


def folders(root: Path = HERE) -> list[Path]:
    """Chapters, in order."""
    return sorted(path.parent for path in root.glob("ch*/claims"))


def find(name: str, root: Path = HERE) -> tuple[Claim, Path]:
    """A claim by name, and the folder of its chapter."""
    known = {path.stem: path for folder in folders(root) for path in (folder / "claims").glob("*.toml")}
    if name not in known:
        raise UnknownName.of("table or figure", name, known)
    return read(known[name]), known[name].parent.parent


def every(root: Path = HERE) -> list[tuple[Claim, Path]]:
    """All claims with the folders of their chapters: tables first, then figures, by number."""
    found = [(read(path), folder) for folder in folders(root) for path in (folder / "claims").glob("*.toml")]
    return sorted(found, key=lambda pair: (str(pair[1]), not pair[0].is_table, number(pair[0].name)))


def number(name: str) -> tuple[int, ...]:
    """Number of a table or figure: "table-3.10" -> (3, 10)."""
    return tuple(int(part) for part in name.rpartition("-")[2].split(".") if part.isdigit())
