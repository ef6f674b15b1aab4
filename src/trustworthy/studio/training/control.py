"""The control panel: what a person may set, within which range, and what it means. Figure 6.2 of the dissertation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from trustworthy.core.errors import InvalidInput
from trustworthy.studio.values import Value, faults
from trustworthy.uncertainty import METHODS


@dataclass(frozen=True)
class Control:
    """One number of the panel.

    low, high, step : range and step of its slider, both ends allowed. default : as in the dissertation.
    unit : by which the shown number is multiplied, such as 1e-3. advice : in a sentence, for who does not know it.
    """

    name: str
    label: str
    low: float
    high: float
    step: float
    default: float
    advice: str
    unit: float = 1.0


CONTROLS: dict[str, Control] = {
    control.name: control
    for control in (
        Control("epochs", "Epochs", 10, 200, 1, 100, "Passes over your images. More take longer, fewer learn less."),
        Control(
            "members", "Ensemble size", 1, 10, 1, 1,
            "Networks that are trained and asked together. One cannot disagree with itself: 5 tell where not to trust "
            "the prediction, and take up to five times as long.",
        ),
        Control("batch_size", "Batch size", 1, 16, 1, 8, "Patches in one step. Lower it where memory runs out."),
        Control("learning_rate", "Learning rate (x 0.001)", 0.1, 10, 0.1, 1.0, "Length of a step.", 1e-3),
        Control("weight_decay", "Weight decay (x 0.00001)", 0.1, 50, 0.1, 1.0, "Pull of the weights to zero.", 1e-5),
        Control("dropout", "Dropout", 0, 0.9, 0.1, 0.5, "Share of the inner features that is left out in training."),
    )
}  # fmt: skip
STUDIO_METHODS: dict[str, str] = {
    "naive": "Ensemble: networks trained independently. The best maps of doubt, and the slowest.",
    "fast": "FastEnsemble: one network is trained, the others branch off from it. A fraction of the time.",
    "mc-dropout": "MC dropout: one network that leaves out features at random when it is asked, too.",
    "snapshot": "Snapshots: one training whose intermediate networks are kept. As fast as one network.",
    "batch": "BatchEnsemble: members that share most of their weights.",
}
"""Of `uncertainty.METHODS`, those that the panel offers, in its order."""
assert set(STUDIO_METHODS) <= set(METHODS)


class TrainingSettings(Value):
    """All that a training depends on besides the images; ranges are those of `CONTROLS`, in shown numbers.

    patch : side in pixels of what is cut from the images, a multiple of 16. depth, width : of the U-Net.
    source_channels, target_channels : numbers of the channels used, from 0; empty for all.
    patience : epochs without a better validation score after which training stops; 0 for never.
    tolerance : error in the units of the target from which on a pixel is not to be trusted; None for one chosen from
        the validation images. seed : of everything that is random. start_from : a model whose weights are the start.
    """

    method: Literal["naive", "fast", "mc-dropout", "snapshot", "batch"] = "naive"
    epochs: int = 100
    members: int = 1
    batch_size: int = 8
    learning_rate: float = 1.0
    weight_decay: float = 1.0
    dropout: float = 0.5
    patch: int = Field(128, ge=32, le=1024, multiple_of=16)
    width: int = Field(16, ge=4, le=64)
    depth: int | None = Field(None, ge=2, le=8)
    source_channels: tuple[int, ...] = ()
    target_channels: tuple[int, ...] = ()
    patience: int = Field(0, ge=0, le=200)
    tolerance: float | None = Field(None, gt=0)
    seed: int = Field(0, ge=0, lt=2**31)
    start_from: str | None = None

    @model_validator(mode="after")
    def _within(self) -> TrainingSettings:
        for name, control in CONTROLS.items():
            value = getattr(self, name)
            if not control.low <= value <= control.high:
                raise ValueError(f"{name}: {control.label} must be {control.low:g} to {control.high:g}, got {value:g}")
        if self.members < 2 and self.method in ("fast", "snapshot", "batch"):
            raise ValueError(f"members: {self.method} needs an ensemble size of at least 2, got {self.members}")
        if self.method == "mc-dropout" and self.dropout == 0:
            raise ValueError("dropout: mc-dropout leaves out features to see what changes, and needs more than 0")
        return self


def settings_of(given: Mapping[str, Any]) -> TrainingSettings:
    """Settings from what a form or a file says. Raises InvalidInput, in a person's words."""
    try:
        return TrainingSettings(**given)
    except ValidationError as error:
        raise InvalidInput("; ".join(faults(error)) + ".") from error
