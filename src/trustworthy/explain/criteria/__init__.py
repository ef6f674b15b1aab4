"""What makes an explanation good, one module per criterion; each is a value that judges a batch of explanations."""

from __future__ import annotations

from trustworthy.core import checks
from trustworthy.explain.criteria.criterion import Area, Criterion
from trustworthy.explain.criteria.infidelity import Infidelity
from trustworthy.explain.criteria.masking import Masking
from trustworthy.explain.criteria.robustness import SubsetRobustness
from trustworthy.explain.criteria.sensitivity import MaxSensitivity

CRITERIA: dict[str, Criterion] = {
    "robustness-complement": SubsetRobustness(relevant=False),
    "robustness": SubsetRobustness(relevant=True),
    "insertion": Masking(insert=True),
    "deletion": Masking(insert=False),
    "infidelity": Infidelity(),
    "sensitivity": MaxSensitivity(),
}
"""By the names at public doors; "area:NAME" is the `Area` of one of the first four."""


def as_criterion(name: str) -> Criterion:
    """The criterion of a name."""
    what, _, of = name.rpartition(":")
    found = checks.choice("criteria", of, CRITERIA)
    return found if not what else Area(criterion=found) if what == "area" else checks.choice("criteria", name, CRITERIA)
