"""The terms of a jump-diffusion, eq. (2.30): dy = f dt + g dB + J Z dN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.integrate.marks import Marks, Ones

Field = Callable[[float, Tensor], Any]
"""A function of the time (a Python float) and the state (batch, *state)."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """dy = f(t, y) dt + g(t, y) dB + J(t, y) * Z dN, an Ito integral; every row of the batch has its own B and N.

    Parameters
    ----------
    drift : f(t, y), of the shape of y.
    diffusion : g(t, y), a number or a tensor that broadcasts against y: one Brownian motion for every number of the
        state. With `brownian_motions` = m it has the shape (batch, *state, m) and mixes m of them.
    fg : in place of both, gives the pair (f, g) in one evaluation.
    jump : J(t, y), a tensor that broadcasts against y.
    fj : in place of drift and jump, gives the pair (f, J) in one evaluation.
    rate : jumps of a row per unit of time, >= 0: a number, or a function of (t, y) that gives (batch,) of them.
    rate_bound : what a rate that is a function never exceeds; needed for it.
    marks : Z, drawn anew at every jump.
    brownian_motions : None, or m >= 1.

    Raises
    ------
    InvalidInput
        Where a term that another one needs is missing, or one is given twice.
    """

    drift: Field | None = None
    diffusion: Field | None = None
    fg: Callable[[float, Tensor], tuple[Any, Any]] | None = None
    jump: Field | None = None
    fj: Callable[[float, Tensor], tuple[Any, Any]] | None = None
    rate: float | Field | None = None
    rate_bound: float | None = None
    marks: Marks = field(default_factory=Ones)
    brownian_motions: int | None = None

    def __post_init__(self) -> None:
        drifts = [name for name in ("drift", "fg", "fj") if getattr(self, name) is not None]
        if len(drifts) != 1:
            given = " and ".join(drifts) or "none of them"
            raise InvalidInput(
                f"drift must be given exactly once, as drift, fg or fj, got {given}; for an equation without drift "
                "give lambda t, y: torch.zeros_like(y)."
            )
        for joint, alone in (("fg", "diffusion"), ("fj", "jump")):
            if getattr(self, joint) is not None and getattr(self, alone) is not None:
                raise InvalidInput(f"{alone} must be None where {joint} gives it, got both; leave one of them out.")
        for name in ("drift", "diffusion", "fg", "jump", "fj"):
            if (given := getattr(self, name)) is not None and not callable(given):
                raise InvalidInput(f"{name} must be a function of (t, y), got {given!r}; give lambda t, y: {given!r}.")
        self._check_jumps()
        if self.brownian_motions is not None:
            checks.integer("brownian_motions", self.brownian_motions, at_least=1)
            if not self.has_diffusion:
                raise InvalidInput("diffusion (or fg) is missing, and brownian_motions is given; give it as well.")

    def _check_jumps(self) -> None:
        if self.has_jumps != (self.rate is not None):
            missing, given = ("rate", "jump") if self.has_jumps else ("jump (or fj)", "rate")
            raise InvalidInput(f"{missing} is missing, and {given} is given; jumps need both.")
        if callable(self.rate):
            if self.rate_bound is None:
                raise InvalidInput(
                    "rate_bound is missing: a rate that depends on the state is drawn by thinning jumps of the rate "
                    "rate_bound; give a number that the rate never exceeds."
                )
            checks.real("rate_bound", self.rate_bound, above=0.0)
        elif self.rate is not None:
            checks.real("rate", self.rate, at_least=0.0)
            if self.rate_bound is not None:
                raise InvalidInput("rate_bound must be None where rate is a number, got both; leave it out.")

    @property
    def has_diffusion(self) -> bool:
        return self.diffusion is not None or self.fg is not None

    @property
    def has_jumps(self) -> bool:
        return self.jump is not None or self.fj is not None

    @property
    def noisy(self) -> bool:
        return self.has_diffusion or self.has_jumps

    @property
    def highest_rate(self) -> float:
        """Of the jumps of a row, per unit of time; 0 without jumps."""
        if self.rate is None:
            return 0.0
        return float(self.rate_bound if callable(self.rate) else self.rate)  # pyright: ignore[reportArgumentType]

    def values(self, t: float, y: Tensor) -> tuple[Any, Any, Any]:
        """f, g and J, of as few evaluations as the terms allow; None for what an equation does not have."""
        g = j = None
        if self.drift is not None:
            f = self.drift(t, y)
        elif self.fg is not None:
            f, g = self.fg(t, y)
        else:
            f, j = self.fj(t, y)  # pyright: ignore[reportOptionalCall]
        if self.diffusion is not None:
            g = self.diffusion(t, y)
        if self.jump is not None:
            j = self.jump(t, y)
        return f, g, j

    def drift_at(self, t: float, y: Tensor) -> Any:
        """f(t, y) alone."""
        return self.drift(t, y) if self.drift is not None else (self.fg or self.fj)(t, y)[0]  # pyright: ignore

    def diffusion_at(self, t: float, y: Tensor) -> Any:
        """g(t, y) alone."""
        return self.diffusion(t, y) if self.diffusion is not None else self.fg(t, y)[1]  # pyright: ignore

    def diffused(self, y: Tensor, g: Any, dw: Tensor) -> Tensor:
        """y + g dB."""
        if self.brownian_motions is not None:
            return y + torch.einsum("b...m,bm->b...", g, dw)
        return torch.addcmul(y, g, dw) if isinstance(g, Tensor) else torch.add(y, dw, alpha=g)
