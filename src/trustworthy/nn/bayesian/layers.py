"""Linear layers, convolutions and batch normalisation whose weights are drawn anew at each forward pass."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from trustworthy.nn.affine import affine
from trustworthy.nn.bayesian.layer import BayesianLayer


class LocalLayer(BayesianLayer):
    """An affine layer, which can draw its outputs instead of its weights: the local reparameterisation.

    Parameters
    ----------
    local : the output is mean(x) + sqrt(variance(x)) * eps, with the mean and the variance that draws of the weights
        give it (Kingma et al., 2015). Each row of a batch has its own draw then, which makes the gradient of a loss
        less noisy at the cost of two passes of the layer. So has each position of a convolution or of a sequence: one
        draw of the weights would make them move together, here they are independent.
    """

    local: bool = False

    def __init__(self, *args: Any, local: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.local = local

    def forward(self, input: Tensor, *args: Any, **options: Any) -> Tensor:
        if not self.local:
            return super().forward(input, *args, **options)
        means, variances = zip(*((q.mean, (2 * q.log_std).exp()) for q in self.posteriors()), strict=True)
        no_bias = [None] * (2 - len(means))
        mean = affine(self, input, *means, *no_bias, *args, **options)
        variance = affine(self, input.square(), *variances, *no_bias, *args, **options)
        # The slope of a square root is infinite at 0, which is the variance of a row of zeros.
        return mean + variance.clamp_min(torch.finfo(variance.dtype).tiny).sqrt() * torch.randn_like(mean)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}{', local=True' if self.local else ''}"


class BayesianLinear(LocalLayer, nn.Linear):
    pass


class BayesianConv1d(LocalLayer, nn.Conv1d):
    pass


class BayesianConv2d(LocalLayer, nn.Conv2d):
    pass


class BayesianConv3d(LocalLayer, nn.Conv3d):
    pass


class BayesianConvTranspose1d(LocalLayer, nn.ConvTranspose1d):
    pass


class BayesianConvTranspose2d(LocalLayer, nn.ConvTranspose2d):
    pass


class BayesianConvTranspose3d(LocalLayer, nn.ConvTranspose3d):
    pass


class _BatchNorm(BayesianLayer):
    """Running statistics as in torch; the scale has a prior about 1, the shift about 0."""

    PRIOR_MEANS: ClassVar[dict[str, float]] = {"weight": 1.0}


class BayesianBatchNorm1d(_BatchNorm, nn.BatchNorm1d):
    pass


class BayesianBatchNorm2d(_BatchNorm, nn.BatchNorm2d):
    pass


class BayesianBatchNorm3d(_BatchNorm, nn.BatchNorm3d):
    pass


BAYESIAN: dict[type[nn.Module], type[BayesianLayer]] = {
    nn.Linear: BayesianLinear,
    nn.Conv1d: BayesianConv1d,
    nn.Conv2d: BayesianConv2d,
    nn.Conv3d: BayesianConv3d,
    nn.ConvTranspose1d: BayesianConvTranspose1d,
    nn.ConvTranspose2d: BayesianConvTranspose2d,
    nn.ConvTranspose3d: BayesianConvTranspose3d,
    nn.BatchNorm1d: BayesianBatchNorm1d,
    nn.BatchNorm2d: BayesianBatchNorm2d,
    nn.BatchNorm3d: BayesianBatchNorm3d,
}
"""Which layer takes the place of which of torch's."""
