"""What can be done to the architecture of a network, by the names under which a saved model says what was done."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from trustworthy.nn.batch_ensemble import batch_ensemble
from trustworthy.nn.bayesian import to_bayesian
from trustworthy.nn.bounded_relu import bound_relu
from trustworthy.nn.dropout import persist_dropout
from trustworthy.nn.ensemble import ensemble
from trustworthy.nn.noise import add_noise
from trustworthy.nn.translator import translate

TRANSFORMS: dict[str, Callable[..., nn.Module]] = {
    "add_noise": add_noise,
    "batch_ensemble": batch_ensemble,
    "bound_relu": bound_relu,
    "ensemble": ensemble,
    "to_bayesian": to_bayesian,
    "persist_dropout": persist_dropout,
    "translate": translate,
}
"""Each is called as `transform(model, **options)`, with options that JSON can hold, and gives a copy."""
