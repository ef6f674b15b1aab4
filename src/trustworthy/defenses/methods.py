"""What the names of the command mean: each defence with settings for images in [0, 1] and standardised tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trustworthy.core.checks import Bounds
from trustworthy.defenses.adversarial_bayes import AdversarialBayes, VariationalBayes
from trustworthy.defenses.adversarial_training import AdversarialTraining
from trustworthy.defenses.bounded_relu import BoundedReLUTraining
from trustworthy.defenses.defense import Defense
from trustworthy.defenses.distillation import DefensiveDistillation
from trustworthy.defenses.self_ensemble import RandomSelfEnsemble

IMAGES: Bounds = (0.0, 1.0)
BAYES = {"alpha": 0.1, "warmup": 0.5}


def _by_attack(build: Callable[..., Defense], **usual: Any) -> Callable[..., Defense]:
    def method(*, eps: float, epochs: int, bounds: Bounds | None = IMAGES, **settings: Any) -> Defense:
        return build(eps=eps, epochs=epochs, bounds=bounds, **{**usual, **settings})

    return method


def _without_attack(build: Callable[..., Defense], **usual: Any) -> Callable[..., Defense]:
    def method(*, eps: float, epochs: int, bounds: Bounds | None = IMAGES, **settings: Any) -> Defense:
        return build(epochs=epochs, **{**usual, **settings})

    return method


def _fgsm(*, eps: float, epochs: int, **settings: Any) -> Defense:
    return AdversarialTraining.fgsm(low=eps / 3, high=eps, epochs=epochs, **settings)


METHODS: dict[str, Callable[..., Defense]] = {
    "rse": _without_attack(RandomSelfEnsemble),
    "adversarial": _by_attack(AdversarialTraining.pgd),
    "adversarial-fgsm": _fgsm,
    "adversarial-fast": _by_attack(AdversarialTraining.fast),
    "trades": _by_attack(AdversarialTraining.trades),
    "adv-bnn": _by_attack(AdversarialBayes, **BAYES),
    "vi": _without_attack(VariationalBayes, **BAYES),
    "distillation": _without_attack(DefensiveDistillation),
    "brelu": _without_attack(BoundedReLUTraining),
}
"""`METHODS[name](eps=..., epochs=..., bounds=..., **settings)` gives a defence.

eps : radius of the adversary in linf, in the units of the inputs; of those that train without an adversary it is not
    asked. epochs : passes over the data. bounds : (lowest, highest) value of an input, (0, 1) for images; None for
    standardised tables. settings : any other field of the defence.
"""
