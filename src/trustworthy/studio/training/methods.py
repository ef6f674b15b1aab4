"""What the settings of the control panel mean to the library: a method, its network, its runs, and how it is saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from trustworthy.core.errors import InvalidInput
from trustworthy.models.posterior_folder import Recipe
from trustworthy.nn import UNet, depth_for
from trustworthy.nn.batch_ensemble import BatchEnsembled
from trustworthy.nn.ensemble import Ensemble
from trustworthy.studio.training.control import TrainingSettings
from trustworthy.training import Laplace, SameCropAndTurn
from trustworthy.uncertainty import METHODS, Method

DEEPEST = 5
"""Levels of the U-Net where nobody sets them: an output pixel then looks 93 pixels far, and tiles need no more."""
MC_DRAWS = 10
FURTHER = 0.1
"""Of the epochs of the first network of a FastEnsemble, what each further one explores for, and is refined for."""


@dataclass(frozen=True)
class Run:
    """One run of `training.fit` within a method.

    folder : of its checkpoints, in that of the method's. epochs : of it. member : that it trains, from 1.
    judged : whether its end is a member, and its loss is one that can be compared.
    """

    folder: str
    epochs: int
    member: int = 1
    judged: bool = True


def method_of(settings: TrainingSettings) -> Method:
    """The method with its settings; the loss is the mean absolute error of normalised targets, and log 2."""
    given: dict[str, Any] = {
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate * 1e-3,
        "weight_decay": settings.weight_decay * 1e-5,
        "augment": SameCropAndTurn(size=settings.patch),
        "loss": Laplace(average=True),
    }
    if settings.method == "mc-dropout":
        given["draws"] = MC_DRAWS
    else:
        given["members"] = settings.members
    if settings.method == "fast":
        given["explore"] = given["refine"] = float(_further(settings))
    return METHODS[settings.method](**given)


def runs_of(settings: TrainingSettings) -> list[Run]:
    """The runs of `method_of(settings)`, in their order."""
    if settings.method == "naive":
        return [Run(f"member-{member}", settings.epochs, member) for member in range(1, settings.members + 1)]
    if settings.method == "fast":
        epochs = _further(settings)
        further = [
            Run(f"member-{member}/{stage}", epochs, member, judged=stage == "refine")
            for member in range(2, settings.members + 1)
            for stage in ("explore", "refine")
        ]
        return [Run("member-1", settings.epochs), *further]
    return [Run("", settings.epochs)]


def draws_of(settings: TrainingSettings) -> int:
    """Answers that a trained model is asked for."""
    return MC_DRAWS if settings.method == "mc-dropout" else settings.members


def network_of(settings: TrainingSettings, source_channels: int, target_channels: int) -> dict[str, Any]:
    """Options of the `UNet`."""
    return {
        "in_channels": source_channels,
        "out_channels": target_channels,
        "width": settings.width,
        "depth": settings.depth or min(DEEPEST, depth_for(settings.patch)),
        "dropout": settings.dropout,
    }


def recipe_of(settings: TrainingSettings, network: dict[str, Any], members: int) -> Recipe:
    """What builds the trained model but for its weights. members : of an ensemble, as many as there are."""
    steps = [
        (name, {**options, "members": members} if name == "ensemble" else options)
        for name, options in method_of(settings).transforms
    ]
    channels = {"source_channels": network["in_channels"], "target_channels": network["out_channels"]}
    return Recipe("trustworthy.nn:UNet", network, (*steps, ("translate", channels)))


def maker(network: dict[str, Any], start: Sequence[nn.Module] = ()) -> Callable[[], nn.Module]:
    """What gives a method one network after another: new ones, or those of a trained model in turn.

    Raises
    ------
    InvalidInput : the trained networks are built differently.
    """
    given = 0

    def make() -> nn.Module:
        nonlocal given
        built = UNet(**network)
        if start:
            built.load_state_dict(start[given % len(start)].state_dict())
            given += 1
        return built

    expected = {name: value.shape for name, value in UNet(**network).state_dict().items()}
    for net in start:
        if {name: value.shape for name, value in net.state_dict().items()} != expected:
            raise InvalidInput(
                f"start_from must be a model of the same network, {network}; set width, depth and channels as those of "
                "that model were, or start from none."
            )
    return make


def networks_in(model: nn.Module) -> list[nn.Module]:
    """The ordinary networks of a trained model, whatever its method was."""
    if isinstance(model, Ensemble):
        return [*model.members]
    if isinstance(model, BatchEnsembled):
        return [model.member(member) for member in range(len(model))]
    return [model]


def _further(settings: TrainingSettings) -> int:
    return max(1, round(FURTHER * settings.epochs))
