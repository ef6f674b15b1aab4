"""Gradients of an ordinary differential equation from the adjoint equation, without keeping the steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from trustworthy.core.errors import InvalidInput
from trustworthy.core.guard import reachable_modules
from trustworthy.integrate.runge_kutta import Integrator, Slope, State

Drift = Callable[[float, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Adjoint:
    """Integrate a' = -a df/dy backward in time beside the state, instead of going back through the steps.

    The states at the saved times are kept and nothing else, so memory does not depend on the number of steps. The
    gradient is that of the equation, solved by the same solver with the same steps or tolerance: it equals
    backpropagation through the steps up to the error of the solver (order p in the step for a method of order p), not
    digit by digit. It costs a forward and a backward pass of the drift at each stage, and cannot be differentiated
    again. A gradient that is small beside its terms, or an equation that contracts fast forward (and so expands
    backward), needs more steps or backpropagation.

    Parameters
    ----------
    parameters : tensors whose gradients are wanted, beside the first state's; None for the parameters of every module
        that the drift is, holds or refers to.
    """

    parameters: tuple[Tensor, ...] | None = None

    def of(self, drift: Drift, t: float, y: Tensor) -> tuple[Tensor, ...]:
        """The tensors whose gradients are computed.

        Raises
        ------
        InvalidInput
            Where the drift depends on another tensor that requires a gradient, which would be wrong without a word.
        """
        given = self.parameters
        if given is None:
            given = tuple(p for module in reachable_modules(drift) for p in module.parameters())
        known = {id(tensor): tensor for tensor in given if tensor.requires_grad}
        with torch.enable_grad():
            value = drift(t, y.detach())
        unknown = next((leaf for leaf in _leaves(value, known.values()) if id(leaf) not in known), None)
        if unknown is not None:
            raise InvalidInput(
                f"parameters must name every tensor that the drift depends on, and one of shape {tuple(unknown.shape)} "
                "that requires a gradient is none of them; give it in Adjoint(parameters=...), or leave adjoint out."
            )
        return tuple(known.values())


def _leaves(value: Tensor, known: Iterable[Tensor]) -> list[Tensor]:
    """The leaves of the graph of `value`, not looking behind tensors that are known."""
    found, waiting, seen = [], [value.grad_fn], {tensor.grad_fn for tensor in known}
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)  # pyright: ignore[reportAttributeAccessIssue]
        waiting.extend(following for following, _ in node.next_functions)
    return found


def solved(
    drift: Drift, integrator: Integrator, times: Sequence[float], y: Tensor, parameters: tuple[Tensor, ...]
) -> tuple[Tensor, int]:
    """States at times[1:], (times, batch, *state), whose gradients come from the adjoint equation; and the steps."""
    return _Solve.apply(drift, integrator, tuple(times), y, *parameters)  # pyright: ignore[reportReturnType]


class _Solve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, drift: Drift, integrator: Integrator, times: tuple[float, ...], y: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, int]:
        states, taken = integrator(lambda t, state: (drift(t, state[0]),), times, (y,))
        saved = torch.stack([state for (state,) in states])
        ctx.drift, ctx.integrator, ctx.times = drift, integrator, times
        ctx.save_for_backward(saved, *parameters)
        return saved, taken

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradients: Tensor, _: None) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        saved, *parameters = ctx.saved_tensors
        slope = _augmented(ctx.drift, parameters)
        adjoint = torch.zeros_like(gradients[0])
        totals = [torch.zeros_like(parameter) for parameter in parameters]
        for index in reversed(range(len(saved))):
            state = (saved[index], adjoint + gradients[index], *totals)
            ((_, adjoint, *totals),), _ = ctx.integrator(slope, (ctx.times[index + 1], ctx.times[index]), state)
        return None, None, None, adjoint, *totals


def _augmented(drift: Drift, parameters: list[Tensor]) -> Slope:
    """Slope of (y, a, gradients of the parameters): (f, -a df/dy, -a df/dtheta)."""

    def slope(t: float, state: State) -> State:
        y, adjoint = state[0].detach().requires_grad_(), state[1]
        wanted = (y, *parameters)
        with torch.enable_grad():
            f = drift(t, y)
            if not f.requires_grad:  # it depends on none of them
                return (f, *map(torch.zeros_like, wanted))
            found = torch.autograd.grad(f, wanted, -adjoint, allow_unused=True, materialize_grads=True)
        return (f.detach(), *found)

    return slope
