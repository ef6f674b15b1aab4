"""What an audit measures: presets called profiles, and the TOML files that change them (docs/plan.md)."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trustworthy.core import checks
from trustworthy.core.errors import DataError, InvalidInput, UnknownName

if TYPE_CHECKING:
    from trustworthy.attacks import Attack
    from trustworthy.core.threat import Bounds

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A table of the plan; keys that no field has are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AttackPlan(BaseModel):
    """An attack by name; any other key is one of its hyper-parameters (`steps`, `restarts`, `queries`, ...).

    rows : attack only so many examples, 0 for all.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    rows: Annotated[int, Field(ge=0)] = 0

    def build(self, *, bounds: Bounds | None, **given: Any) -> Attack:
        """The attack, in the box `bounds`; `given` (norm, eps) is added where the attack has such a parameter."""
        from trustworthy import attacks

        known = {name: getattr(attacks, name) for name in attacks.__all__}
        usable = {name: a for name, a in known.items() if _is_concrete(a)}
        kind = checks.choice("attack", self.name, usable)
        parameters = {field.name for field in fields(kind)}
        chosen = dict(self.model_extra or {})
        for name in chosen:
            if name not in parameters - {"norm", "eps", "bounds"}:
                raise UnknownName.of(f"parameter of {self.name}", name, parameters - {"norm", "eps", "bounds"})
        return kind(bounds=bounds, **chosen, **{name: value for name, value in given.items() if name in parameters})


def _is_concrete(thing: object) -> bool:
    from trustworthy.attacks import Attack

    return isinstance(thing, type) and issubclass(thing, Attack) and not getattr(thing, "__abstractmethods__", ())


class CurvePlan(Section):
    """Accuracy against the radius of one norm.

    headline : radius of the summary, in units of the input; 0 chooses by the data (docs/plan.md).
    multiples : radii of the curve, as multiples of the headline radius.
    """

    headline: Annotated[float, Field(ge=0.0)] = 0.0
    multiples: Annotated[list[Positive], Field(min_length=1)] = [0.25, 0.5, 1.0, 1.5, 2.0, 3.0]


class DistortionPlan(Section):
    """Smallest l2 perturbation of each example: `attack` bisected over its radius, or by itself if it has none."""

    rows: Count = 100
    attack: AttackPlan = AttackPlan(name="PGD", steps=10)  # type: ignore[call-arg]
    bisections: Count = 8


class RobustnessPlan(Section):
    """Worst case over `attacks`, in each norm; the first one also finds the pictures."""

    linf: CurvePlan = CurvePlan()
    l2: CurvePlan = CurvePlan()
    attacks: Annotated[list[AttackPlan], Field(min_length=1)]
    decision_attack: AttackPlan
    distortion: DistortionPlan
    pictures: Count = 8
    transfer_steps: Count = 10


class CorruptionsPlan(Section):
    """The 15 common corruptions; `rows` examples, `severities` out of 1..5."""

    rows: Count = 300
    severities: Annotated[list[Annotated[int, Field(ge=1, le=5)]], Field(min_length=1)] = [1, 2, 3, 4, 5]


class UncertaintyPlan(Section):
    """Calibration with `bins` bins; predictions are answered where at most `target_risk` of them are wrong."""

    bins: Count = 10
    target_risk: Share = 0.02


class InterpretationPlan(Section):
    """Saliency maps of `images` examples, importances over `repeats` permutations of each feature."""

    images: Count = 8
    repeats: Count = 5


class EvaluationPlan(Section):
    """Examples on which the evaluation is questioned."""

    rows: Count = 100


class Plan(Section):
    """Everything that an audit measures and how hard it tries.

    profile : preset that the other keys change.
    rows : test examples, drawn evenly over the classes; 0 for all.
    batch : examples shown to the model at once.
    resamples, level : bootstrap of every interval.
    skip : parts left out.
    """

    profile: str = "standard"
    rows: Annotated[int, Field(ge=0)]
    batch: Count = 256
    resamples: Count = 1000
    level: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95
    skip: list[
        Literal[
            "accuracy", "uncertainty.calibration", "uncertainty.scores", "uncertainty.selective", "interpretation",
            "robustness.linf", "robustness.l2", "robustness.pictures", "robustness.corruptions",
            "robustness.distortion", "evaluation.diagnosis", "robustness.transfer",
        ]
    ] = []  # fmt: skip
    robustness: RobustnessPlan
    corruptions: CorruptionsPlan = CorruptionsPlan()
    uncertainty: UncertaintyPlan = UncertaintyPlan()
    interpretation: InterpretationPlan = InterpretationPlan()
    evaluation: EvaluationPlan = EvaluationPlan()


PROFILES: dict[str, dict[str, Any]] = {
    "quick": {
        "rows": 100,
        "robustness": {
            "attacks": [{"name": "PGD", "steps": 10}],
            "decision_attack": {"name": "SquareAttack", "rows": 20},
            "distortion": {"rows": 50},
        },
        "corruptions": {"rows": 50},
        "evaluation": {"rows": 30},
    },
    "standard": {
        "rows": 300,
        "robustness": {
            "attacks": [{"name": "PGD", "steps": 20}],
            "decision_attack": {"name": "SquareAttack", "rows": 50},
            "distortion": {"rows": 100},
        },
        "corruptions": {"rows": 150},
        "evaluation": {"rows": 50},
    },
    "thorough": {
        "rows": 0,
        "robustness": {
            "attacks": [{"name": "PGD", "steps": 50, "restarts": 5}],
            "decision_attack": {"name": "SquareAttack", "rows": 200},
            "distortion": {"rows": 500},
        },
        "corruptions": {"rows": 1000},
        "evaluation": {"rows": 200},
    },
}
"""What each profile sets; whatever it does not name has the default of `Plan`."""


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
    InvalidInput : a value out of its range, with the key.
    DataError : a TOML file that cannot be read.
    """
    given = changes if isinstance(changes, dict) else {} if changes is None else read_toml(Path(changes))
    name = profile or given.get("profile", "standard")
    merged = _merge(checks.choice("profile", name, PROFILES), {**given, **top, "profile": name})
    try:
        plan = Plan.model_validate(merged)
    except ValidationError as error:
        raise _explained(error) from None
    for attack in (*plan.robustness.attacks, plan.robustness.decision_attack, plan.robustness.distortion.attack):
        attack.build(bounds=None, eps=1.0, norm="l2")
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
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _explained(error: ValidationError) -> InvalidInput:
    """The first thing wrong with a plan, as one line."""
    first = error.errors(include_url=False)[0]
    *parents, _ = first["loc"]
    if first["type"] == "extra_forbidden":
        return UnknownName.of("plan key", ".".join(map(str, first["loc"])), _keys_under(parents))
    where = ".".join(map(str, first["loc"]))
    return InvalidInput(f"plan key {where}: {first['msg'][0].lower()}{first['msg'][1:]}, got {first['input']!r}.")


def _keys_under(parents: list[Any]) -> list[str]:
    section: Any = Plan
    for parent in parents:
        section = section.model_fields[parent].annotation
    return [".".join([*map(str, parents), name]) for name in section.model_fields]
