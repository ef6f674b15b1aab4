"""What the sections of a plan are made of: numbers in three profiles, and attacks by name."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, UnknownName
from trustworthy.core.record import Frozen

if TYPE_CHECKING:
    from trustworthy.attacks import Attack
    from trustworthy.core.threat import Bounds

Count = Annotated[int, Field(ge=1)]
Rows = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Radius = Annotated[float, Field(gt=0.0)]

GIVEN = frozenset({"norm", "eps", "bounds", "attack", "starts"})
"""Parameters of an attack that the audit chooses."""
PROFILES = ("quick", "standard", "thorough")


class Section(Frozen):
    """A table of the plan; keys that no field has are refused. Wherever rows are counted, 0 means all."""


S = TypeVar("S", bound=Section)
Profiles: TypeAlias = dict[str, S]
"""A section of the plan by profile."""


def in_profiles(section: type[S], **values: Any) -> Profiles[S]:
    """The section in every profile; a tuple holds what it is in quick, standard and thorough, all else is the same."""
    columns = {key: value if isinstance(value, tuple) else (value,) * len(PROFILES) for key, value in values.items()}
    return {
        profile: section(**{key: column[place] for key, column in columns.items()})
        for place, profile in enumerate(PROFILES)
    }


_APART = {"Bisection", "PointwiseAttack"}
"""Attacks that no plan can name: one is made of others, one searches in l0."""


class AttackPlan(BaseModel):
    """An attack by name; any other key is one of its hyper-parameters (`steps`, `restarts`, `loss`, ...)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @property
    def kind(self) -> type[Attack]:
        """The class that the name stands for."""
        return checks.choice("attack", self.name, _attacks())

    def build(self, *, bounds: Bounds | None, **given: Any) -> Attack:
        """The attack, in the box `bounds`; of `given` (norm, eps, ...) it takes what the attack has parameters for."""
        parameters = {field.name for field in fields(self.kind) if field.init}
        chosen = dict(self.model_extra or {})
        for name in chosen:
            if name in GIVEN:
                raise InvalidInput(
                    f"{name} of {self.name} is chosen by the audit; leave it out, see attacks.linf and .l2."
                )
            if name not in parameters:
                raise UnknownName.of(f"parameter of {self.name}", name, parameters - GIVEN)
        return self.kind(bounds=bounds, **{name: value for name, value in given.items() if name in parameters} | chosen)


def _attacks() -> dict[str, type[Attack]]:
    """Attacks that a plan can name: those that stand alone and search in a norm of the audit."""
    from trustworthy import attacks

    public = {name: getattr(attacks, name) for name in attacks.__all__}
    kinds = {name: kind for name, kind in public.items() if isinstance(kind, type) and issubclass(kind, attacks.Attack)}
    return {name: kind for name, kind in kinds.items() if not inspect.isabstract(kind) and name not in _APART}


def check_attacks(section: Section) -> None:
    """Build every attack of a section once, so that a wrong one is told before anything is measured."""
    for value in dict(section).values():
        for attack in value if isinstance(value, list) else [value]:
            if isinstance(attack, AttackPlan):
                attack.build(bounds=None, eps=1.0, norm="l2")


class Attacks(Section):
    """Attacks and radii that several parts of an audit share.

    tried : the worst case over them is reported, in each norm that they can search in.
    decision, decision_rows : for models without gradients, on fewer examples because it asks much more of them.
    linf, l2 : radius of the summary in each norm, in the units of the attacked inputs; 0 chooses by the data.
    fresh : draws of a stochastic model by whose mean an attacked example is judged.
    """

    tried: Annotated[list[AttackPlan], Field(min_length=1)]
    decision: AttackPlan
    decision_rows: Rows
    linf: Annotated[float, Field(ge=0.0)]
    l2: Annotated[float, Field(ge=0.0)]
    fresh: Annotated[int, Field(ge=2)]


def plans(*given: dict[str, Any]) -> list[AttackPlan]:
    """Attacks by their names and hyper-parameters."""
    return [AttackPlan(**attack) for attack in given]


ATTACKS = in_profiles(
    Attacks,
    tried=(
        plans({"name": "PGD", "steps": 10, "restarts": 2}, {"name": "SquareAttack", "steps": 50}),
        plans(
            {"name": "PGD", "steps": 20, "restarts": 3},
            {"name": "APGD", "steps": 20, "loss": "margin"},
            {"name": "SquareAttack", "steps": 200},
        ),
        plans(
            {"name": "PGD", "steps": 50, "restarts": 5},
            {"name": "APGD", "steps": 100, "loss": "ce"},
            {"name": "APGD", "steps": 100, "loss": "margin", "restarts": 2},
            {"name": "SquareAttack", "steps": 2000},
        ),
    ),
    decision=tuple(AttackPlan(name="BoundaryAttack", steps=steps) for steps in (200, 500, 5000)),  # pyright: ignore[reportCallIssue]
    decision_rows=(20, 50, 300),
    linf=0.0,
    l2=0.0,
    fresh=(64, 200, 500),
)
