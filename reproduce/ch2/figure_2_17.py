"""Figure 2.17: how the change of the hidden state grows with the depth, after an attack on the input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from reproduce import intervals
from reproduce.ch2.models import BUDGETS, Spec, trained
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.attacks import PGD
from trustworthy.core.seeds import torch_generator
from trustworthy.nn.jump_sde import JumpSDE


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a kind of noise."""
    return list(options["methods"])


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Length of eps_t, and its ratio to that of eps_0, on the same path for the clean and the attacked image."""
    return list(_measured(cell, setting))


def _measured(cell: str, setting: Setting) -> Iterator[Measured]:
    options = setting.options
    budget = BUDGETS[options["budget"]]
    spec = Spec(scale=options["budget"], data=options["data"], network="sde", method=cell, seed=setting.seed)
    net, rows, generator = trained(spec).model, spec.images, torch_generator(setting.seed, "hidden")
    assert isinstance(net, JumpSDE)
    for suffix, eot in {"": 1, "-eot": budget["eot"]}.items():
        if eot > 1 and cell == "ode":
            continue
        attack = PGD(eps=options["eps"], steps=budget["pgd"]["steps"], eot=eot)
        moved = attack.perturb(net, rows.test_x, rows.test_y, generator=generator)
        with torch.no_grad():
            paths = net.paths(rows.test_x, generator)
            change = net.hidden_states(moved, paths) - net.hidden_states(rows.test_x, paths)
        lengths = change.flatten(2).norm(dim=2).numpy()  # (times, n)
        lengths = lengths[:, lengths[0] > 0]  # an image that is taken for something else anyway is not changed
        for step, at in enumerate(lengths):
            place = f"{cell}{suffix}@{net.T * step / net.steps:g}"
            yield intervals.mean(f"length.{place}", at, eot=eot)
            yield intervals.mean(f"growth.{place}", at / lengths[0], eot=eot)
