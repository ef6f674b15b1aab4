"""Figure 2.13: what more steps of a neural equation cost, and what fewer steps do to its state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reproduce import intervals
from reproduce.ch2.models import BUDGETS, Spec, fresh, trained
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.core.seeds import torch_generator
from trustworthy.integrate import Adjoint, integrate
from trustworthy.nn.jump_sde import JumpSDE

WAYS = {"ode": "ode", "ode-adjoint": "ode", "sde": "dropout"}
"""Name of a curve -> the noise of its network."""


def cells(options: dict[str, Any]) -> list[str]:
    """Times, and errors of trained networks."""
    return [*(f"time.{name}" for name in WAYS), *(f"error.{name}" for name in ("ode", "sde"))]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """One curve over the number of steps."""
    kind, _, name = cell.partition(".")
    options = setting.options
    spec = Spec(scale=options["budget"], data=options["data"], network="sde", method=WAYS[name], seed=setting.seed)
    return list((_times if kind == "time" else _errors)(cell, spec, setting))


def _times(cell: str, spec: Spec, setting: Setting) -> Iterator[Measured]:
    """Seconds of a forward and a backward pass of the hidden state, least of several, and their power of the steps."""
    net, options = fresh(spec), setting.options
    assert isinstance(net, JumpSDE)
    h = net.entry(spec.images.test_x[: options["batch"]]).detach()
    adjoint = Adjoint() if cell.endswith("adjoint") else None
    found = []
    for steps in options["steps"]:

        def passed(steps: int = steps) -> None:
            integrate(net.terms, h, steps=steps, adjoint=adjoint).end.sum().backward()

        found.append(min(_seconds(passed) for _ in range(options["repeats"])))
        yield Measured(name=f"{cell}@{steps}", value=round(found[-1], 5), unit="s")
    if len(found) > 1:
        power = float(np.polyfit(np.log(options["steps"]), np.log(found), 1)[0])
        yield Measured(name=f"power.{cell.partition('.')[2]}", value=round(power, 3))


def _seconds(run: Callable[[], None]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _errors(cell: str, spec: Spec, setting: Setting) -> Iterator[Measured]:
    """Relative error of h_T on the same path, against the finest grid, and how many predictions it changes."""
    net, options, rows = trained(spec).model, setting.options, spec.images
    assert isinstance(net, JumpSDE)
    x, finest = rows.test_x[: BUDGETS[spec.scale]["data"][spec.data]["points"]], options["finest"]
    with torch.no_grad():
        net.steps = finest
        paths = net.paths(x, torch_generator(spec.seed, "paths"))
        exact, classes = _solved(net, x, paths, finest)
        for steps in options["coarse"]:
            state, found = _solved(net, x, paths, steps)
            error = ((state - exact).flatten(1).norm(dim=1) / exact.flatten(1).norm(dim=1)).numpy()
            yield intervals.mean(f"{cell}@{steps}", error)
            agree = (found == classes).numpy()
            yield intervals.share(f"same.{cell.partition('.')[2]}@{steps}", agree)


def _solved(net: JumpSDE, x: Tensor, paths: Any, steps: int) -> tuple[Tensor, Tensor]:
    net.steps = steps
    return net.hidden_states(x, paths)[-1], net(x, paths).argmax(1)
