"""On what a job computes."""

from __future__ import annotations

import functools
import os

import torch

from trustworthy.core.errors import InvalidInput

_VISIBLE = "CUDA_VISIBLE_DEVICES"


@functools.cache  # the second time, only one is left to choose from
def device_of(name: str) -> torch.device:
    """The device that a job's orders name: "auto", "cpu", "cuda" or "cuda:1".

    Of several GPUs this process sees the chosen one alone from then on, as its first: call it before anything is put
    on one.

    Raises
    ------
    InvalidInput : torch has no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind == "cuda" and number.isdecimal():
        seen = os.environ.get(_VISIBLE, "")
        os.environ[_VISIBLE] = dict(enumerate(seen.split(","))).get(int(number), "") if seen else number
    try:
        return torch.empty(0, device=kind).device
    except (RuntimeError, AssertionError) as error:
        raise InvalidInput(
            f"device must be one that torch can use here, such as 'auto' or 'cpu', got {name!r} "
            f"({str(error).splitlines()[0]}); correct it in the settings of the studio."
        ) from error


def title(device: torch.device) -> str:
    """Of a device, for people."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "this computer"
