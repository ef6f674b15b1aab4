"""Defences by the names of the command, with the radius and the units of the audit that follows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trustworthy import defenses, uncertainty
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.report.domain import Domain
from trustworthy.uncertainty import Method

BEFORE, PLAIN = "before", "plain"
"""Names of the model that the defended ones are compared with: as it was given, or trained here without a defence."""
SCRATCH = "scratch"
"""What is said of weights that were drawn anew."""
METHODS = {**defenses.METHODS, **uncertainty.METHODS}
_TAKEN = (BEFORE, PLAIN, "parts")


@dataclass(frozen=True, kw_only=True)
class PlainTraining(Method):
    """No defence: the cross-entropy on the rows as they are."""


def methods_of(
    methods: str | Sequence[str] | Mapping[str, Method],
    domain: Domain,
    eps: float,
    epochs: int,
    *,
    trained: bool = False,
) -> dict[str, Method]:
    """The defences that were asked for, by name; those given by name attack within `eps`, in the units of `domain`.

    trained : whether they begin with a network that is trained, which is then the seed of a fast ensemble.
    """
    if isinstance(methods, Mapping):
        for name, defense in methods.items():
            _check(name, defense)
        found = dict(methods)
    else:
        names = dict.fromkeys([methods] if isinstance(methods, str) else methods)
        makers = {name: checks.choice("method", name, METHODS) for name in names}
        found = {
            name: make(eps=eps, epochs=0 if trained and name == "fast" else epochs, bounds=domain.bounds)
            for name, make in makers.items()
        }
    if not found:
        raise InvalidInput(f"method must be given at least once, got none. Known: {', '.join(METHODS)}.")
    return found


def _check(name: str, defense: Method) -> None:
    if not isinstance(defense, Method):
        raise InvalidInput(
            f"methods must hold defences by name, got {type(defense).__name__} for {name!r}; make one, or call "
            "trustworthy.defenses.METHODS['rse'](eps=0.1, epochs=20), or give names alone."
        )
    if name in _TAKEN or not re.fullmatch(r"\w[\w.-]*", name):
        raise InvalidInput(
            f"methods must name each defence by letters, digits, dots and dashes, and not {', '.join(_TAKEN)}, got "
            f"{name!r}; its folder is called so."
        )
