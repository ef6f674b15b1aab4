"""What a posterior does not know, taken apart: what more data would settle (epistemic), and chance (aleatoric)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from trustworthy.core.predictive import Predictive, predict_in_chunks
from trustworthy.training.likelihoods import Likelihood


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of what is uncertain about each row: total = epistemic + aleatoric.

    mean : of classes the mean probabilities (n, classes), of numbers their mean (n, *targets).
    epistemic, aleatoric, total : of classes (n,) in nats, mutual information, expected entropy and entropy; of numbers
        variances of the shape of `mean`, of the means over the draws, of the residuals, and both.
    aleatoric of numbers is what the likelihood says, a constant where it was given one: Gaussian(std=None) learns it.
    """

    mean: Float[Tensor, "n *targets"]
    epistemic: Float[Tensor, "n *shape"]
    aleatoric: Float[Tensor, "n *shape"]
    total: Float[Tensor, "n *shape"]


def decompose(predictive: Predictive, loss: Likelihood) -> Parts:
    """Take apart what the draws of a model answer, by the likelihood that it was trained with.

    For numbers that is the law of total variance; for classes the same for entropies.

    References
    ----------
    Depeweg et al., "Decomposition of uncertainty in Bayesian deep learning", 2018.
    """
    variances = [variance for outputs in predictive.members if (variance := loss.aleatoric(outputs)) is not None]
    if not variances:  # classes
        epistemic, aleatoric = predictive.mutual_information, predictive.expected_entropy
        return Parts(predictive.probabilities, epistemic, aleatoric, predictive.entropy)
    means = Predictive(torch.stack([loss.mean(outputs) for outputs in predictive.members]))
    epistemic, aleatoric = means.std.square(), torch.stack(variances).mean(0)
    return Parts(means.mean, epistemic, aleatoric, epistemic + aleatoric)


def predict_parts(
    model: Any, x: Shaped[Tensor | np.ndarray, "n *shape"], loss: Likelihood, *, chunk: int = 256, **asked: Any
) -> Parts:
    """`decompose` of the answers to all rows, while the draws of no more than `chunk` rows are held at once.

    Beside the result, memory takes a few times chunk * outputs numbers for each draw, however many rows there are.

    Parameters
    ----------
    model, x : as in `predict`. loss : the likelihood that the model was trained with. chunk : rows, >= 1.
    asked : what `predict` takes by name: `draws`, `batch_size`, `generator`, `device`.
    """
    chunks = [decompose(predictive, loss) for predictive in predict_in_chunks(model, x, chunk=chunk, **asked)]
    return Parts(*(torch.cat([getattr(part, name) for part in chunks]) for name in Parts.__dataclass_fields__))
