"""One update of the weights, on whatever device, precision and number of processes Accelerate was told to use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.training.data import Batch
from trustworthy.training.losses import Loss
from trustworthy.training.moment import Moment
from trustworthy.training.schedules import AbstractSchedule

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]
"""Builds the optimizer of some parameters: `functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9)`."""

_REPLICATED = ("NO", "MULTI_CPU", "MULTI_GPU", "MULTI_XPU", "MULTI_NPU")


class _LossModule(nn.Module):
    """The loss as a module, so that mixed precision and gradient averaging wrap it and not the model.

    Inside it the loss sees the bare model, and may call and differentiate it as often as it likes.
    """

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, batch: Batch, moment: Moment) -> Any:
        return self.loss(self.model, batch, moment)


class Updater:
    """Computes losses and applies their gradients; `model` is moved to the device of `accelerator`."""

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        make_optimizer: MakeOptimizer,
        schedule: AbstractSchedule,
        steps: int,
        accelerator: Accelerator,
        clip: float | None,
    ) -> None:
        _check(accelerator)
        if isinstance(loss, nn.Module) or not callable(loss):
            raise InvalidInput(
                f"loss must be a function (model, batch, moment) -> scalar, got {_kind(loss)}; for instance "
                "lambda model, batch, moment: criterion(model(batch[0]), batch[1])."
            )
        self._accelerator, self._schedule, self._steps = accelerator, schedule, steps
        self._scaler = accelerator.scaler or torch.amp.GradScaler(enabled=False)  # which changes nothing
        self._clip = clip
        self._loss = accelerator.prepare_model(_LossModule(model, loss))
        self.optimizer = _built(make_optimizer, model)
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        self.phase = 0

    def begin(self, step: int) -> None:
        """Forget the last step's gradient and set the rate of `step`."""
        phase = self._schedule.phase(step, self._steps)
        if phase != self.phase:
            self.optimizer.state.clear()
            self.phase = phase
        factor = self._schedule.factor(step, self._steps)
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.zero_grad()

    def loss(self, batch: Batch, weight: float, moment: Moment) -> tuple[Tensor, float]:
        """This process's weighted loss, to be differentiated, and its mean over the processes as a number."""
        value = self._loss(batch, moment)
        if not isinstance(value, Tensor) or value.ndim != 0:
            raise InvalidInput(f"loss must return one number as a tensor, the mean over the batch; got {_kind(value)}.")
        if not value.requires_grad:
            raise InvalidInput("loss must be differentiable in the weights, got a tensor without a gradient function.")
        if weight != 1.0:
            value = value * weight
        if self._accelerator.num_processes == 1:
            return value, value.item()
        return value, float(self._accelerator.reduce(value.detach(), "mean").item())  # type: ignore[union-attr]

    # Accelerate's wrappers of these calls would take longer than a small network's whole step.

    def differentiate(self, loss: Tensor) -> None:
        """Add the gradient of `loss` to what this step has gathered."""
        self._scaler.scale(loss).backward()

    def apply(self) -> None:
        """Update the weights by the gradient that this step has gathered."""
        if self._clip is not None:
            self._scaler.unscale_(self.optimizer)
            trained = [weight for group in self.optimizer.param_groups for weight in group["params"]]
            nn.utils.clip_grad_norm_(trained, self._clip)
        self._scaler.step(self.optimizer)
        self._scaler.update()

    def resume_at(self, step: int) -> None:
        """Be in the phase of the last step before `step`."""
        self.phase = self._schedule.phase(max(0, step - 1), self._steps)


def _check(accelerator: Accelerator) -> None:
    if accelerator.distributed_type.value not in _REPLICATED:
        raise InvalidInput(
            f"accelerator must run the whole model in each process, got {accelerator.distributed_type.value}; launch "
            "with plain data parallelism."
        )
    if accelerator.gradient_accumulation_steps != 1:
        raise InvalidInput(
            f"accelerator must not accumulate gradients, got {accelerator.gradient_accumulation_steps} steps; use "
            "Engine(accumulate=...)."
        )


def _built(make_optimizer: MakeOptimizer, model: nn.Module) -> Optimizer:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ModelContractError("the model must have a parameter to train, got none that requires a gradient.")
    built = make_optimizer(trained) if callable(make_optimizer) else make_optimizer
    if not callable(make_optimizer) or not isinstance(built, Optimizer):
        raise InvalidInput(
            f"optimizer must be a function from parameters to a torch Optimizer, got {_kind(built)}; for instance "
            "functools.partial(torch.optim.SGD, lr=0.1)."
        )
    return built


def _kind(value: object) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
