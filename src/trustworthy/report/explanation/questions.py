"""What an explanation needs of a model and its data: what may change, what a missing feature looks like, features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trustworthy.attacks import Attack, BoundaryAttack, MinimumNorm
from trustworthy.core import checks
from trustworthy.explain import Attribution, Groups, Partition, Robustness, as_groups, superpixels
from trustworthy.report.domain import MISSING, Domain
from trustworthy.report.subject import Subject

LARGE = 64
"""Side in pixels from which on a feature of an image is a superpixel."""
STARTS = 30
"""Rows that a walk along the boundary may begin at, at most."""


def robustness_of(
    subject: Subject, domain: Domain, norm: str, steps: int, others: Float[Tensor, "m *shape"]
) -> Robustness:
    """How the smallest change of some features that changes a prediction is searched.

    others : attacked inputs, from which a model without gradients is walked towards an example.
    """
    given: Any = {"bounds": domain.bounds, "eot": subject.draws, "norm": norm, "steps": steps}
    attack: Attack = MinimumNorm(**given)
    if not subject.gives_gradients:
        attack = BoundaryAttack(starts=others[-STARTS:], **given)
    return Robustness(attack=attack, movable=domain.changeable, grid=domain.grid)


def baseline_of(domain: Domain, others: Float[Tensor, "m *shape"]) -> float | Float[Tensor, "*shape"]:
    """What a missing feature looks like: black, the mean of a column, the commonest category, no word.

    others : attacked inputs, by which it is told what is common.
    """
    if domain.kind != "table" or domain.movable is None:
        return 0.0
    commonest = others.mode(dim=0).values
    return torch.where(domain.movable.to(others.device), torch.zeros_like(commonest), commonest)


def features_of(groups: Any, domain: Domain, x: Float[Tensor, "n *shape"]) -> tuple[Groups, str]:
    """The features of attacked inputs, and what one is called; a value that is missing is of no feature.

    groups : see `trustworthy.report.explanation.run`.
    """
    if domain.kind == "text":
        return as_groups(groups, x), "word"
    if domain.kind == "table":
        if groups not in (None, "column"):
            return as_groups(groups, x), "group"
        missing = x == MISSING
        columns = torch.arange(x.shape[1], device=x.device).expand(len(x) if bool(missing.any()) else 1, -1)
        return Partition(columns.masked_fill(missing, -1) if len(columns) > 1 else columns, x.shape[1]), "column"
    chosen = groups if groups is not None else "superpixels:64" if max(x.shape[2:]) > LARGE else "pixel"
    what, _, count = chosen.partition(":") if isinstance(chosen, str) else ("group", "", "")
    if what == "superpixels":
        number = checks.integer("groups", int(count) if count.isdecimal() else 64, at_least=2)
        return superpixels(x, number), "superpixel"
    return as_groups(chosen, x), what


def words_of(labels: Int[Tensor, "n tokens"], x: Float[Tensor, "n longest width"]) -> Partition:
    """The words of texts by the number of each token; marks are of no word, and other texts may be longer."""
    labels = nn.functional.pad(labels.to(x.device), (0, x.shape[1] - labels.shape[1]), value=-1)
    return Partition(labels[..., None].expand(x.shape), int(labels.max()) + 1)


def strengths(found: Attribution, *, signed: bool) -> Float[Tensor, "n groups"]:
    """How strongly each feature is marked, up to 1 of an example, and down to -1 where the scores are `signed`.

    Scores below zero that have no sign, of methods that choose features step by step, give way to their places: from 1
    of the first feature to 0 of those in the second half.
    """
    scores = found.scores.nan_to_num()
    if not signed and bool((scores < 0).any()):
        place = torch.empty_like(found.order).scatter_(
            1, found.order, torch.arange(scores.shape[1], device=scores.device).expand_as(scores)
        )
        count = found.present.sum(1, keepdim=True).clamp_min(1)
        return (1.0 - 2.0 * place / count).clamp_min(0.0).to(scores).where(found.present, 0.0)
    return scores / scores.abs().amax(1, keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)


def names_of(groups: Groups, columns: Sequence[str], feature: str) -> tuple[str, ...]:
    """Names of the features of a table: those of columns, joined where several belong together."""
    if feature == "column":
        return tuple(columns)
    each = torch.eye(groups.count, dtype=torch.bool)[:, None]
    together = (groups.free(one.to(groups.present.device))[0].nonzero().flatten().tolist() for one in each)
    return tuple(" + ".join(columns[column] for column in some) for some in together)
