"""Training on the worst case: a loss for `training.fit` that attacks the model first.

It is not among the names of `trustworthy.attacks`, which would otherwise import the training loop.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.attacks.attack import Attack
from trustworthy.training.data import Batch
from trustworthy.training.losses import cross_entropy, labelled
from trustworthy.training.moment import Moment


@dataclass(frozen=True, kw_only=True)
class AdversarialCrossEntropy:
    """Mean cross-entropy on the examples that `attack` finds for each batch.

    Parameters
    ----------
    attack : run on the model as it is at this step, in evaluation mode.

    Cost: that of the attack, and one step on what it found. Random: the attack.
    Reference: Madry et al. 2018.
    """

    attack: Attack

    def __call__(self, model: nn.Module, batch: Batch, moment: Moment) -> Float[Tensor, ""]:
        x, y = labelled(batch)
        worst = self.attack.perturb(model, x, y, generator=moment.generator)
        return cross_entropy(model, (worst, y), moment)
