"""Leaving no trace: the model's modes and the global random stream are as they were, even after an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor

from trustworthy.core.errors import InvalidInput
from trustworthy.core.reach import reachable_modules


@contextmanager
def undisturbed(model: object, x: Tensor, generator: torch.Generator | None) -> Iterator[None]:
    """Work in eval mode with gradients on, and leave the model and the global random stream as they were.

    The model is a module, a posterior, or anything that holds or refers to modules: all of them run in eval mode, so
    that none counts the batches of an attack among its statistics. What shall draw at random in eval mode is a layer
    that does so in either mode, never a layer left in training mode.

    With a generator, a stochastic model draws from a forked global stream seeded by it, so the whole attack is
    reproducible and the caller's stream does not move.
    """
    if generator is not None and generator.device.type != x.device.type:
        raise InvalidInput(
            f"generator lives on {generator.device}, x on {x.device}; use torch.Generator(device=x.device)."
        )
    modes = [(module, module.training) for module in reachable_modules(model)]
    stream = nullcontext() if generator is None else _forked_stream(x.device, generator)
    with torch.inference_mode(False), torch.enable_grad(), stream:
        try:
            for module, _ in modes:
                module.training = False
            yield
        finally:
            for module, training in modes:
                module.training = training


@contextmanager
def _forked_stream(device: torch.device, generator: torch.Generator) -> Iterator[None]:
    on_cpu = device.type == "cpu"
    with torch.random.fork_rng(devices=[] if on_cpu else [device], device_type="cuda" if on_cpu else device.type):
        seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
        # torch.manual_seed would seed every device, also those whose stream is not forked here.
        torch.default_generator.manual_seed(seed)
        if not on_cpu:
            with torch.device(device):
                torch.get_device_module(device).manual_seed(seed)
        yield
