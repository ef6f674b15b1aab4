"""Which methods explain a model, with the settings that fit its data, and what each says in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from trustworthy.attacks import APGD, Bisection
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.explain import METHODS, Area, Criterion, Explainer, Robustness, as_criterion
from trustworthy.report.explanation.inquiry import Inquiry

RANDOM = "random"
CRITERIA = ("robustness-complement", "robustness", "insertion", "deletion")
"""What methods are judged by unless others are named; the first decides."""
LARGEST = 40.0
"""Radius up to which another attack searches, in headline radii."""
_GIVES = {"gradients": ("gradients", "scores", "labels"), "scores": ("scores", "labels"), "labels": ("labels",)}


@dataclass(frozen=True)
class About:
    """What a method is called in a sentence, and what it does."""

    title: str
    says: str


ABOUT = {
    "greedy-as": About(
        "Greedy-AS", "grows the set of features that, held fixed, make the prediction hardest to change; each next one "
        "is the one that helps most together with random others."
    ),
    "greedy": About("Greedy", "grows the same set, each time by the feature that helps most alone."),
    "gradient": About("Gradient", "how much the score of the class moves with each feature."),
    "ig": About("Integrated gradients", "the gradient along the way from the baseline to the input, times that way."),
    "eg": About("Expected gradients", "the same, on average over ways from rows of the data."),
    "shap": About("SHAP", "the share of each feature in the score, fair over all orders of adding features."),
    "shap-exact": About("Exact SHAP", "the same from all sets of features."),
    "shap-permutation": About("Permutation SHAP", "the same from some orders of the features."),
    "loo": About("Leave one out", "what the score loses where the feature is at the baseline."),
    "bbmp": About("BBMP", "the smallest learned mask that takes the class away where it blots features out."),
    "cfx": About("Counterfactual", "how far each feature moves in the smallest change that flips the prediction."),
    "anchors": About("Anchors", "a rule: features that hold the prediction wherever others are drawn from the data."),
    RANDOM: About("Random order", "knows nothing of the model."),
}  # fmt: skip


FOR_SUPERPIXELS = 4
"""Coalitions that Greedy-AS draws in each step for each superpixel."""


def given_by(inquiry: Inquiry) -> tuple[str, ...]:
    """What methods may ask the model for."""
    subject = inquiry.subject
    return _GIVES["gradients" if subject.gives_gradients else "scores" if subject.gives_scores else "labels"]


def chosen(names: Sequence[str] | None, inquiry: Inquiry) -> dict[str, Explainer]:
    """The methods by name; where none are named those that fit the model and the data.

    Raises
    ------
    InvalidInput : a method needs more of the model than it gives.
    """
    able = [name for name, kind in METHODS.items() if kind.asks in given_by(inquiry) and name != RANDOM]
    if names is None:
        names = [name for name in _usual(inquiry) if name in able]
    for name in names:
        kind = checks.choice("methods", name, METHODS)
        if kind.asks not in given_by(inquiry):
            raise InvalidInput(
                f"methods must need no more than the model gives, but {name} needs {kind.asks}, and "
                f"{inquiry.subject.name} gives {given_by(inquiry)[0]} alone; use {', '.join(able)}."
            )
    if not names:
        raise InvalidInput(f"methods must hold at least one, got none; use {', '.join(able)}.")
    return {name: fitted(METHODS[name], inquiry) for name in dict.fromkeys(names)}


def _usual(inquiry: Inquiry) -> list[str]:
    kind = inquiry.looked.domain.kind
    if not inquiry.subject.gives_scores:
        return ["anchors", "greedy-as"]
    if not inquiry.subject.gives_gradients:
        return ["shap", "loo", *(["anchors"] if kind == "table" else [])]
    return ["greedy-as", "gradient", "ig", "shap", *([] if kind == "image" else ["anchors"])]


def fitted(kind: type[Explainer], inquiry: Inquiry) -> Explainer:
    """A method with the baseline, the rows and the attack that fit the data."""
    background = None if inquiry.looked.domain.kind == "text" else inquiry.background
    given: dict[str, Any] = {
        "eot": inquiry.subject.draws, "baseline": inquiry.baseline, "background": background,
        "robustness": inquiry.robustness,
    }  # fmt: skip
    if inquiry.feature == "superpixel":  # a gradient of a photograph is dear, and features are few
        given["coalitions"] = FOR_SUPERPIXELS * inquiry.groups.count
    own = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in given.items() if name in own})


def judges(names: Sequence[str], inquiry: Inquiry) -> dict[str, Criterion]:
    """The criteria by name, with the baseline, the ball and the attack that fit the data."""
    if not names:
        raise InvalidInput(f"criteria must hold at least one, got none; use {', '.join(CRITERIA)}.")
    found = {}
    for name in dict.fromkeys(names):
        what, _, attack = name.partition("@")
        robustness = inquiry.robustness if not attack else checks.choice("criteria", attack, OTHERS)(inquiry)
        found[name] = _judging(as_criterion(what), inquiry, robustness)
    return found


def _apgd(inquiry: Inquiry) -> Robustness:
    """What no method searches by: APGD, its radius bisected."""
    if not inquiry.subject.gives_gradients:
        raise InvalidInput(
            f"criteria must need no gradients, which {inquiry.subject.name} has not, but those with @apgd do; leave "
            "@apgd out."
        )
    domain, norm = inquiry.looked.domain, inquiry.norm
    largest = LARGEST * domain.headline(norm)
    attack = APGD(norm=norm, eps=largest, bounds=domain.bounds, eot=inquiry.subject.draws, steps=20, loss="margin")
    return replace(inquiry.robustness, attack=Bisection(attack=attack))


OTHERS = {"apgd": _apgd}
"""Attacks that a criterion may be judged by besides, by what stands behind its @."""


def _judging(criterion: Criterion, inquiry: Inquiry, robustness: Robustness) -> Criterion:
    if isinstance(criterion, Area):
        return replace(criterion, criterion=_judging(criterion.criterion, inquiry, robustness))
    domain = inquiry.looked.domain
    given: dict[str, Any] = {
        "eot": inquiry.subject.draws, "baseline": inquiry.baseline, "robustness": robustness,
        "bounds": domain.bounds, "radius": 0.2 * domain.linf,
    }  # fmt: skip
    own = {field.name for field in fields(criterion)}
    return replace(criterion, **{name: value for name, value in given.items() if name in own})
