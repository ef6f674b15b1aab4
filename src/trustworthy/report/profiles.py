"""The numbers of a plan: presets called profiles, and the TOML files that change them (docs/plan.md)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from trustworthy.core import checks
from trustworthy.core.errors import DataError, InvalidInput, UnknownName
from trustworthy.report.plan import Plan, Step

STANDARD: dict[str, Any] = {
    "profile": "standard",
    "rows": 300,
    "batch": 256,
    "draws": 10,
    "resamples": 1000,
    "level": 0.95,
    "skip": [],
    "robustness": {
        "attacks": [
            {"name": "PGD", "steps": 20, "restarts": 3},
            {"name": "APGD", "steps": 20, "loss": "margin"},
            {"name": "SquareAttack", "steps": 200},
        ],
        "linf": {"headline": 0.0, "multiples": [0.25, 0.5, 1.0, 2.0, 3.0]},
        "l2": {"headline": 0.0, "multiples": [0.5, 1.0, 2.0, 4.0]},
        "distortion": {"rows": 100, "attack": {"name": "PGD", "steps": 20}, "bisections": 8, "largest": 20.0},
        "decision_attack": {"name": "BoundaryAttack", "steps": 500},
        "decision_rows": 50,
        "pictures": 8,
        "transfer_rows": 200,
    },
    "corruptions": {"rows": 150, "severities": [1, 2, 3, 4, 5]},
    "poisoning": {"rows": 400, "labelled": 50, "flips": 10},
    "uncertainty": {"bins": 10, "target_risk": 0.02},
    "interpretation": {"images": 8, "repeats": 5},
    "evaluation": {"rows": 50, "queries": 300},
}

CHANGES: dict[str, dict[str, Any]] = {
    "quick": {
        "rows": 100,
        "draws": 5,
        "robustness": {
            "attacks": [{"name": "PGD", "steps": 10, "restarts": 2}, {"name": "SquareAttack", "steps": 50}],
            "linf": {"multiples": [0.5, 1.0, 2.0]},
            "l2": {"multiples": [1.0, 2.0, 4.0]},
            "distortion": {"rows": 40, "attack": {"name": "PGD", "steps": 10}, "bisections": 6},
            "decision_attack": {"name": "BoundaryAttack", "steps": 200},
            "decision_rows": 20,
            "transfer_rows": 50,
        },
        "corruptions": {"rows": 50, "severities": [1, 3, 5]},
        "poisoning": {"rows": 200, "labelled": 30, "flips": 5},
        "uncertainty": {"target_risk": 0.05},
        "evaluation": {"rows": 20, "queries": 100},
    },
    "standard": {},
    "thorough": {
        "rows": 0,
        "draws": 20,
        "robustness": {
            "attacks": [
                {"name": "PGD", "steps": 50, "restarts": 5},
                {"name": "APGD", "steps": 100, "loss": "ce"},
                {"name": "APGD", "steps": 100, "loss": "margin", "restarts": 2},
                {"name": "SquareAttack", "steps": 2000},
            ],
            "linf": {"multiples": [0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0]},
            "l2": {"multiples": [0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0]},
            "distortion": {"rows": 1000, "attack": {"name": "CarliniWagner"}},
            "decision_attack": {"name": "BoundaryAttack", "steps": 5000},
            "decision_rows": 300,
            "transfer_rows": 1000,
        },
        "corruptions": {"rows": 0},
        "poisoning": {"rows": 2000, "labelled": 100, "flips": 20},
        "evaluation": {"rows": 300, "queries": 1000},
    },
}
"""What each profile changes of `STANDARD`."""


def make_plan(profile: str | None = None, changes: dict[str, Any] | str | Path | None = None, **top: Any) -> Plan:
    """Build a plan from a preset.

    Parameters
    ----------
    profile : "quick", "standard" or "thorough"; None for the one that `changes` names, else "standard".
    changes : nested dict, or path of a TOML file, whose keys replace those of the profile.
    top : top-level keys that replace both, such as `rows`.

    Raises
    ------
    UnknownName : a key, profile or attack that does not exist, with the nearest one.
    InvalidInput : a value out of its range, with its key.
    DataError : a TOML file that cannot be read.
    """
    given = changes if isinstance(changes, dict) else {} if changes is None else read_toml(Path(changes))
    name = profile or given.get("profile", "standard")
    preset = _merge(STANDARD, checks.choice("profile", name, CHANGES))
    try:
        plan = Plan.model_validate(_merge(preset, {**given, **top, "profile": name}))
    except ValidationError as error:
        raise _explained(error) from None
    robustness = plan.robustness
    for attack in (*robustness.attacks, robustness.decision_attack, robustness.distortion.attack):
        attack.build(bounds=None, eps=1.0, norm="l2")  # a wrong attack is told before anything is measured
    return plan


def read_toml(path: Path) -> dict[str, Any]:
    """Content of the TOML file at `path`."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"the plan {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"the plan {path} is not valid TOML: {error}.") from error


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


def _explained(error: ValidationError) -> InvalidInput:
    """The first thing wrong with a plan, as one line."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return UnknownName.of("plan key", where, _siblings(list(first["loc"][:-1])))
    if first["type"] == "literal_error" and first["loc"][0] == "skip":
        return UnknownName.of("step to skip", first["input"], get_args(Step))
    return InvalidInput(f"plan key {where}: {first['msg'][0].lower()}{first['msg'][1:]}, got {first['input']!r}.")


def _siblings(parents: list[Any]) -> list[str]:
    section: Any = Plan
    for parent in parents:
        section = section.model_fields[parent].annotation
    return [".".join([*map(str, parents), name]) for name in section.model_fields]
