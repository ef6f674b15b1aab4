"""Monte Carlo dropout: a network that drops in prediction as it did in training."""

from __future__ import annotations

from dataclasses import dataclass

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.training import Likelihood
from trustworthy.uncertainty.method import CLASSES, Method


@dataclass(frozen=True, kw_only=True)
class MCDropout(Method):
    """Each answer drops other entries; batch normalisation predicts by its running statistics, as ever.

    Parameters
    ----------
    p : rate of all dropout layers, in [0, 1); None keeps the rates that the model has.
    missing : rate, in [0, 1), of the dropout that is put before every convolution and linear layer but the first where
        the model has no dropout layer and `p` is None.
    loss : `Categorical()` for classes, `Gaussian(...)` or `Laplace(...)` for numbers.

    Cost: that of one model; a prediction takes a pass for each draw. Random: what is dropped.
    """

    p: float | None = None
    missing: float = 0.1
    loss: Likelihood = CLASSES
    draws: int = 10

    transform = ("persist_dropout", "p", "missing")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, rate in (("p", self.p), ("missing", self.missing)):
            if rate is not None and checks.real(name, rate, at_least=0.0) >= 1:
                raise InvalidInput(f"{name} must be < 1, got {rate!r}; at 1 nothing of an input would be left.")
