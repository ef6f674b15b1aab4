"""Linear layers, convolutions and batch normalisation whose weights are drawn anew at each forward pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trustworthy.nn.bayesian.layer import BayesianLayer


class LocalLayer(BayesianLayer, ABC):
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

    @abstractmethod
    def affine(self, x: Tensor, weight: Tensor, bias: Tensor | None, *args: Any, **options: Any) -> Tensor:
        """What the layer computes with these weights."""

    def forward(self, input: Tensor, *args: Any, **options: Any) -> Tensor:
        if not self.local:
            return super().forward(input, *args, **options)
        means, variances = zip(*((q.mean, (2 * q.log_std).exp()) for q in self.posteriors()), strict=True)
        no_bias = [None] * (2 - len(means))
        mean = self.affine(input, *means, *no_bias, *args, **options)
        variance = self.affine(input.square(), *variances, *no_bias, *args, **options)
        # The slope of a square root is infinite at 0, which is the variance of a row of zeros.
        return mean + variance.clamp_min(torch.finfo(variance.dtype).tiny).sqrt() * torch.randn_like(mean)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}{', local=True' if self.local else ''}"


class BayesianLinear(LocalLayer, nn.Linear):
    def affine(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.linear(x, weight, bias)


class _Convolution(LocalLayer):
    def affine(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self._conv_forward(x, weight, bias)  # with the padding of the layer


class BayesianConv1d(_Convolution, nn.Conv1d):
    pass


class BayesianConv2d(_Convolution, nn.Conv2d):
    pass


class BayesianConv3d(_Convolution, nn.Conv3d):
    pass


class _Transposed(LocalLayer):
    def affine(self, x: Tensor, weight: Tensor, bias: Tensor | None, output_size: list[int] | None = None) -> Tensor:
        sides = len(self.kernel_size)
        extra = self._output_padding(x, output_size, self.stride, self.padding, self.kernel_size, sides, self.dilation)
        function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[sides - 1]
        return function(x, weight, bias, self.stride, self.padding, extra, self.groups, self.dilation)


class BayesianConvTranspose1d(_Transposed, nn.ConvTranspose1d):
    pass


class BayesianConvTranspose2d(_Transposed, nn.ConvTranspose2d):
    pass


class BayesianConvTranspose3d(_Transposed, nn.ConvTranspose3d):
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
