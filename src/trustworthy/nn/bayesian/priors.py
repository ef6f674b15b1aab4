"""What is believed of a weight before the data: priors, and the divergence of a Gaussian posterior from them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput

_LOG_TWO_PI = math.log(2 * math.pi)


class Prior(ABC):
    """The same distribution for every weight of a tensor, independently."""

    def kl(self, mean: Float[Tensor, "*shape"], log_std: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
        """KL of N(mean, exp(log_std)^2) from the prior, in nats, summed over all weights; differentiable."""
        return self.kl_each(mean, log_std).sum()

    @abstractmethod
    def kl_each(self, mean: Float[Tensor, "*shape"], log_std: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The same for each weight alone; nothing is random."""


@dataclass(frozen=True)
class GaussianPrior(Prior):
    """N(mean, std^2), whose divergence has the closed form (2.15).

    Parameters
    ----------
    std : > 0, in the units of the weights.
    mean : centre, beside that of the layer (1 for the scale of a batch normalisation, 0 for all other weights).
    """

    std: float
    mean: float = 0.0

    def __post_init__(self) -> None:
        checks.real("std of a GaussianPrior", self.std, above=0)
        checks.real("mean of a GaussianPrior", self.mean)

    def kl_each(self, mean: Float[Tensor, "*shape"], log_std: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        log_ratio = log_std - math.log(self.std)
        distance = (mean - self.mean) / self.std
        return 0.5 * ((2 * log_ratio).exp() + distance.square() - 1) - log_ratio


@dataclass(frozen=True)
class GaussianMixture(Prior):
    """sum_k weights[k] N(means[k], stds[k]^2): the divergence by Monte Carlo, with the entropy of the posterior exact.

    Parameters
    ----------
    stds : one for each component, > 0.
    weights : share of each component, > 0, with sum 1; None gives all the same.
    means : centre of each component; None puts all at 0.
    draws : draws of every weight in one call of `kl`, >= 1, from torch's global stream. The estimate is unbiased, and
        so is its gradient; its standard error falls with 1 / sqrt(draws), its cost grows with `draws`.
    """

    stds: Sequence[float]
    weights: Sequence[float] | None = None
    means: Sequence[float] | None = None
    draws: int = 1

    def __post_init__(self) -> None:
        count = len(self.stds)
        given = {
            "stds": self.stds,
            "weights": [1 / max(count, 1)] * count if self.weights is None else self.weights,
            "means": [0.0] * count if self.means is None else self.means,
        }
        for name, values in given.items():
            above = None if name == "means" else 0
            numbers = tuple(checks.real(f"{name} of a GaussianMixture", value, above=above) for value in values)
            if len(numbers) != count or not numbers:
                raise InvalidInput(
                    f"{name} of a GaussianMixture must have one value per component, got {len(numbers)} for "
                    f"{count} stds; give as many of each, at least one."
                )
            object.__setattr__(self, name, numbers)
        if not math.isclose(total := sum(given["weights"]), 1, abs_tol=1e-6):
            raise InvalidInput(
                f"weights of a GaussianMixture must have sum 1, got {total:g}; divide them by their sum."
            )
        checks.integer("draws of a GaussianMixture", self.draws, at_least=1)

    def kl(self, mean: Float[Tensor, "*shape"], log_std: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
        return self._divergence(
            mean, log_std, ((1 / self.draws, torch.randn_like(mean)) for _ in range(self.draws))
        ).sum()

    def kl_each(self, mean: Float[Tensor, "*shape"], log_std: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """By the trapezoidal rule, 241 nodes within 6 standard deviations of the posterior: to 1e-5 nats where no
        component is narrower than a tenth of that, to 1e-3 for a twentieth."""
        nodes = torch.linspace(-6, 6, 241, dtype=torch.float64)
        shares = (-nodes.square() / 2).softmax(0)
        points = ((share, mean.new_tensor(node)) for share, node in zip(shares.tolist(), nodes.tolist(), strict=True))
        return self._divergence(mean, log_std, points)

    def _divergence(self, mean: Tensor, log_std: Tensor, points: Iterable[tuple[float, Tensor]]) -> Tensor:
        """Minus the entropy of the posterior, minus the mean of the log prior over weighted standard normal points."""
        std, cross = log_std.exp(), torch.zeros_like(mean)
        for share, eps in points:
            cross = cross + share * self.log_density(mean + std * eps)
        return -log_std - 0.5 * (_LOG_TWO_PI + 1) - cross

    def log_density(self, weight: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """log p(weight), finite as far as the square of weight / std is."""
        assert self.weights is not None
        assert self.means is not None
        parts = [
            math.log(share / std) - 0.5 * (_LOG_TWO_PI + ((weight - mean) / std).square())
            for share, std, mean in zip(self.weights, self.stds, self.means, strict=True)
        ]
        return torch.stack(parts).logsumexp(0)


@dataclass(frozen=True)
class SpikeAndSlab(Prior):
    """A wide Gaussian about 0 for weights that matter, a narrow one for those that do not: the mixture of the two.

    The spike has a width, as George and McCulloch have it: of a point mass no Gaussian can make any use.

    Parameters
    ----------
    slab_std, spike_std : 0 < spike_std < slab_std.
    slab_weight : share of weights that matter, in (0, 1).
    draws : as in `GaussianMixture`.
    """

    slab_std: float = 0.1
    spike_std: float = 0.001
    slab_weight: float = 0.5
    draws: int = 1

    def __post_init__(self) -> None:
        checks.real("spike_std of a SpikeAndSlab", self.spike_std, above=0)
        checks.real("slab_std of a SpikeAndSlab", self.slab_std, above=self.spike_std)
        checks.fraction("slab_weight of a SpikeAndSlab", self.slab_weight)
        checks.integer("draws of a SpikeAndSlab", self.draws, at_least=1)

    @property
    def mixture(self) -> GaussianMixture:
        shares = (self.slab_weight, 1 - self.slab_weight)
        return GaussianMixture((self.slab_std, self.spike_std), shares, draws=self.draws)

    def kl(self, mean: Float[Tensor, "*shape"], log_std: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
        return self.mixture.kl(mean, log_std)

    def kl_each(self, mean: Float[Tensor, "*shape"], log_std: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return self.mixture.kl_each(mean, log_std)


PRIORS: dict[str, type[Prior]] = {
    "gaussian": GaussianPrior,
    "mixture": GaussianMixture,
    "spike_and_slab": SpikeAndSlab,
}
"""Priors by the name that JSON gives them."""


def as_prior(prior: Prior | Mapping[str, Any]) -> Prior:
    """The prior itself, or the one that a mapping of JSON names: {"kind": "mixture", "stds": [1.0, 0.01]}."""
    if isinstance(prior, Prior):
        return prior
    if not isinstance(prior, Mapping) or "kind" not in prior:
        raise InvalidInput(
            f'prior must be a Prior or a mapping such as {{"kind": "gaussian", "std": 0.1}}, got {prior!r}.'
        )
    options = {name: value for name, value in prior.items() if name != "kind"}
    kind = checks.choice("kind of prior", prior["kind"], PRIORS)
    try:
        return kind(**options)
    except TypeError as error:
        raise InvalidInput(f"prior of kind {prior['kind']!r} does not take these options: {error}.") from error
