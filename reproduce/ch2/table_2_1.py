"""Table 2.1: the settings of the defences, read from those that the scale `paper` trains."""

from __future__ import annotations

from typing import Any

from reproduce.ch2.models import BUDGETS, Spec, defence
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.defenses import AdversarialTraining

RANDOM = ("rse", "rse-resnext")
FIELDS = {"distillation": ("temperature",), "brelu": ("sigma",), **dict.fromkeys(RANDOM, ("sigma_init", "sigma_inner"))}


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a defence."""
    return list(options["defences"])


def measure(cell: str, setting: Setting) -> list[Measured]:
    """The numbers of a row of the table."""
    data, network, method = setting.options["defences"][cell]
    found = defence(Spec(scale="paper", data=data, network=network, method=method, seed=setting.seed))
    numbers = {name: getattr(found, name) for name in FIELDS.get(method, ())}
    if isinstance(found, AdversarialTraining):
        loss: Any = found.loss
        numbers = {"low": loss.low, "high": loss.attack.eps} if method == "adversarial-1" else {"eps": loss.attack.eps}
    if method in RANDOM:
        numbers |= {"draws": BUDGETS["paper"]["draws"]}
    return [Measured(name=f"{cell}.{name.replace('_', '-')}", value=value) for name, value in numbers.items()]
