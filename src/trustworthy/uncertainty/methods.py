"""What the names of the command mean: each method with settings for images in [0, 1] and standardised tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trustworthy.core.checks import Bounds
from trustworthy.uncertainty.batch import BatchEnsemble
from trustworthy.uncertainty.fast import FastEnsemble
from trustworthy.uncertainty.mc_dropout import MCDropout
from trustworthy.uncertainty.method import Method
from trustworthy.uncertainty.naive import NaiveEnsemble
from trustworthy.uncertainty.sgld import SGLD
from trustworthy.uncertainty.snapshot import SnapshotEnsemble
from trustworthy.uncertainty.variational import SVI


def _method(build: Callable[..., Method], **usual: Any) -> Callable[..., Method]:
    def method(*, epochs: int, eps: float | None = None, bounds: Bounds | None = None, **settings: Any) -> Method:
        return build(epochs=epochs, **{**usual, **settings})

    return method


def _snapshots(*, epochs: int, **settings: Any) -> SnapshotEnsemble:
    """Six cycles, or as many as there are epochs."""
    return SnapshotEnsemble(epochs=epochs, **{"members": min(6, epochs), **settings})


def _samples(*, epochs: int, **settings: Any) -> SGLD:
    """Six samples, or as many as the half of the epochs after the burn-in has."""
    return SGLD(epochs=epochs, **{"samples": max(1, min(6, epochs // 2)), **settings})


METHODS: dict[str, Callable[..., Method]] = {
    "naive": _method(NaiveEnsemble),
    "snapshot": _method(_snapshots),
    "batch": _method(BatchEnsemble),
    "fast": _method(FastEnsemble),
    "sgld": _method(_samples, preconditioned=True, learning_rate=2e-3, sampling_factor=1e-3),
    "svi": _method(SVI, alpha=0.1, warmup=0.5),
    "mc-dropout": _method(MCDropout),
}
"""`METHODS[name](epochs=..., **settings)` gives a method. It takes the `eps` and `bounds` of `defenses.METHODS` too,
and does not look at them: there is no adversary.
"""
