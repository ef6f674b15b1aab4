"""How fast two solutions on the same path part or meet, beside the bound of Corollary 2.1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.integrate.grid import Grid, Interval
from trustworthy.integrate.noise import drawn_paths
from trustworthy.integrate.solve import integrate
from trustworthy.integrate.solvers import FixedStep
from trustworthy.integrate.terms import Terms

_ITERATIONS = 20


@dataclass(frozen=True, eq=False)
class Lyapunov:
    """Estimates of Corollary 2.1: limsup (1/t) log ||eps_t|| <= -(sigma^2 / 2 - L).

    exponents : (1/t) log(||eps_t|| / ||eps_0||) of every row, at the last time; below 0 where the starts meet.
    lipschitz : L of the drift, estimated from below: the largest spectral norm of df/dy at states that were met. The
        Lipschitz constant is the largest anywhere, so it may be more, and the bound with it.
    sigma : of the diffusion sigma y dB, as it was given.
    """

    exponents: Float[Tensor, " batch"]
    lipschitz: float
    sigma: float

    @property
    def exponent(self) -> float:
        """Mean over the rows."""
        return self.exponents.mean().item()

    @property
    def bound(self) -> float:
        """-(sigma^2 / 2 - L), an estimate as L is one.

        The corollary is about noise sigma y dB with one Brownian motion for the whole row (`brownian_motions=1`).
        """
        return self.lipschitz - self.sigma**2 / 2


def lyapunov_exponent(
    terms: Terms,
    y: Float[Tensor, "batch *state"],
    *,
    sigma: float,
    steps: int,
    interval: Interval = (0.0, 1.0),
    eps: float = 1e-4,
    pieces: int = 10,
    solver: FixedStep | None = None,
    generator: torch.Generator | None = None,
) -> Lyapunov:
    """Growth of a small difference between two starts on the same path, per unit of time, eqs. (2.39) and (2.40).

    Parameters
    ----------
    terms : of the equation.
    y : first state; the other start lies `eps` away in l2, in a random direction for each row.
    sigma : of the diffusion sigma y dB, for the bound, >= 0.
    steps, interval, solver : of the solution, see `integrate`.
    pieces : >= 1; the steps are gone in so many pieces, and after each the difference is scaled back to the length
        `eps`, so that it neither leaves the neighbourhood nor drowns in rounding. It has to divide `steps`.
    generator : of the path and of the directions; None takes torch's global stream.

    The larger t, the nearer to the limit. Cost: two solutions, and a piece 40 backward passes of the drift for L.
    """
    checks.real("sigma", sigma, at_least=0.0)
    checks.real("eps", eps, above=0.0)
    if len(y) == 0:
        raise InvalidInput("y must have at least one row, got none; there is no difference to follow.")
    grid = Grid.of(interval, steps)
    if steps % checks.integer("pieces", pieces, at_least=1):
        raise InvalidInput(
            f"pieces must divide steps, got {pieces} and {steps}; take steps={-(-steps // pieces) * pieces}."
        )
    with torch.no_grad():
        paths = drawn_paths(terms, y, steps=steps, interval=interval, generator=generator)
        home = "cpu" if generator is None else generator.device
        directions = torch.randn(y.shape, dtype=y.dtype, generator=generator, device=home)
        difference = _scaled(directions.to(y.device), eps)
        growth, steepest = torch.zeros(len(y), dtype=y.dtype, device=y.device), 0.0
        for piece in range(pieces):
            start = grid.time(piece * steps // pieces)
            steepest = max(steepest, spectral_norm(lambda y, t=start: terms.drift_at(t, y), y))
            end = grid.time((piece + 1) * steps // pieces)
            given = {"interval": (start, end), "steps": steps // pieces, "solver": solver, **paths._asdict()}
            other, y = (integrate(terms, at, **given).end for at in (y + difference, y))
            growth += (_length(other - y) / _length(difference)).log()
            difference = _scaled(other - y, eps)
    return Lyapunov(growth / (grid.end - grid.start), steepest, sigma)


def spectral_norm(function: Callable[[Tensor], Tensor], y: Float[Tensor, "batch *state"]) -> float:
    """Largest over the rows of the l2 norm of d function / dy, from below, by power iteration."""
    tilt = torch.linspace(0.9, 1.1, y.numel(), dtype=y.dtype, device=y.device)
    direction, norms = _scaled(tilt.reshape(y.shape), 1.0), y.new_zeros(len(y))
    with torch.enable_grad():
        y = y.detach().requires_grad_()
        value = function(y)
        if not value.requires_grad:
            return 0.0
        weights = torch.zeros_like(value).requires_grad_()
        # The pull-back is linear in the weights: its derivative along them is the push-forward.
        (pulled,) = torch.autograd.grad(value, y, weights, create_graph=True, materialize_grads=True)
        for _ in range(_ITERATIONS):
            (image,) = torch.autograd.grad(pulled, weights, direction, retain_graph=True, materialize_grads=True)
            norms = _length(image)
            (pull,) = torch.autograd.grad(value, y, image, retain_graph=True, materialize_grads=True)
            direction = _scaled(pull, 1.0)
    return norms.max().item()


def _length(x: Tensor) -> Float[Tensor, " batch"]:
    return x.flatten(1).norm(dim=1)


def _scaled(x: Tensor, length: float) -> Tensor:
    sizes = _length(x).clamp_min(torch.finfo(x.dtype).tiny)
    return x * (length / sizes).reshape(-1, *[1] * (x.ndim - 1))
