"""What an audit measures and how hard it tries (docs/plan.md): the schema of a plan, without any number of its own.

The numbers are in `profiles`.
"""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from trustworthy.core import checks
from trustworthy.core.errors import UnknownName

if TYPE_CHECKING:
    from trustworthy.attacks import Attack
    from trustworthy.core.threat import Bounds

Count = Annotated[int, Field(ge=1)]
Rows = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Step = Literal[
    "accuracy", "uncertainty.calibration", "uncertainty.scores", "uncertainty.selective", "interpretation",
    "robustness.linf", "robustness.l2", "robustness.distortion", "robustness.pictures", "robustness.corruptions",
    "evaluation.diagnosis", "robustness.transfer", "robustness.poisoning",
]  # fmt: skip
GIVEN = frozenset({"norm", "eps", "bounds", "attack", "starts"})
"""Parameters of an attack that the audit chooses."""


class Section(BaseModel):
    """A table of the plan; keys that no field has are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AttackPlan(BaseModel):
    """An attack by name; any other key is one of its hyper-parameters (`steps`, `restarts`, `loss`, ...)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    def build(self, *, bounds: Bounds | None, **given: Any) -> Attack:
        """The attack, in the box `bounds`; of `given` (norm, eps, ...) it takes what the attack has parameters for."""
        kind = checks.choice("attack", self.name, _attacks())
        parameters = {field.name for field in fields(kind)}
        chosen = dict(self.model_extra or {})
        for name in chosen:
            if name not in parameters - GIVEN:
                raise UnknownName.of(f"parameter of {self.name}", name, parameters - GIVEN)
        return kind(bounds=bounds, **{name: value for name, value in given.items() if name in parameters} | chosen)


def _attacks() -> dict[str, type[Attack]]:
    """Attacks that a plan can name."""
    from trustworthy import attacks

    public = {name: getattr(attacks, name) for name in attacks.__all__}
    kinds = {name: kind for name, kind in public.items() if isinstance(kind, type) and issubclass(kind, attacks.Attack)}
    return {name: kind for name, kind in kinds.items() if not inspect.isabstract(kind) and name != "Bisection"}


class CurvePlan(Section):
    """Accuracy against the radius of one norm.

    headline : radius of the summary, in units of the input; 0 chooses by the data.
    multiples : radii of the curve, as multiples of the headline radius, which is always one of them.
    """

    headline: Annotated[float, Field(ge=0.0)]
    multiples: list[Annotated[float, Field(gt=0.0)]]


class DistortionPlan(Section):
    """Smallest l2 perturbation of `rows` examples.

    attack : minimises the distance itself, or has a budget and is bisected over it.
    largest : largest radius tried, as a multiple of the headline l2 radius.
    """

    rows: Rows
    attack: AttackPlan
    bisections: Count
    largest: Annotated[float, Field(gt=0.0)]


class RobustnessPlan(Section):
    """Attacks.

    attacks : the worst case over them is reported, in each norm that they can search in.
    decision_attack, decision_rows : for models without gradients, on fewer examples because it asks much more of them.
    pictures : examples shown before and after the first attack.
    transfer_rows : examples carried from model to model by the first attack.
    """

    attacks: Annotated[list[AttackPlan], Field(min_length=1)]
    linf: CurvePlan
    l2: CurvePlan
    distortion: DistortionPlan
    decision_attack: AttackPlan
    decision_rows: Rows
    pictures: Count
    transfer_rows: Rows


class CorruptionsPlan(Section):
    """The 15 common corruptions of `rows` examples, at `severities` out of 1..5."""

    rows: Rows
    severities: Annotated[list[Annotated[int, Field(ge=1, le=5)]], Field(min_length=1)]


class UncertaintyPlan(Section):
    """Calibration in `bins` bins; predictions are answered where at most `target_risk` of them are wrong."""

    bins: Count
    target_risk: Share


class InterpretationPlan(Section):
    """Saliency maps of `images` examples; importances over `repeats` permutations of each feature."""

    images: Count
    repeats: Count


class EvaluationPlan(Section):
    """Examples on which the evaluation is questioned, and steps of the black-box rival."""

    rows: Rows
    queries: Count


class PoisoningPlan(Section):
    """Up to `flips` wrong labels among the `labelled` that a graph learner is told of `rows` rows of two classes."""

    rows: Rows
    labelled: Annotated[int, Field(ge=2)]
    flips: Count


class Plan(Section):
    """Everything that an audit measures and how hard it tries. Wherever rows are counted, 0 means all.

    profile : preset that the other keys change.
    rows : test examples, drawn with the classes in proportion.
    batch : examples shown to the model at once.
    draws : of a stochastic model, whose probabilities are averaged, in every prediction and every step of an attack.
    resamples, level : bootstrap of every interval.
    skip : steps left out.
    """

    profile: str
    rows: Rows
    batch: Count
    draws: Count
    resamples: Count
    level: Annotated[float, Field(gt=0.0, lt=1.0)]
    skip: list[Step]
    robustness: RobustnessPlan
    corruptions: CorruptionsPlan
    poisoning: PoisoningPlan
    uncertainty: UncertaintyPlan
    interpretation: InterpretationPlan
    evaluation: EvaluationPlan
