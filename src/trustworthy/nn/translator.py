"""Images in their own units through a network that works with normalised ones, and back.

A network learns best where every channel has mean 0 and standard deviation 1; a microscope counts. `Translator` keeps
the statistics of the training set with the weights, so that the file of the model alone reproduces a prediction. The
network inside is trained on what `Translator.normalised` gives: a loss, the scale of a likelihood, a prior and a
distance between weights then mean the same for images of 8 bits, 16 bits and real numbers.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, ModelContractError, warn
from trustworthy.core.protocols import Posterior, Predictor, Together, Wrapped, as_posterior
from trustworthy.nn.image_statistics import Images, ImageStatistics, arrays, image_statistics, unlike
from trustworthy.nn.normalize import Normalize


class Translator(nn.Module):
    """(source - mean) / std, then `net`, then times std plus mean of the target, channel by channel.

    Asked for draws it gives those of `net`, so that an ensemble or another posterior of networks is translated as one
    network is. Where the outputs have twice the channels of the target, the second half are logs of the sizes
    of residuals (`Gaussian(std=None)`, `Laplace(scale=None)`), which are brought to the units of the target too.

    Parameters
    ----------
    net : a network, or a posterior that is a module, from normalised images to normalised images.
    source_mean, source_std, target_mean, target_std : a number for each channel, in the units of the images; a standard
        deviation is > 0. 127.5 everywhere gives the released code's [-1, 1] for images of 8 bits.
    seen : (3, 2, channels), `ImageStatistics.ranges` of the training set for `unlike`; None where nobody knows.
    """

    seen: Tensor

    def __init__(
        self,
        net: nn.Module,
        source_mean: Sequence[float],
        source_std: Sequence[float],
        target_mean: Sequence[float],
        target_std: Sequence[float],
        *,
        seen: np.ndarray | Tensor | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        self.source, self.target = Normalize(source_mean, source_std), Normalize(target_mean, target_std)
        unknown = torch.full((3, 2, len(self.source.mean)), torch.nan)
        self.register_buffer("seen", unknown if seen is None else torch.as_tensor(seen).to(unknown).reshape_as(unknown))

    @classmethod
    def of(cls, net: nn.Module, source: Images, target: Images) -> Translator:
        """The translator with the statistics of the pairs of a training set, over all pixels of a channel.

        A channel that never varies is told in a warning; it is shifted to 0 and not scaled.

        Raises
        ------
        InvalidInput : no pairs, pairs of different sizes, images that are not (channels, height, width) of numbers, not
            finite, or of another number of channels than the first.
        """
        ofs = {"source": image_statistics("source", source), "target": image_statistics("target", target)}
        _check_paired(ofs["source"], ofs["target"])
        for name, found in ofs.items():
            for channel in np.flatnonzero(found.constant):
                warn(
                    f"channel {channel} of {name} is {found.mean[channel]:g} in every pixel of every image, so there "
                    "is nothing to learn from it; leave it out, or look whether the right channel was exported."
                )
        numbers = [values.tolist() for found in ofs.values() for values in (found.mean, found.std)]
        return cls(net, *numbers, seen=ofs["source"].ranges)

    def around(self, net: nn.Module) -> Translator:
        """The same statistics around another network or posterior, such as an ensemble trained on `normalised`."""
        of = (self.source.mean, self.source.std, self.target.mean, self.target.std)
        return Translator(net, *(values.tolist() for values in of), seen=self.seen)

    def normalised(self, source: Images, target: Images) -> tuple[Tensor, Tensor]:
        """Pairs of one size (n, channels, height, width) as the network inside is trained on them.

        Over the training set each channel has mean 0 and standard deviation 1.
        """
        return self.source(self._stacked("source", source)), self.target(self._stacked("target", target))

    def _stacked(self, name: str, images: Images) -> Tensor:
        each = [torch.from_numpy(image.astype(np.float32)) for image in arrays(name, images)]
        if len({image.shape for image in each}) > 1:
            raise InvalidInput(f"{name} must be images of one size to be trained on as one array; crop them first.")
        return torch.stack(each).to(self.source.mean)

    def forward(self, x: Tensor) -> Tensor:
        return self._through(self.net, x)

    @property
    def posterior(self) -> Posterior:
        """What is translated."""
        return as_posterior(self.net)

    def draws(self, count: int, generator: torch.Generator | None = None) -> Iterable[Predictor]:
        """`count` draws of the network, in own units."""
        return Wrapped(self.posterior, self._through).draws(count, generator)

    def together(self) -> Together | None:
        """How several draws are asked in one pass, if those of the network can be."""
        return Wrapped(self.posterior, self._through).together()

    def _through(self, predictor: Predictor, x: Tensor) -> Tensor:
        outputs = predictor(self.source(x.to(self.source.mean.dtype)))
        channels = len(self.target.mean)
        if outputs.shape[1] == channels:
            return self.target.inverse(outputs)
        if outputs.shape[1] != 2 * channels:
            raise ModelContractError(
                f"net must give {channels} channels, as the target has, or twice as many with the logs of the "
                f"sizes of residuals, got {outputs.shape[1]}; build it with out_channels={channels}."
            )
        mean, log_size = outputs.chunk(2, 1)
        return torch.cat((self.target.inverse(mean), log_size + self.target.std.log()[:, None, None]), 1)

    def unlike(self, x: Images) -> list[str]:
        """A sentence for each way in which an image is not like those of the training set; none if `seen` is unknown.

        Told is a mean that is more than half a standard deviation of the training pixels beyond the means of the
        training images, a spread (standard deviation) that is 1.5 times beyond theirs, a share of pixels at the highest
        value of the image that is 0.01 above the largest of theirs, and values that are not finite. Shares and spreads
        depend on the field of view, so compare whole images with whole images.
        """
        if bool(self.seen.isnan().any()):
            return []
        return unlike(self.seen.double().cpu().numpy(), self.source.std.double().cpu().numpy(), x)


def translate(model: nn.Module, *, source_channels: int = 1, target_channels: int = 1) -> Translator:
    """A copy of `model` in a `Translator` that changes no number until weights with statistics are loaded."""
    source = checks.integer("source_channels", source_channels, at_least=1)
    target = checks.integer("target_channels", target_channels, at_least=1)
    return Translator(copy.deepcopy(model), [0.0] * source, [1.0] * source, [0.0] * target, [1.0] * target)


def to_type(prediction: Tensor | np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """Numbers as `dtype`: for a whole type rounded to the nearest and clipped to its range, never truncated.

    Parameters
    ----------
    dtype : of 8, 16 or 32 bits, or floating.

    Raises
    ------
    InvalidInput : another type; NaN for a whole one.
    """
    values, wanted = np.asarray(prediction), np.dtype(dtype)
    if wanted.kind == "f":
        return values.astype(wanted)
    if wanted.kind not in "iu" or wanted.itemsize > 4:
        raise InvalidInput(f"dtype must be floating or a whole number of 8, 16 or 32 bits, got {wanted}.")
    if np.isnan(values).any():
        raise InvalidInput(
            f"prediction must be numbers to be {wanted}, got NaN; look at the model's input and weights."
        )
    limits = np.iinfo(wanted.name)
    return np.clip(np.rint(values.astype(np.float64)), limits.min, limits.max).astype(wanted)


def _check_paired(source: ImageStatistics, target: ImageStatistics) -> None:
    if len(source.sizes) != len(target.sizes):
        raise InvalidInput(
            f"source and target must be pairs, got {len(source.sizes)} and {len(target.sizes)} images; give each "
            "source its target, in the same order."
        )
    for place, (of_source, of_target) in enumerate(zip(source.sizes, target.sizes, strict=True)):
        if of_source != of_target:
            raise InvalidInput(
                f"both images of a pair must have one size, got {of_source} and {of_target} for pair {place}; align "
                "them first, or leave the pair out."
            )
