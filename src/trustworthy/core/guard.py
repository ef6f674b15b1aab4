"""Leaving no trace: the model's modes and the global random stream are as they were, even after an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from trustworthy.core.errors import InvalidInput


@contextmanager
def undisturbed(model: object, x: Tensor, generator: torch.Generator | None) -> Iterator[None]:
    """Work in eval mode with gradients on, and leave the model and the global random stream as they were.

    With a generator, a stochastic model draws from a forked global stream seeded by it, so the whole attack is
    reproducible and the caller's stream does not move.
    """
    if generator is not None and generator.device.type != x.device.type:
        raise InvalidInput(
            f"generator lives on {generator.device}, x on {x.device}; use torch.Generator(device=x.device)."
        )
    modes = [(module, module.training) for module in model.modules()] if isinstance(model, nn.Module) else []
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
