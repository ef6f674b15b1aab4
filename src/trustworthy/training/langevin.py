"""Stochastic gradient Langevin dynamics as an optimizer: steps of SGD that sample from the posterior of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.seeds import torch_generator


class Langevin(Optimizer):
    """w <- w - lr G (grad L + (w - centre) / (N prior_std^2)) + sqrt(2 lr G temperature / N) e with e ~ N(0, 1).

    L is the loss of a batch, the mean nats of a row, so that N L + |w - centre|^2 / (2 prior_std^2) is minus the log
    posterior of N rows. As lr goes to 0 the weights are draws of it, to the power of 1 / temperature. The step size of
    Welling and Teh is eps = 2 lr / N; here `lr` is what it is to SGD. In a valley of curvature h (of L and of the share
    of the prior in a row) the variance is 1 / (1 - lr G h / 2) times too large, and what the gradients of parts of the
    data differ by adds to it in proportion to lr.

    Parameters
    ----------
    params : weights, or groups of them with settings of their own ("centre").
    lr : > 0.
    rows : N >= 1, of the whole training set.
    temperature : > 0; 1 for the posterior, less for one that is colder than the data and the prior say.
    prior_std : standard deviation of the prior N(centre, prior_std^2) of every weight, > 0; inf for none.
    centre : of the prior.
    preconditioned : G = 1 / (sqrt(v) + 1e-5) for each weight, with v the running mean of the squared gradient of L. It
        learns in the burn-in alone and stands still while draws are made, which are right then. Where there is no
        burn-in it goes on learning, as Li et al. have it, who leave out the term that its slope would need: the
        variance is off by what v moves, less so the closer `decay` is to 1. Otherwise G = 1.
    decay : of the running mean, in [0, 1), which begins with the mean of the first squares of all weights of a tensor.
    cycle, burn_in : the first `burn_in` of every `cycle` steps are burn-in, 0 <= burn_in <= cycle.
    noisy_burn_in : whether there is noise in it.
    sampling_factor : on `lr` after the burn-in, > 0.
    seed : >= 0. The noise of step k is a function of the seed, k and the place of the weight: a run that is resumed
        repeats it, and all processes of one run draw the same.

    References
    ----------
    Welling and Teh (2011), Bayesian learning via stochastic gradient Langevin dynamics. Li, Chen, Carlson and Carin
    (2016), Preconditioned stochastic gradient Langevin dynamics for deep neural networks.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        *,
        lr: float,
        rows: int,
        temperature: float = 1.0,
        prior_std: float = 1.0,
        centre: float = 0.0,
        preconditioned: bool = False,
        decay: float = 0.99,
        cycle: int = 1,
        burn_in: int = 0,
        noisy_burn_in: bool = False,
        sampling_factor: float = 1.0,
        seed: int = 0,
    ) -> None:
        checks.real("lr", lr, above=0.0)
        checks.integer("rows", rows, at_least=1)
        checks.real("temperature", temperature, above=0.0)
        if prior_std != math.inf:
            checks.real("prior_std", prior_std, above=0.0)
        checks.real("decay", decay, at_least=0.0)
        if decay >= 1:
            raise InvalidInput(f"decay must be < 1, got {decay!r}; at 1 the running mean would never learn.")
        checks.real("sampling_factor", sampling_factor, above=0.0)
        checks.integer("burn_in", burn_in, at_least=0, at_most=checks.integer("cycle", cycle, at_least=1))
        settings = {"rows": rows, "temperature": temperature, "prior_std": prior_std, "centre": centre}
        rule = {"preconditioned": preconditioned, "decay": decay, "seed": seed, "sampling_factor": sampling_factor}
        times = {"cycle": cycle, "burn_in": burn_in, "noisy_burn_in": noisy_burn_in}
        super().__init__(params, {"lr": lr, **settings, **rule, **times})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of every weight that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        place = 0
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group, place)
                place += 1
        return loss

    def _move(self, weight: Tensor, slope: Tensor, group: dict[str, Any], place: int) -> None:
        state, rows = self.state[weight], group["rows"]
        step = state["step"] = state.get("step", 0) + 1
        burning = (step - 1) % group["cycle"] < group["burn_in"]
        rate = group["lr"] * (1 if burning else group["sampling_factor"])
        if group["preconditioned"] and (burning or not group["burn_in"]):
            square, decay = slope.square(), group["decay"]
            before = state.get("mean_square", square.mean().expand_as(square))  # one square alone may be near 0
            state["mean_square"] = square.lerp(before, decay)
        scale = 1 / (state["mean_square"].sqrt() + 1e-5) if group["preconditioned"] else weight.new_ones(())
        prior = (weight - group["centre"]) / (rows * group["prior_std"] ** 2)
        weight -= rate * scale * (slope + prior)
        if not burning or group["noisy_burn_in"]:
            generator = torch_generator(group["seed"], "langevin", step, place, device=weight.device)
            noise = torch.empty_like(weight).normal_(generator=generator)
            weight += (2 * rate * group["temperature"] / rows * scale).sqrt() * noise
