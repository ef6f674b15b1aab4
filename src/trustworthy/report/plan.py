"""What an audit measures and how hard it tries (docs/plan.md): a profile, and what changes it.

The sections and their numbers are those of the kinds of finding.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, cast, get_args

from pydantic import Field, ValidationError, create_model

from trustworthy.core import checks
from trustworthy.core.errors import DataError, InvalidInput, UnknownName
from trustworthy.report.columns import ColumnPlan
from trustworthy.report.findings import KINDS
from trustworthy.report.kind import Kind
from trustworthy.report.settings import ATTACKS, PROFILES, Attacks, Count, Rows, Section, check_attacks, in_profiles


class Common(Section):
    """What every kind of finding takes part in.

    rows : test examples, drawn with the classes in proportion; 0 for all.
    batch : examples shown to the model at once.
    draws : of a stochastic model, whose probabilities are averaged, in every prediction and every step of an attack.
    level : of every interval. resamples : of those that are not exact.
    """

    rows: Rows
    batch: Count
    draws: Count
    resamples: Count
    level: Annotated[float, Field(gt=0.0, lt=1.0)]


class Plan(Common):
    """Everything that an audit measures and how hard it tries; `make_plan` adds a section for each kind of finding.

    profile : preset that the other keys change.
    skip : kinds left out, by their step.
    columns : of a table, by their names.
    """

    profile: str
    skip: list[str]
    columns: dict[str, ColumnPlan]
    attacks: Attacks

    def of(self, kind: Kind) -> Section:
        """The section of a kind, an empty one where it has no settings."""
        return dict(self).get(kind.section) or Section()


COMMON = in_profiles(Common, rows=(100, 300, 0), batch=256, draws=(5, 10, 20), resamples=1000, level=0.95)


def preset(profile: str, kinds: Sequence[Kind] = KINDS) -> dict[str, Any]:
    """All keys of a plan in a profile."""
    sections = {"attacks": ATTACKS[profile], **{kind.section: kind.settings[profile] for kind in kinds}}
    common = {"profile": profile, **COMMON[profile].model_dump(), "skip": [], "columns": {}}
    return common | {name: section.model_dump() for name, section in sections.items() if dict(section)}


def make_plan(
    profile: str | None = None,
    changes: dict[str, Any] | str | Path | None = None,
    *,
    kinds: Sequence[Kind] = KINDS,
    **top: Any,
) -> Plan:
    """Build a plan from a preset.

    Parameters
    ----------
    profile : "quick", "standard" or "thorough"; None for the one that `changes` names, else "standard".
    changes : nested dict, or path of a TOML file, whose keys replace those of the profile.
    kinds : kinds of finding that the plan is for.
    top : top-level keys that replace both, such as `rows`.

    Raises
    ------
    UnknownName : a key, profile, kind or attack that does not exist, with the nearest one.
    InvalidInput : a value out of its range, or a setting of a kind that is skipped, with its key.
    DataError : a TOML file that cannot be read.
    """
    if not isinstance(changes, dict | str | Path | None):
        raise InvalidInput(f"plan must be a dict, the path of a TOML file or what make_plan gives, got {changes!r}.")
    given = changes if isinstance(changes, dict) else {} if changes is None else read_toml(Path(changes))
    name = checks.choice("profile", profile or given.get("profile", "standard"), {known: known for known in PROFILES})
    given = {**given, **top, "profile": name}
    kind_of_plan = _plan_for(tuple(kinds))
    try:
        plan = kind_of_plan.model_validate(_merge(preset(name, kinds), given))
    except ValidationError as error:
        raise _explained(error, kind_of_plan) from None
    _check_skipped(plan.skip, given, kinds)
    for section in (plan.attacks, *map(plan.of, kinds)):
        check_attacks(section)
    return plan


@lru_cache(maxsize=8)
def _plan_for(kinds: tuple[Kind, ...]) -> type[Plan]:
    """`Plan` with the sections of these kinds."""
    samples = {kind.section: kind.settings[PROFILES[0]] for kind in kinds}
    sections: Any = {name: (type(sample), ...) for name, sample in samples.items() if dict(sample)}
    return cast("type[Plan]", create_model("Plan", __base__=Plan, **sections))


def read_toml(path: Path) -> dict[str, Any]:
    """Content of the TOML file at `path`."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"the plan {path} cannot be read: {error.strerror}; give the path of a TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"the plan {path} is not valid TOML: {error}; write key = value, such as rows = 100, a line each, and in "
            'quotes each name with other signs than A-Z, a-z, 0-9, - and _: [columns."year of birth"].'
        ) from error


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        # An attack is replaced whole: what it is called decides which other keys it has.
        if isinstance(old, dict) and isinstance(value, dict) and "name" not in value:
            merged[key] = _merge(old, value)
        else:
            merged[key] = value
    return merged


def _check_skipped(skip: Sequence[str], given: dict[str, Any], kinds: Sequence[Kind]) -> None:
    steps = {kind.step: kind for kind in kinds}
    for step in skip:
        section = checks.choice("kind to skip", step, steps).section
        if section in given:
            raise InvalidInput(
                f"plan key {section} sets what is not measured, since skip names {step!r}; leave out one of the two."
            )


def _explained(error: ValidationError, plan: type[Plan]) -> InvalidInput:
    """The first thing wrong with a plan, as one line."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return UnknownName.of("plan key", where, _siblings(plan, list(first["loc"][:-1])))
    if first["type"] == "missing":
        return InvalidInput(f'plan key {where} must be given; write one, such as name = "PGD".')
    if first["type"] == "model_type":
        return InvalidInput(f"plan key {where} must be a table of keys, [{where}] in a file, got {first['input']!r}.")
    message = re.sub(r"^(Input|List) should ", "must ", first["msg"])
    message = re.sub(r", unable to .*| after validation, not \d+", "", message)
    return InvalidInput(f"plan key {where} {message}, got {first['input']!r}.")


def _siblings(plan: type[Plan], parents: list[Any]) -> list[str]:
    section: Any = plan
    for parent in parents:
        known = getattr(section, "model_fields", None)
        section = get_args(section)[1] if known is None else known[parent].annotation  # of a dict by names
    return [".".join([*map(str, parents), name]) for name in section.model_fields]
