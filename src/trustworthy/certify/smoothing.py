"""Randomised smoothing: the class that a model predicts most often under Gaussian noise cannot change nearby."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.special import bdtr, ndtri
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.certificate import Certificate
from trustworthy.core.errors import InvalidInput
from trustworthy.core.guard import undisturbed
from trustworthy.core.inputs import Array, as_batch, as_classifier, as_labels, check_logits
from trustworthy.core.progress import tracked
from trustworthy.core.protocols import Classifier
from trustworthy.metrics import clopper_pearson_lower


@dataclass(frozen=True, kw_only=True)
class RandomizedSmoothing:
    """The smoothed classifier g(x) = the most probable class of model(x + noise), noise ~ N(0, sigma² I).

    If that class has probability at least p > 1/2, g does not change within sigma Φ⁻¹(p) of x in l2. The certificate
    is of g, not of the model itself, and g should be used with a model that was trained under the same noise.

    Parameters
    ----------
    sigma : standard deviation of the noise > 0, in the units of the input (images: [0, 1]). Noisy inputs leave the
        range of valid inputs on purpose.
    n0 : draws that choose the class, >= 1.
    n : draws that bound its probability, >= 1. With n draws no radius can exceed sigma Φ⁻¹(alpha^(1/n)).
    alpha : probability, for each example, that its certificate is wrong; in (0, 1).
    batch_size : noisy inputs in one forward pass, >= 1; a matter of memory that changes no draw.

    References
    ----------
    [CRK19] in the dissertation, CERTIFY and PREDICT; figures 3.3 and 3.7.
    """

    sigma: float
    n0: int = 100
    n: int = 100_000
    alpha: float = 0.001
    batch_size: int = 1000

    def __post_init__(self) -> None:
        checks.real("sigma", self.sigma, above=0.0)
        for name in ("n0", "n", "batch_size"):
            checks.integer(name, getattr(self, name), at_least=1)
        if not checks.real("alpha", self.alpha, above=0.0) < 1.0:
            raise InvalidInput(f"alpha must be < 1, got {self.alpha!r}; 0.001 is usual.")

    def __call__(
        self,
        model: Classifier,
        x: Array,
        y: Array,
        *,
        generator: torch.Generator | None = None,
        progress: bool = False,
    ) -> Certificate:
        """Radii in l2 within which the smoothed classifier keeps predicting the true class.

        `lower` is the radius where the certified class is `y`, else 0; it holds for each example with probability at
        least 1 - alpha over the noise. `upper` is 0 and `exact` True where another class is certified, inf elsewhere:
        no perturbation is looked for. Where the draws prove no class (abstention), `lower` is 0 and `upper` inf.

        Parameters
        ----------
        model : a callable from a batch to logits, of which only the largest matters. A module runs in eval mode and
            is left as it was.
        x : inputs (batch, *shape), floating and finite.
        y : true classes (batch,), integers.
        generator : source of the noise, on the device of `x`; None uses torch's global stream.
        progress : show a progress bar on standard error.

        Raises
        ------
        InvalidInput, ModelContractError
            Where an argument or the model's output breaks its contract.

        Notes
        -----
        Costs n0 + n forward passes for each example, and one more for the first.
        """
        inputs = as_batch(x, None)
        labels = as_labels("y", y, inputs)
        chosen, hits = np.empty(len(inputs), np.int64), np.empty(len(inputs), np.int64)
        with self._counter(model, inputs, labels, generator) as count:
            for i in tracked(range(len(inputs)), "examples", len(inputs), show=progress):
                chosen[i] = count(inputs[i], self.n0).argmax()
                hits[i] = count(inputs[i], self.n)[chosen[i]]
        probability = clopper_pearson_lower(hits, self.n, self.alpha)
        radius = self.sigma * np.maximum(ndtri(probability), 0.0)  # 0 where it is not proved to exceed 1/2
        right, proved = chosen == labels.cpu().numpy(), radius > 0
        wrong = proved & ~right
        return Certificate(np.where(right, radius, 0.0), np.where(wrong, 0.0, np.inf), wrong)

    def predict(
        self, model: Classifier, x: Array, *, generator: torch.Generator | None = None, progress: bool = False
    ) -> Int[np.ndarray, " batch"]:
        """Classes (batch,) of the smoothed classifier from `n` draws each; -1 where they decide nothing.

        A class is returned only if a fair coin between the two most frequent ones is rejected at level alpha, so each
        answer is wrong with probability at most alpha. Arguments and errors as in calling.
        """
        counts = self.counts(model, x, generator=generator, progress=progress)
        second, first = np.sort(counts, axis=1)[:, -2:].T
        return np.where(coin_p_value(first, second) <= self.alpha, counts.argmax(axis=1), -1)

    def counts(
        self, model: Classifier, x: Array, *, generator: torch.Generator | None = None, progress: bool = False
    ) -> Int[np.ndarray, "batch classes"]:
        """How often each class is predicted in `n` draws. Arguments and errors as in calling."""
        inputs = as_batch(x, None)
        with self._counter(model, inputs, None, generator) as count:
            return np.stack([count(x, self.n) for x in tracked(inputs, "examples", len(inputs), show=progress)])

    @contextmanager
    def _counter(
        self, model: Classifier, inputs: Tensor, labels: Tensor | None, generator: torch.Generator | None
    ) -> Iterator[Callable[[Float[Tensor, "*shape"], int], Int[np.ndarray, " classes"]]]:
        """Yield what counts, by class, the predictions of so many noisy copies of one example."""
        as_classifier(model, False, 2)  # refuses what is not callable

        def count(example: Float[Tensor, "*shape"], draws: int) -> Int[np.ndarray, " classes"]:
            total = torch.zeros(classes, dtype=torch.int64, device=example.device)
            for start in range(0, draws, self.batch_size):
                noisy = example.new_empty(min(self.batch_size, draws - start), *example.shape)
                for row in noisy:  # one call a draw: a larger one would pair the random numbers by its size
                    row.normal_(generator=generator)
                logits = check_logits(model(noisy.mul_(self.sigma).add_(example)), len(noisy))
                total += torch.bincount(logits.argmax(1), minlength=classes)
            return total.cpu().numpy()

        with undisturbed(model, inputs, generator), torch.no_grad():
            classes = check_logits(model(inputs[:1]), 1, labels).shape[1]
            yield count


def coin_p_value(heads: Int[np.ndarray, " n"], tails: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Two-sided p-values of a fair coin (binomial test at 1/2); 1 without a toss."""
    return np.minimum(1.0, 2.0 * bdtr(np.minimum(heads, tails).astype(np.float64), heads + tails, 0.5))
