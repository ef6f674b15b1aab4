"""What is kept of each method, so that an interrupted study goes on: explanations and their judgement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ConfigDict
from torch import Tensor

from trustworthy.core.record import Frozen
from trustworthy.core.study import Arrays
from trustworthy.explain import Attribution, Comparison, Criterion, Curve, Judged, Rule
from trustworthy.explain.compare import Chance, Result
from trustworthy.report.explanation.inquiry import Inquiry

Tensors = dict[str, Tensor]


class Part(Frozen):
    """Of one method: by criterion the number of its attribution and the seconds it took; of each attribution the rules.

    seed : of the comparison.
    """

    model_config = ConfigDict(ser_json_inf_nan="constants")

    seed: int
    attributions: dict[str, int]
    seconds: dict[str, float]
    rules: list[tuple[Rule, ...] | None]


def kept(found: Comparison) -> tuple[Part, Arrays]:
    """A comparison of one method, or of chance alone, as it is kept."""
    arrays: Arrays = {}
    for criterion, chance in found.chance.items():
        arrays |= _arrays(f"{criterion}/chance", value=chance.value, curve=chance.curve)
    numbers: dict[int, int] = {}
    attributions, seconds, rules = {}, {}, []
    for criterion, result in next(iter(found.results.values())).items() if not found.chance else ():
        given, judged = result.attribution, result.judged
        if id(given) not in numbers:
            numbers[id(given)] = len(numbers)
            arrays |= _arrays(
                f"{numbers[id(given)]}", scores=given.scores, order=given.order, calls=given.calls, error=given.error
            )
            rules.append(given.rules)
        attributions[criterion], seconds[criterion] = numbers[id(given)], result.seconds
        curve = judged.curve
        arrays |= _arrays(
            criterion, value=judged.value, calls=judged.calls, error=judged.error,
            curve=None if curve is None else curve.value, unbroken=None if curve is None else curve.unbroken,
        )  # fmt: skip
    return Part(seed=found.seed, attributions=attributions, seconds=seconds, rules=rules), arrays


def restored(
    inquiry: Inquiry, criteria: Mapping[str, Criterion], parts: Mapping[str, tuple[Part, Arrays]]
) -> Comparison:
    """One comparison of everything that was kept, by method."""
    results, chance, seed = {}, {}, 0
    for name, (part, arrays) in parts.items():
        of, seed = {key: torch.from_numpy(array) for key, array in arrays.items()}, part.seed
        if part.attributions:
            made = [_attribution(inquiry, of, number, rules) for number, rules in enumerate(part.rules)]
            results[name] = {
                criterion: Result(attribution=made[number], judged=_judged(of, criterion, criteria[criterion]),
                                  seconds=part.seconds[criterion])
                for criterion, number in part.attributions.items()
            }  # fmt: skip
        else:
            chance = {
                criterion: Chance(value=of[f"{criterion}/chance/value"], curve=of.get(f"{criterion}/chance/curve"))
                for criterion in criteria
            }
    return Comparison(criteria=criteria, results=results, chance=chance, seed=seed)


def _arrays(place: str, **tensors: Tensor | None) -> Arrays:
    return {f"{place}/{key}": tensor.detach().cpu().numpy() for key, tensor in tensors.items() if tensor is not None}


def _attribution(inquiry: Inquiry, of: Tensors, number: int, rules: tuple[Rule, ...] | None) -> Attribution:
    on_device = {
        name: of[f"{number}/{name}"].to(inquiry.device) for name in ("scores", "order", "error")
        if f"{number}/{name}" in of
    }  # fmt: skip
    return Attribution(
        **on_device, groups=inquiry.groups, calls=of[f"{number}/calls"], y=inquiry.y, target=inquiry.target, rules=rules
    )


def _judged(of: Tensors, name: str, criterion: Any) -> Judged:
    value = of.get(f"{name}/curve")
    shares = getattr(criterion, "criterion", criterion)  # of an area those of what it is the area of
    curve = None
    if value is not None:
        curve = Curve(shares=tuple(shares.shares), value=value, unbroken=of.get(f"{name}/unbroken"))
    return Judged(value=of[f"{name}/value"], calls=of[f"{name}/calls"], error=of.get(f"{name}/error"), curve=curve)
