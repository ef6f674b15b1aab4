"""What an attack maximises: one number per example, from logits.

With `target` the loss grows as the target is approached; without, as the true class is left.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from trustworthy.core.errors import InvalidInput

Logits = Float[Tensor, "batch classes"]
Classes = Int[Tensor, " batch"]
PerExample = Float[Tensor, " batch"]
LossFunction = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def cross_entropy(logits: Logits, y: Classes, target: Classes | None = None) -> PerExample:
    """Cross entropy of the true class, or minus that of the target (eq. 2.4)."""
    if target is None:
        return F.cross_entropy(logits, y, reduction="none")
    return -F.cross_entropy(logits, target, reduction="none")


def margin(logits: Logits, y: Classes, target: Classes | None = None) -> PerExample:
    """Best other logit minus the true one, or the target's minus the best other: positive where the attack succeeds.

    It is minus the g of eq. (2.3) before the cut at kappa, whose sign there is that of the targeted case.
    """
    wanted = y if target is None else target
    chosen = logits.gather(1, wanted[:, None]).squeeze(1)
    others = logits.scatter(1, wanted[:, None], -torch.inf).amax(1)
    return others - chosen if target is None else chosen - others


def soft_margin(
    logits: Logits, y: Classes, target: Classes | None = None, *, temperature: Float[Tensor, "batch 1"]
) -> PerExample:
    """As `margin`, the best other logit softened: temperature * log sum exp(logit / temperature) of the others.

    At temperature 1 its gradient has the direction of the cross entropy's, which it does not lose where the model is
    sure; at 0 it would be the margin.
    """
    wanted = y if target is None else target
    chosen = logits.gather(1, wanted[:, None]).squeeze(1)
    others = (logits / temperature).scatter(1, wanted[:, None], -torch.inf).logsumexp(1) * temperature.squeeze(1)
    return others - chosen if target is None else chosen - others


def difference_of_logits_ratio(logits: Logits, y: Classes, target: Classes | None = None) -> PerExample:
    """Margin divided by a difference of sorted logits: unmoved by shift or scale of the logits (Croce and Hein 2020).

    The divisor is z1 - z3 untargeted and z1 - (z3 + z4) / 2 targeted, z4 being z3 where there are three classes. With
    two it would be the margin itself and the loss a constant, which is refused.
    """
    classes = logits.shape[1]
    if classes < 3:
        raise InvalidInput(f'loss must be "margin" or "ce" for {classes} classes, got "dlr", which needs at least 3.')
    ordered = logits.sort(dim=1, descending=True).values
    if target is None:
        spread = ordered[:, 0] - ordered[:, 2]
        return margin(logits, y) / spread.clamp_min(1e-12)
    true = logits.gather(1, y[:, None]).squeeze(1)
    wanted = logits.gather(1, target[:, None]).squeeze(1)
    spread = ordered[:, 0] - (ordered[:, 2] + ordered[:, min(3, classes - 1)]) / 2
    return (wanted - true) / spread.clamp_min(1e-12)


LOSSES: dict[str, LossFunction] = {"ce": cross_entropy, "margin": margin, "dlr": difference_of_logits_ratio}
