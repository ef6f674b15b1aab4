"""g(f, x, S) of (7.1) and (7.2): the smallest perturbation of a set of features that changes the prediction.

Greedy and Greedy-AS search by it, the criteria of Definition 7.1.2 judge by it. Examples come in with masks of what may
change, one for each coalition of features; distances go out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trustworthy.attacks import Attack, MinimumNorm
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.grid import Grid
from trustworthy.core.norms import Norm, as_size
from trustworthy.core.predictive import NUMBERS
from trustworthy.core.protocols import AnyClassifier
from trustworthy.core.threat import Bounds


@dataclass(frozen=True, eq=False)
class Distances:
    """The robustness of each example to perturbations of each coalition.

    size : (n, k), norm of the smallest perturbation found, an upper bound of g; 0 where the prediction is not y to
        begin with, inf where nothing found changes it, and where nothing may change.
    points : (n, k, *shape), where it was found; the example itself where it was not.
    calls : (n,), rows shown to the model.
    """

    size: Float[Tensor, "n k"]
    points: Float[Tensor, "n k *shape"]
    calls: Int[Tensor, " n"]


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """g(f, x, S), an upper bound, for many coalitions S of every example at once.

    Parameters
    ----------
    attack : one that minimises the distance; its norm and bounds hold. `MinimumNorm` for models with gradients,
        `BoundaryAttack` for those that give labels alone.
    warm_steps : steps of a `MinimumNorm` that goes on from what a neighbouring coalition found, >= 1.
    rows : examples times coalitions in one batch, >= 1.
    movable : (*shape), coordinates that may change at all, such as columns that are quantities; None for all of them.
    grid : values that coordinates may take, see `Attack.__call__`; None for all.

    Cost: that of the attack for every coalition. Memory: some copies of `rows` examples, beside the points returned.
    """

    attack: Attack = field(default_factory=lambda: MinimumNorm(norm="l2"))
    warm_steps: int = 20
    rows: int = 512
    movable: Tensor | None = field(default=None, repr=False)
    grid: Grid | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        checks.integer("warm_steps", self.warm_steps, at_least=1)
        checks.integer("rows", self.rows, at_least=1)
        if not self.attack.minimises_distance:
            raise InvalidInput(
                f"attack must be one that minimises the distance, got {type(self.attack).__name__}; "
                "Bisection(attack=...) makes one of it."
            )

    def __call__(
        self,
        model: AnyClassifier,
        x: Float[Tensor, "n *shape"],
        y: Int[Tensor, " n"],
        free: Bool[Tensor, "n k *shape"],
        *,
        target: Int[Tensor, " n"] | None = None,
        start: Float[Tensor, "n k *shape"] | None = None,
        generator: torch.Generator | None = None,
    ) -> Distances:
        """Distances of `x` from another prediction than `y` (or from `target`) within each of the masks `free`.

        start : points to go on from with `warm_steps` steps, such as those of neighbouring coalitions.
        """
        n, k = free.shape[:2]
        size, calls = x.new_full((n * k,), torch.inf), torch.zeros(n, dtype=torch.int64, device=x.device)
        whose = torch.arange(n, device=x.device).repeat_interleave(k)
        masks, points = free.flatten(0, 1), x.repeat_interleave(k, 0)
        if self.movable is not None:
            masks = masks & self.movable.to(x.device)
        begun = None if start is None else start.flatten(0, 1)
        given = {"generator": generator, "grid": self.grid}
        at_once = max(1, min(self.rows, NUMBERS // max(1, x[:1].numel())))
        some = masks.flatten(1).any(1).nonzero().squeeze(1)
        for part in some.split(at_once) if len(some) else ():
            rows = whose[part]
            wanted = None if target is None else target[rows]
            attack = self._begun(None if begun is None else begun[part])
            found = attack(model, x[rows], y[rows], target=wanted, free=masks[part], **given)
            size[part], points[part] = found.distance.to(size), found.adversarial
            calls.index_add_(0, rows, found.queries)
        return Distances(size.reshape(n, k), points.reshape(n, k, *x.shape[1:]), calls)

    def _begun(self, start: Tensor | None) -> Attack:
        if start is None or not isinstance(self.attack, MinimumNorm):
            return self.attack
        return replace(self.attack, start=start, steps=self.warm_steps)


def finite(
    size: Float[Tensor, "n k"], x: Float[Tensor, "n *shape"], bounds: Bounds | None, norm: Norm
) -> Float[Tensor, "n k"]:
    """`size` with a number in place of inf: the length of the way to the farther bound of every coordinate of `x`.

    Without bounds it is the length of `x`, as in the released code, or the largest of its sizes that are finite.
    """
    far = x if bounds is None else torch.maximum(x - bounds[0], bounds[1] - x)
    broken = size.masked_fill(size.isinf(), 0.0).amax(1)
    return torch.where(size.isinf(), torch.maximum(as_size(norm).size(far), broken)[:, None], size)
