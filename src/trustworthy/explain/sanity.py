"""Does an explanation depend on what the model has learned? One that does not says nothing of the model.

sanity(Gradient(), model, x).statement
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.core.errors import InvalidInput
from trustworthy.core.inputs import Array
from trustworthy.core.protocols import AnyClassifier
from trustworthy.core.seeds import torch_generator
from trustworthy.explain.attribution import Attribution
from trustworthy.explain.compare import Interval, mean_interval
from trustworthy.explain.explainer import Explainer

AGAIN, WEIGHTS, LABELS = "explained again", "all weights shuffled", "labels shuffled"
ALIKE = 0.5
"""Rank correlation from which two explanations count as alike."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sanity:
    """How alike the explanations of a model are to those of models that have learned nothing of the kind.

    correlation : (n,) by what was done: Spearman's rank correlation, of each example, of the scores by which features
        are ordered. "explained again" is the same model with other draws, what chance of the method leaves.
    seed : of all that was drawn, the resampling of intervals included.
    """

    correlation: dict[str, Float[np.ndarray, " n"]]
    seed: int

    def interval(self, what: str) -> Interval:
        """Of the mean correlation over the examples (95 %); NaN of one example."""
        return mean_interval(self.correlation[what], self.seed)

    def changed(self, what: str) -> bool | None:
        """Whether the explanations are no longer alike; None where the interval leaves it open."""
        low, high = self.interval(what)
        return True if high < ALIKE else False if low >= ALIKE else None

    @property
    def passed(self) -> bool | None:
        """Whether the method agrees with itself and changes with whatever was done; None where that is open."""
        found = [self.changed(what) for what in self.correlation]
        if found[0] is not False:
            return None if found[0] is None else False
        return False if False in found[1:] else None if None in found[1:] else True

    @property
    def statement(self) -> str:
        """What a report says of it."""
        parts = [f"{what} {values.mean():.2f}" + self._range(what) for what, values in self.correlation.items()]
        if self.changed(AGAIN) is True:
            verdict = "The method does not agree with itself, so that its scores are mostly chance"
        elif self.passed is None:
            verdict = "Too few examples say whether the explanations depend on what the model has learned"
        elif self.passed:
            verdict = "The explanations depend on what the model has learned"
        else:
            same = [what for what in self.correlation if what != AGAIN and self.changed(what) is False]
            verdict = f"The explanations stay much the same with {' and '.join(same)}: do not trust them for this model"
        return f"{verdict} (rank correlation: {'; '.join(parts)})."

    def _range(self, what: str) -> str:
        low, high = self.interval(what)
        return "" if np.isnan(low) else f", {low:.2f} to {high:.2f}"


def sanity(
    method: Explainer,
    model: AnyClassifier,
    x: Array,
    y: Array | None = None,
    *,
    groups: Any = None,
    relabelled: AnyClassifier | None = None,
    cascading: bool = False,
    generator: torch.Generator | None = None,
) -> Sanity:
    """Explain again with weights, and labels, that mean nothing; the explanations must change.

    Parameters
    ----------
    method, x, y, groups : see `Explainer.__call__`. The class that is explained stays; of a method that explains
        predictions alone it is what each model predicts.
    model : a module, whose weights are shuffled within each tensor of a copy, so that their distribution stays. Any
        other model has no weights to shuffle and needs `relabelled`.
    relabelled : the same model trained on labels that were shuffled among the training examples.
    cascading : shuffle layer by layer, from the last back to the first, and explain after each.
    generator : source of one seed for all that is drawn; None draws from torch's global stream.

    Scores that are the same for all features have no ranks: their correlation is 0, with each other 1. Cost: three
    times that of `method`, or one more for each layer. Reference: Adebayo et al. 2018.
    """
    if not isinstance(model, nn.Module) and relabelled is None:
        raise InvalidInput(
            f"model must be a module, whose weights can be shuffled, got {type(model).__name__}; or give `relabelled`, "
            "the same model trained on shuffled labels."
        )
    seed = int(torch.randint(2**62, (), generator=generator, device=None if generator is None else generator.device))

    def explained(asked: AnyClassifier, classes: Array | None, stream: str) -> Attribution:
        device = x.device if isinstance(x, Tensor) else "cpu"
        return method(asked, x, classes, groups=groups, generator=torch_generator(seed, stream, device=device))

    before = explained(model, y, "first")
    classes = None if method.of_prediction else before.y
    changed = {AGAIN: model, **(dict(_shuffled(model, cascading, seed)) if isinstance(model, nn.Module) else {})}
    if relabelled is not None:
        changed[LABELS] = relabelled
    by_size = method.ranks == "size"
    found = {what: _alike(before, explained(other, classes, what), by_size) for what, other in changed.items()}
    return Sanity(correlation=found, seed=seed)


def _shuffled(model: nn.Module, cascading: bool, seed: int) -> Iterator[tuple[str, nn.Module]]:
    """Copies of the model with weights shuffled within each tensor: of all layers, or of ever more from the last on."""
    changed, generator = copy.deepcopy(model), torch_generator(seed, "weights")
    layers = [(name, module) for name, module in changed.named_modules() if list(module.parameters(recurse=False))]
    for name, layer in reversed(layers):
        with torch.no_grad():
            for weight in layer.parameters(recurse=False):
                order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
                weight.copy_(weight.flatten()[order].reshape(weight.shape))
        if cascading and layer is not layers[0][1]:
            yield f"weights shuffled down to {name}", copy.deepcopy(changed)
    yield WEIGHTS, changed


def _alike(before: Attribution, after: Attribution, by_size: bool) -> Float[np.ndarray, " n"]:
    pairs = zip(*(_keys(one, by_size) for one in (before, after)), before.present.cpu().numpy(), strict=True)
    return np.array([_rank_correlation(one[present], other[present]) for one, other, present in pairs])


def _keys(attribution: Attribution, by_size: bool) -> Float[np.ndarray, "n groups"]:
    """The scores by which features are ordered."""
    scores = attribution.scores.detach().cpu().double().numpy()
    return np.abs(scores) if by_size else scores


def _rank_correlation(one: Float[np.ndarray, " groups"], other: Float[np.ndarray, " groups"]) -> float:
    from scipy.stats import rankdata

    flat = [values.min() == values.max() for values in (one, other)]
    return float(all(flat)) if any(flat) else float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])
