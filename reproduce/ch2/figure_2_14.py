"""Figure 2.14: geometric Brownian motion, with and without noise, and against its closed form (2.38)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reproduce import intervals
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.core.seeds import torch_generator
from trustworthy.integrate import BrownianPath, Euler, FixedStep, Milstein, Terms, integrate

SOLVERS: dict[str, FixedStep] = {"euler": Euler(), "milstein": Milstein()}


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a standard deviation."""
    return [f"sigma-{sigma:g}" for sigma in options["sigma"]]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Medians over runs from x_0 = 1, exponents at the last time, and errors of the solvers on the same path."""
    return list(_measured(cell, float(cell.removeprefix("sigma-")), setting))


def _measured(cell: str, sigma: float, setting: Setting) -> Iterator[Measured]:
    options, last = setting.options, setting.options["T"]
    steps = max(options["steps"])
    start = torch.ones(options["runs"], 1, dtype=torch.float64)
    path = BrownianPath(
        start.shape, steps=steps, interval=(0.0, last), generator=torch_generator(setting.seed, cell), dtype=start.dtype
    )
    terms = Terms(drift=lambda t, x: x, diffusion=lambda t, x: sigma * x)
    times = [last * k / options["shown"] for k in range(options["shown"] + 1)]
    shown = integrate(
        terms, start, interval=(0.0, last), steps=steps, solver=Milstein(), at=times, brownian=path
    ).states
    exact = _closed(start, sigma, last, path)
    for t, x in zip(times, shown, strict=True):
        yield Measured(name=f"solution.{cell}@{t:g}", value=_median(x.abs()))
        yield Measured(name=f"solution.{cell}-closed@{t:g}", value=_median(_closed(start, sigma, t, path)))
    yield intervals.mean(f"{cell}.exponent", (shown[-1].abs().log() / last).squeeze(1).numpy())
    for name, solver in SOLVERS.items():
        for count in options["steps"]:
            end = integrate(terms, start, interval=(0.0, last), steps=count, solver=solver, brownian=path).end
            error = ((end - exact).abs() / exact).squeeze(1).numpy()
            yield Measured(name=f"error.{cell}-{name}@{count}", value=float(f"{np.median(error):.4g}"))


def _closed(start: Tensor, sigma: float, t: float, path: BrownianPath) -> Tensor:
    """x_0 exp((1 - sigma^2 / 2) t + sigma B_t)."""
    return start * (path(0.0, t) * sigma).exp() * math.exp((1 - sigma**2 / 2) * t)


def _median(x: Tensor) -> float:
    return float(f"{x.median():.6g}")
