"""Stochastic variational inference of a Bayesian network."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, warn
from trustworthy.nn.bayesian import collapsed, kl
from trustworthy.training import Batch, Likelihood, Moment
from trustworthy.training.evaluation import Metric, OfModel
from trustworthy.training.losses import labelled
from trustworthy.uncertainty.method import CLASSES, Change, Lesson, Method, Trained

KL, DATA, GUESS, COLLAPSED = "kl", "data_term", "data_term_of_a_guess", "collapsed"


@dataclass(frozen=True, kw_only=True)
class EvidenceLoss:
    """-mean log p(y | x', w) + alpha / N * warm * KL(q || p), eq. (2.22), in nats per row; one draw of w.

    The KL enters with the number N of training rows, so that an epoch counts it once whatever the batch size.

    Parameters
    ----------
    likelihood : of the targets.
    alpha : weight of the KL term, in (0, 1]; 1 is the evidence lower bound.
    warmup : share of the run, in [0, 1], over which the factor `warm` rises in a straight line to 1.
    change : what makes x' of x; None where x' is x.
    """

    likelihood: Likelihood = CLASSES
    alpha: float = 1.0
    warmup: float = 0.0
    change: Change | None = None

    def __call__(self, model: nn.Module, batch: Batch, moment: Moment) -> Float[Tensor, ""]:
        x, y = labelled(batch)
        if self.change is not None:
            x = self.change(model, x, y, moment.generator)
        weight = self.alpha * self.warm(moment.step, moment.steps) / moment.rows
        return self.likelihood.nats(model(x), y).mean() + weight * kl(model)

    def warm(self, step: int, steps: int) -> float:
        """Factor on the KL term at `step`."""
        rising = self.warmup * steps
        return min(1.0, (step + 1) / rising) if rising > 0 else 1.0


@dataclass(frozen=True, kw_only=True)
class SVI(Method):
    """Mean-field Gaussian posteriors of all weights by the evidence bound (2.16), its KL term weighted as in (2.22).

    Among the metrics of each epoch, of the validation rows or, where there are none, of the training rows: the mean log
    loss of a draw (`data_term`, nats per row), that of the best answer that does not look at the input
    (`data_term_of_a_guess`), the KL term (`kl`, nats of the whole network), and the share of weights that are hardly
    told from the prior (`collapsed`).

    Parameters
    ----------
    prior_std : standard deviation of the prior of every weight, > 0.
    init_std : of every posterior at the start, > 0; the means start at the weights of the given model.
    alpha : weight of the KL term, in (0, 1]; smaller for a large model or few rows.
    warmup : share of the run, in [0, 1], over which the KL term is faded in.
    weight_decay : 0, as the prior is what holds the weights.
    loss : `Categorical()` for classes, `Gaussian(std=...)` or `Laplace(scale=...)` for numbers.
    local : the local reparameterisation, which draws activations instead of weights.

    Cost: one forward and backward pass of the Bayesian network a step; each epoch `draws` forward passes of the rows
    that it is measured on. Random: the weights, from torch's global stream. Warns where the posterior has collapsed in
    the last epoch: most weights are hardly told from the prior, and the network says no more about the targets than a
    guess. It takes both, as a large network that predicts well may leave most of its weights at the prior, and one that
    predicts badly elsewhere needs more training, not a weaker KL term.
    """

    prior_std: float = 0.1
    init_std: float = 0.05
    alpha: float = 1.0
    warmup: float = 0.0
    loss: Likelihood = CLASSES
    local: bool = False
    draws: int = 10

    transform = ("to_bayesian", "prior_std", "init_std", "local")

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.real("prior_std", self.prior_std, above=0.0)
        checks.real("init_std", self.init_std, above=0.0)
        checks.real("alpha", self.alpha, above=0.0, at_most=1.0)
        checks.real("warmup", self.warmup, at_least=0.0, at_most=1.0)
        if self.weight_decay > 0:
            raise InvalidInput(
                f"weight_decay must be 0 for Bayesian weights, got {self.weight_decay}: it would pull their standard "
                "deviations to 1. Choose a smaller prior_std, which holds the means."
            )

    @property
    def objective(self) -> EvidenceLoss:
        return EvidenceLoss(likelihood=self.loss, alpha=self.alpha, warmup=self.warmup)

    @property
    def metrics_anyway(self) -> dict[str, Metric]:
        return {
            KL: OfModel(lambda model, data: float(kl(model).detach())),
            DATA: self.measured(self.loss.data_term),
            GUESS: OfModel(lambda model, data: self.loss.guess(data[1])),
            COLLAPSED: OfModel(lambda model, data: collapsed(model)),
        }

    def train(self, model: nn.Module, lesson: Lesson) -> Trained:
        history = self.fitted(model, lesson, self.objective)
        data, guess, share = (history.records[-1].metrics[name] for name in (DATA, GUESS, COLLAPSED))
        if data < guess - 0.02 * abs(guess) or share < 0.5:
            return self.told(model, history)
        note = (
            f"the posterior has collapsed: its data term is {data:.3g} nats per row, and that of the best answer that "
            f"does not look at the input {guess:.3g}, while {share:.0%} of the weights are hardly told from the prior. "
            "Lower alpha, fade the KL term in over more of the run by warmup, or choose a smaller prior_std."
        )
        warn(note)
        return self.told(model, history, notes=(note,))
