"""What the names of the command mean: each defence with settings for images in [0, 1] and standardised tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trustworthy.core.checks import Bounds
from trustworthy.defenses.adversarial_bayes import AdversarialBayes
from trustworthy.defenses.adversarial_training import AdversarialTraining
from trustworthy.defenses.defense import Defense
from trustworthy.defenses.distillation import DefensiveDistillation
from trustworthy.defenses.noise import BoundedReLUTraining, RandomSelfEnsemble

IMAGES: Bounds = (0.0, 1.0)
BAYES: dict[str, Any] = {"alpha": 0.1, "warmup": 0.5}


def _method(build: Callable[..., Defense], *, attacks: bool = True, **usual: Any) -> Callable[..., Defense]:
    def method(*, eps: float, epochs: int, bounds: Bounds | None = IMAGES, **settings: Any) -> Defense:
        adversary = {"eps": eps, "bounds": bounds} if attacks else {}
        return build(epochs=epochs, **adversary, **{**usual, **settings})

    return method


def _fgsm(*, eps: float, **settings: Any) -> Defense:
    return AdversarialTraining.fgsm(low=eps / 3, high=eps, **settings)


METHODS: dict[str, Callable[..., Defense]] = {
    "rse": _method(RandomSelfEnsemble, attacks=False),
    "adversarial": _method(AdversarialTraining.pgd),
    "adversarial-fgsm": _method(_fgsm),
    "adversarial-fast": _method(AdversarialTraining.fast),
    "trades": _method(AdversarialTraining.trades),
    "adv-bnn": _method(AdversarialBayes, **BAYES),
    "distillation": _method(DefensiveDistillation, attacks=False),
    "brelu": _method(BoundedReLUTraining, attacks=False),
}
"""`METHODS[name](eps=..., epochs=..., bounds=..., **settings)` gives a defence.

eps : radius of the adversary in linf, in the units of the inputs; of those that train without an adversary it is not
    asked. epochs : passes over the data. bounds : (lowest, highest) value of an input, (0, 1) for images; None for
    standardised tables. settings : any other field of the defence.
"""
